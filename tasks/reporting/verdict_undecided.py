"""Architectures of which a run cannot say whether they differ from the recommended one, and what would resolve it."""

from dataclasses import dataclass
from typing import Any

from tasks.evaluation.metrics import METRICS
from tasks.statistics.evaluation_tables import Frames
from tasks.statistics.significance import INCONCLUSIVE

Row = dict[Any, Any]


@dataclass(frozen=True)
class Undecided:
    """An architecture of which the run cannot say whether it differs from the recommended one.

    Attributes:
        architecture: The architecture.
        verdict: `NOT_SIGNIFICANT` or `INCONCLUSIVE`.
        seeds: Number of shared seeds.
        deterministic: Whether neither architecture depends on the seed, so that more seeds change nothing.
        detectable: True difference that is detected with 80% power, in units of the metric; None if the pair was not
            tested or no possible difference is detected.
        target: The observed difference, or the equivalence margin if it is larger.
        seeds_needed: Shared seeds that detect the target with 80% power, more than `seeds`; None if they are not known.
        reviews_needed: Whether no number of seeds detects the target.
    """

    architecture: str
    verdict: str
    seeds: int
    deterministic: bool = False
    detectable: float | None = None
    target: float = 0.0
    seeds_needed: int | None = None
    reviews_needed: bool = False


def undecided_pairs(frames: Frames, best: str, names: tuple[str, ...]) -> tuple[Undecided, ...]:
    """Return what the run says about each architecture of which it cannot say whether it differs from the best one.

    Args:
        frames: Frames of `tasks.statistics.comparison.compare`.
        best: The recommended architecture.
        names: The architectures.
    """
    power, setup = frames["power"], frames["setup"].iloc[0].to_dict()
    is_best = (power["first"] == best) | (power["second"] == best)
    other = power["first"].where(power["second"] == best, power["second"])
    rows: dict[str, Row] = dict(zip(other[is_best].map(str), power[is_best].to_dict("records"), strict=True))
    verdicts = dict(zip(frames["groups"]["architecture"], frames["groups"]["verdict"], strict=True))
    return tuple(_undecided_pair(name, str(verdicts[name]), rows[name], setup) for name in names)


def _undecided_pair(name: str, verdict: str, row: Row, setup: Row) -> Undecided:
    """Return what a row of the frame power says about an undecided pair.

    Nothing that the run at hand would already detect is given as a target: the pair is undecided by chance then.
    """
    seeds, needed = int(row["seeds"]), int(row["seeds_needed"])
    if verdict == INCONCLUSIVE:
        return Undecided(name, verdict, seeds)
    deterministic = seeds < setup["min_seeds"]
    detectable, target = float(row["minimum_detectable_difference"]), float(row["target_difference"])
    # Two scores in [0, 1] differ by less than 1, whatever the estimated variance is.
    possible = 0 < detectable < METRICS[setup["metric"]].highest
    missed = not detectable <= target
    return Undecided(
        name, verdict, seeds, deterministic, detectable if possible else None, target,
        seeds_needed=needed if needed > seeds and missed and not deterministic else None,
        reviews_needed=missed and (needed < 0 or deterministic),
    )  # fmt: skip
