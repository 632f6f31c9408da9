"""Detection of results that became worse, at equal data and configuration.

The losses of new trials are compared with those of earlier nightly runs, for each architecture and for all together:

- Sudden changes: a two-sample t test with pooled variance (Student 1908) of the last nightly run, and of the last
  three, against the 14 before. With one new value this is the test of a prediction interval. Holm's correction covers
  architectures, metrics and both spans.
- Slow drift: a self-starting CUSUM (Page 1954; Hawkins 1987).

A deterioration below a practical limit (`MIN_DETERIORATION`) raises no alarm, however significant it is. An alarm is
raised once; the history of that architecture then starts again with that nightly run.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student_t

from tasks.evaluation.metrics import Floats
from tasks.nightly.losses import MIN_DETERIORATION, MONITORED_METRICS, CumulativeLosses, RunIndices
from tasks.statistics.multiple_testing import holm_adjust

ALL_ARCHITECTURES = "all"  # in the place of an architecture's name
ALPHA = 0.02  # per nightly run over all t tests; with CUSUM at most 2 of 100 unchanged runs raise an alarm
SPANS = (1, 3)  # numbers of latest nightly runs that are tested together
WINDOW = 14  # earlier nightly runs that they are compared with
MIN_EARLIER_VALUES = 4  # with fewer, the standard deviation is not known well enough
MIN_NEW_VALUES = 2  # one bad seed of one architecture is no regression
MIN_STD = MIN_DETERIORATION / 5  # a few values may be equal by chance
# In standard deviations. A CUSUM is most sensitive to shifts of twice the slack; a high limit keeps false alarms rare.
CUSUM_SLACK, CUSUM_LIMIT, CUSUM_MAX_STEP = 0.5, 6.0, 3.0
DRIFT = "drift"


@dataclass(frozen=True)
class Alarm:
    """A deterioration of one metric of one architecture.

    Attributes:
        run: Position of the nightly run, from 0.
        architecture: Name, or `ALL_ARCHITECTURES`.
        metric: Name in `MONITORED_METRICS`.
        detector: "last nightly run" or "last 3 nightly runs" (t test), or "drift" (CUSUM).
        deterioration: Increase of the mean loss.
        new_values: Number of new values.
        earlier_values: Number of values that they were compared with.
        p: p-value after Holm's correction; NaN for drift and for baselines.
    """

    run: int
    architecture: str
    metric: str
    detector: str
    deterioration: float
    new_values: int
    earlier_values: int
    p: float = float("nan")


@dataclass(frozen=True)
class LossComparison:
    """New losses compared with earlier ones, each (architectures + 1, metrics); the last row is for all together.

    Attributes:
        deterioration: Increase of the mean loss; NaN where there are too few values.
        p: One-sided p-value, not corrected; NaN where there are too few values.
        new_values: Number of new values.
        earlier_values: Number of earlier values.
    """

    deterioration: Floats
    p: Floats
    new_values: Floats
    earlier_values: Floats


@dataclass(frozen=True)
class Cusum:
    """State of the CUSUM, each (architectures + 1, metrics); the last row is for all together.

    Attributes:
        sums: Cumulative sums in standard deviations.
        first: First nightly run in each sum.
    """

    sums: Floats
    first: RunIndices


def compare_losses(
    losses: CumulativeLosses, first_earlier: RunIndices, first_new: RunIndices, run: int
) -> LossComparison:
    """Test whether the losses of runs `first_new` to `run` are larger than those of earlier runs.

    The earlier runs are `first_earlier` to `first_new` - 1.
    """
    n0, mean0, squares0 = losses.moments(first_earlier, first_new)
    n1, mean1, squares1 = losses.moments(first_new, np.full_like(first_new, run + 1))
    tested = (n0 >= MIN_EARLIER_VALUES) & (n1 > 0)
    df = np.where(tested, n0 + n1 - 2, 1)
    pooled_std = np.sqrt(np.maximum(squares0 + squares1, 0) / df)
    error = np.maximum(pooled_std, MIN_STD) * np.sqrt(1 / np.maximum(n0, 1) + 1 / np.maximum(n1, 1))
    deterioration = np.where(tested, mean1 - mean0, np.nan)
    p = np.where(tested, student_t.sf(np.nan_to_num(deterioration) / error, df), np.nan)
    overall, overall_p = _combine_architectures(deterioration, p, tested)
    new_values, earlier_values = (np.vstack([each, np.where(tested, each, 0).sum(0)]) for each in (n1, n0))
    return LossComparison(np.vstack([deterioration, overall]), np.vstack([p, overall_p]), new_values, earlier_values)


def _combine_architectures(deterioration: Floats, p: Floats, tested: np.ndarray) -> tuple[Floats, Floats]:
    """Return mean deterioration and combined p-value of the tested architectures, each (metrics,).

    NaN if fewer than two architectures were tested.

    Source: Stouffer et al. 1949, "The American Soldier", for the combination of p-values.
    """
    number = tested.sum(0)
    combined = number > 1
    z = np.where(tested, norm.isf(np.clip(p, 1e-300, 1 - 1e-16)), 0).sum(0)
    overall_p = np.where(combined, norm.sf(z / np.sqrt(np.maximum(number, 1))), np.nan)
    mean = np.where(tested, np.nan_to_num(deterioration), 0).sum(0) / np.maximum(number, 1)
    return np.where(combined, mean, np.nan), overall_p


def detect_alarms(losses: CumulativeLosses) -> list[Alarm]:
    """Check one nightly run after another; return the alarms in the order of the runs."""
    shape = losses.count.shape[1:]
    start = np.zeros(shape, dtype=int)  # first run of the history of each architecture and metric
    cusum = Cusum(np.zeros((shape[0] + 1, shape[1])), np.zeros((shape[0] + 1, shape[1]), dtype=int))
    alarms: list[Alarm] = []
    for run in range(len(losses.count) - 1):
        sudden = detect_sudden_changes(losses, start, run)
        cusum, drift = update_cusum(cusum, losses, start, run)
        raised = sudden or drift
        for alarm in raised:
            everyone = alarm.architecture == ALL_ARCHITECTURES
            rows = slice(None) if everyone else losses.architectures.index(alarm.architecture)
            start[rows] = run
            cusum.sums[rows], cusum.first[rows] = 0, run + 1
        alarms += raised
    return alarms


def detect_sudden_changes(losses: CumulativeLosses, start: RunIndices, run: int) -> list[Alarm]:
    """Return the alarms of the t tests of one nightly run: for each architecture and metric the span of smallest p."""
    comparisons = []
    for span in SPANS:
        first_new = np.maximum(start, run - span + 1)
        compared = compare_losses(losses, np.maximum(start, first_new - WINDOW), first_new, run)
        comparisons.append(replace(compared, p=np.where(compared.new_values < MIN_NEW_VALUES, np.nan, compared.p)))
    adjusted = holm_adjust(np.stack([each.p for each in comparisons]))
    significant = (adjusted < ALPHA) & (np.stack([each.deterioration for each in comparisons]) >= MIN_DETERIORATION)
    best_span = np.where(significant, adjusted, np.inf).argmin(0)
    return [
        _alarm(losses, run, (row, column), format_detector(SPANS[span := best_span[row, column]]), comparisons[span],
               float(adjusted[span, row, column]))
        for row, column in zip(*np.nonzero(significant.any(0)), strict=True)
    ]  # fmt: skip


def format_detector(span: int) -> str:
    """Return the value of `Alarm.detector` for a t test of the last `span` nightly runs."""
    return "last nightly run" if span == 1 else f"last {span} nightly runs"


def update_cusum(cusum: Cusum, losses: CumulativeLosses, start: RunIndices, run: int) -> tuple[Cusum, list[Alarm]]:
    """Add a nightly run to the CUSUM.

    Returns:
        The new state, and an alarm where a sum exceeds the limit and the mean of the last three runs deteriorated by
        at least `MIN_DETERIORATION`.
    """
    compared = compare_losses(losses, start, np.maximum(start, run), run)
    z = np.clip(norm.isf(compared.p), -CUSUM_MAX_STEP, CUSUM_MAX_STEP)
    sums = np.where(np.isfinite(z), np.maximum(cusum.sums + np.nan_to_num(z) - CUSUM_SLACK, 0), cusum.sums)
    updated = Cusum(sums, np.where(sums == 0, run + 1, cusum.first))
    if not (sums > CUSUM_LIMIT).any():
        return updated, []
    deterioration = _mean_deterioration(losses, start, updated.first, run)
    over = (sums > CUSUM_LIMIT) & (deterioration >= MIN_DETERIORATION)
    shown = replace(compared, deterioration=deterioration)
    return updated, [
        _alarm(losses, run, (row, column), DRIFT, shown) for row, column in zip(*np.nonzero(over), strict=True)
    ]


def _mean_deterioration(losses: CumulativeLosses, start: RunIndices, first: RunIndices, run: int) -> Floats:
    """Return the increase of the mean loss from the runs before `first` to the last three.

    Returns:
        (architectures + 1, metrics) float. The last row is the mean over all architectures, from the run that is first
        in their common sum.
    """
    own, common = first[:-1], np.maximum(np.broadcast_to(first[-1], start.shape), start)
    increases = []
    for end in (own, common):
        recent = np.maximum(end, run - max(SPANS) + 1)
        earlier = losses.moments(start, end)[1]
        increases.append(losses.moments(recent, np.full_like(recent, run + 1))[1] - earlier)
    known = np.isfinite(increases[1])
    overall = np.where(known, increases[1], 0).sum(0) / np.maximum(known.sum(0), 1)
    return np.vstack([increases[0], overall])


def _alarm(
    losses: CumulativeLosses, run: int, place: tuple[int, int], detector: str, compared: LossComparison,
    p: float = float("nan"),
) -> Alarm:  # fmt: skip
    row, column = place
    return Alarm(
        run, [*losses.architectures, ALL_ARCHITECTURES][row], list(MONITORED_METRICS)[column], detector,
        float(compared.deterioration[place]), int(compared.new_values[place]), int(compared.earlier_values[place]), p,
    )  # fmt: skip
