"""Whether the nights become worse: the newest evidence against the nights before, at equal data and configuration.

Two looks, at each architecture and at all together. A two-sample t test with pooled variance (Student 1908), which
with one new value is the test of a prediction interval: the last night, and the last three, against the fourteen
before. And a self-starting CUSUM (Page 1954; Hawkins 1987) for drift too slow for that. Holm's correction is over
architectures, measures and both spans; what is below a practical floor is no alarm, however sure. An alarm is raised
once: the history of that architecture then begins anew, with that night.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from tasks.config.labels import BASELINE_NAMES, in_order
from tasks.evaluation.metrics import Floats
from tasks.statistics.paired_tests import holm

Nights = NDArray[np.int_]  # (architectures, watched): places in the sequence of nights

ALL = "all"  # stands where an architecture's name would, for all together
ALPHA = 0.02  # of one night, over all its t tests; with CUSUM at most two unchanged nights of a hundred
SPANS = (1, 3)  # nights that are held together against those before them
WINDOW = 14  # how many nights those are
FEWEST_BEFORE = 4  # values; below, nothing is known of their spread
FEWEST_NEW = 2  # values; one bad seed of one architecture is no regression
# CUSUM in standard deviations: a shift of twice the slack is found soonest, the limit keeps false alarms rare.
SLACK, LIMIT, MOST_A_NIGHT = 0.5, 6.0, 3.0


class Watched(NamedTuple):
    """A measure: how it becomes a loss (more is worse), and the least increase of that worth an alarm."""

    loss: Callable[[Floats], Floats]
    floor: float


WATCHED = {
    "accuracy": Watched(np.negative, 0.005),
    "f1": Watched(np.negative, 0.005),
    "auc": Watched(np.negative, 0.005),
    "log_loss": Watched(np.positive, 0.02),  # nats
    "relative_seconds": Watched(np.log, float(np.log(1.1))),
}
FLOORS = np.array([watched.floor for watched in WATCHED.values()])
LEAST_SPREAD = FLOORS / 5  # a few values may agree by chance


@dataclass(frozen=True)
class Evidence:
    """New values as losses, night by night: sums up to each night, (nights + 1, architectures, watched)."""

    architectures: list[str]
    count: Floats
    total: Floats
    squares: Floats

    @classmethod
    def of(cls, losses: Floats, architectures: Sequence[str]) -> "Evidence":
        """Sum up losses (nights, architectures, values, watched), NaN where there is no value."""
        known = np.isfinite(losses)
        centre = np.where(known, losses, 0).sum((0, 2), keepdims=True) / np.maximum(known.sum((0, 2), keepdims=True), 1)
        centred = np.where(known, losses - centre, 0.0)  # so that squares do not cancel
        sums = (known.sum(2), centred.sum(2), (centred**2).sum(2))
        before = [np.concatenate([np.zeros((1, *each.shape[1:])), each.cumsum(0)]) for each in sums]
        return cls(list(architectures), *before)

    def between(self, first: Nights, end: Nights) -> tuple[Floats, Floats, Floats]:
        """Give number, mean and squared deviations of nights `first` to before `end`, each (architectures, watched)."""
        place = np.indices(first.shape)
        n, total, squares = (each[end, *place] - each[first, *place] for each in (self.count, self.total, self.squares))
        mean = total / np.where(n > 0, n, np.nan)
        return n, mean, squares - total * np.nan_to_num(mean)


class Look(NamedTuple):
    """New values against those before: each (architectures + 1, watched), the last row for all together."""

    worse: Floats  # increase of the loss
    p: Floats  # one-sided; NaN where there is too little to tell
    new: Floats  # how many values
    before: Floats


def look(found: Evidence, before: Nights, first: Nights, night: int) -> Look:
    """Test nights `first` to `night` against nights `before` to before `first`.

    All together is Stouffer's combination of the architectures' tests (1949), and the mean of their losses.
    """
    n0, mean0, squares0 = found.between(before, first)
    n1, mean1, squares1 = found.between(first, np.full_like(first, night + 1))
    there = (n0 >= FEWEST_BEFORE) & (n1 > 0)
    freedom = np.where(there, n0 + n1 - 2, 1)
    spread = np.sqrt(np.maximum(squares0 + squares1, 0) / freedom)
    error = np.maximum(spread, LEAST_SPREAD) * np.sqrt(1 / np.maximum(n0, 1) + 1 / np.maximum(n1, 1))
    worse = np.where(there, mean1 - mean0, np.nan)
    p = np.where(there, student.sf(np.nan_to_num(worse) / error, freedom), np.nan)
    many = there.sum(0)
    together = there.any(0) & (many > 1)
    scores = np.where(there, norm.isf(np.clip(p, 1e-300, 1 - 1e-16)), 0).sum(0)
    p_all = np.where(together, norm.sf(scores / np.sqrt(np.maximum(many, 1))), np.nan)
    worse_all = np.where(together, np.nan_to_num(worse).sum(0) / np.maximum(many, 1), np.nan)
    counts = [np.vstack([each, np.where(there, each, 0).sum(0)]) for each in (n1, n0)]
    return Look(np.vstack([worse, worse_all]), np.vstack([p, p_all]), *counts)


def alarms(found: Evidence) -> list[dict[str, Any]]:
    """Go through all nights and list the alarms in their order.

    Returns:
        Of each `night` (its place, from 0), `architecture` (or `ALL`), `measure`, `sign` (`tonight`, `last 3 nights`,
        `drift`), `worse` (increase of the loss), `new` and `before` (values), `p` (Holm; NaN for drift).
    """
    shape = found.count.shape[1:]
    begin = np.zeros(shape, dtype=int)
    drift = Drift(np.zeros((shape[0] + 1, shape[1])), np.zeros((shape[0] + 1, shape[1]), dtype=int))
    raised: list[dict[str, Any]] = []
    for night in range(len(found.count) - 1):
        tonight = sudden(found, begin, night)
        drift, slow = drift.after(found, begin, night)
        tonight = tonight or slow
        for alarm in tonight:
            name = alarm["architecture"]
            rows = slice(None) if name == ALL else found.architectures.index(name)
            begin[rows] = night
            drift.sums[rows], drift.since[rows] = 0, night + 1
        raised += tonight
    return raised


def sudden(found: Evidence, begin: Nights, night: int) -> list[dict[str, Any]]:
    """List what the t tests of one night find: for each architecture and measure the surest span."""
    looks = []
    for span in SPANS:
        first = np.maximum(begin, night - span + 1)
        seen = look(found, np.maximum(begin, first - WINDOW), first, night)
        looks.append(seen._replace(p=np.where(seen.new < FEWEST_NEW, np.nan, seen.p)))
    adjusted = holm(np.stack([seen.p for seen in looks]))
    hit = (adjusted < ALPHA) & (np.stack([seen.worse for seen in looks]) >= FLOORS)
    surest = np.where(hit, adjusted, np.inf).argmin(0)
    return [
        _alarm(found, night, a, m, "tonight" if SPANS[surest[a, m]] == 1 else f"last {SPANS[surest[a, m]]} nights",
               looks[surest[a, m]], float(adjusted[surest[a, m], a, m]))
        for a, m in zip(*np.nonzero(hit.any(0)), strict=True)
    ]  # fmt: skip


class Drift(NamedTuple):
    """CUSUM of what is worse, and the first night that is in each sum: (architectures + 1, watched)."""

    sums: Floats
    since: Nights

    def after(self, found: Evidence, begin: Nights, night: int) -> tuple["Drift", list[dict[str, Any]]]:
        """Add a night, and list what is over the limit, and over its floor in the mean of the last three nights."""
        one = look(found, begin, np.maximum(begin, night), night)
        scores = np.clip(norm.isf(one.p), -MOST_A_NIGHT, MOST_A_NIGHT)
        sums = np.where(np.isfinite(scores), np.maximum(self.sums + np.nan_to_num(scores) - SLACK, 0), self.sums)
        since = np.where(sums == 0, night + 1, self.since)
        over = sums > LIMIT
        if not over.any():
            return Drift(sums, since), []
        own, together = since[:-1], np.maximum(np.broadcast_to(since[-1], begin.shape), begin)
        recent = [np.maximum(first, night - max(SPANS) + 1) for first in (own, together)]
        alone, all_of = (
            mean_shift(found, begin, first, last, night) for first, last in zip((own, together), recent, strict=True)
        )
        worse = np.vstack([alone[:-1], all_of[-1:]])
        hit = over & (worse >= FLOORS)
        seen = one._replace(worse=worse)
        return Drift(sums, since), [
            _alarm(found, night, a, m, "drift", seen, float("nan")) for a, m in zip(*np.nonzero(hit), strict=True)
        ]


def mean_shift(found: Evidence, begin: Nights, end: Nights, first: Nights, night: int) -> Floats:
    """Say how much worse nights `first` to `night` are than `begin` to before `end`; the last row: their mean."""
    mean0 = found.between(begin, end)[1]
    mean1 = found.between(first, np.full_like(first, night + 1))[1]
    known = np.isfinite(mean1 - mean0)
    together = np.where(known, mean1 - mean0, 0).sum(0) / np.maximum(known.sum(0), 1)
    return np.vstack([mean1 - mean0, together])


def _alarm(found: Evidence, night: int, a: int, m: int, sign: str, seen: Look, p: float) -> dict[str, Any]:
    return {
        "night": night, "architecture": [*found.architectures, ALL][a], "measure": list(WATCHED)[m], "sign": sign,
        "worse": float(seen.worse[a, m]), "new": int(seen.new[a, m]), "before": int(seen.before[a, m]), "p": p,
    }  # fmt: skip


COLUMNS = ["night", "architecture", "measure", "sign", "worse", "new", "before", "p"]


def alarms_of(fresh: pd.DataFrame) -> pd.DataFrame:
    """List all alarms of a history of one data set and configuration.

    Args:
        fresh: Each trial where it was first seen: columns night, architecture, and the watched.

    Returns:
        As `alarms`, with the date in `night`; the oldest first.
    """
    networks = fresh[~fresh["architecture"].isin(BASELINE_NAMES)]
    nights = sorted(set(networks["night"]))
    names = in_order(networks["architecture"])
    found = [{**alarm, "night": nights[alarm["night"]]} for alarm in alarms(Evidence.of(losses(networks), names))]
    found += [alarm for name in BASELINE_NAMES for alarm in _of_baseline(fresh[fresh["architecture"] == name])]
    return pd.DataFrame(found, columns=COLUMNS).sort_values("night", kind="stable", ignore_index=True)


def losses(networks: pd.DataFrame) -> Floats:
    """Lay the watched measures out as losses (nights, architectures, values, watched), NaN where there are fewer."""
    trials = networks.groupby(["night", "architecture"])
    place = trials.cumcount().to_numpy()
    night = pd.factorize(networks["night"], sort=True)[0]
    names = in_order(networks["architecture"])
    found = np.full((night.max(initial=-1) + 1, len(names), place.max(initial=-1) + 1, len(WATCHED)), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = [watched.loss(networks[name].to_numpy(dtype=float)) for name, watched in WATCHED.items()]
    found[night, networks["architecture"].map(names.index).to_numpy(dtype=int), place] = np.stack(values, axis=-1)
    return found


def _of_baseline(fresh: pd.DataFrame) -> list[dict[str, Any]]:
    """List where a baseline became worse: it has no seed, so any difference is one of code, libraries or machine."""
    quality = [name for name in WATCHED if name != "relative_seconds"]
    worse = pd.DataFrame({name: WATCHED[name].loss(fresh[name].to_numpy(dtype=float)) for name in quality}).diff()
    return [
        {"night": fresh["night"].iloc[row], "architecture": fresh["architecture"].iloc[row], "measure": name,
         "sign": "tonight", "worse": float(worse[name].iloc[row]), "new": 1, "before": 1, "p": float("nan")}
        for name in quality
        for row in np.flatnonzero(worse[name] >= WATCHED[name].floor)
    ]  # fmt: skip
