"""Detection of results that became worse, at equal data and configuration.

The losses of new trials are compared with those of earlier nightly runs, for each architecture and for all together
(see `loss_comparison`):

- Sudden changes: the last nightly run, and the last three, against the 14 before. Holm's correction covers
  architectures, metrics and both spans. All architectures together and single ones have half of the level each.
- Slow drift: a self-starting CUSUM (Page 1954; Hawkins 1987).
- Training times: see `time_alarms`.

A deterioration below a practical limit (`Metric.min_deterioration`) raises no alarm, however significant it is. An
alarm is raised once; the history of the architectures that became worse then starts again with that nightly run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from tasks.evaluation.metrics import Floats
from tasks.nightly.loss_comparison import (
    MAX_Z,
    Baseline,
    LossComparison,
    compare_losses,
    failure_rates,
    median,
    summarize_earlier,
)
from tasks.nightly.losses import LossHistory, RunIndices
from tasks.statistics.multiple_testing import holm_adjust

ALL_ARCHITECTURES = "all"  # in the place of an architecture's name
ALPHA = 0.015  # per nightly run over all tests of sudden changes; with the practical limits at most 10 of 1,000 alarms
SPANS = (1, 3)  # numbers of latest nightly runs that are tested together
WINDOW = 14  # earlier nightly runs that they are compared with
LONG_WINDOW = 60  # earlier nightly runs that show drift and how often a seed fails
MIN_NEW_VALUES = 2  # one bad seed of one architecture is no regression
# In standard deviations. A CUSUM is most sensitive to shifts of twice the slack; a high limit keeps false alarms rare.
CUSUM_SLACK, CUSUM_LIMIT = 0.5, 7.0
DRIFT = "drift"


@dataclass(frozen=True)
class Alarm:
    """A deterioration of one metric of one architecture.

    Attributes:
        run: Position of the nightly run, from 0.
        architecture: Name, or `ALL_ARCHITECTURES`.
        metric: Name of a metric or time.
        detector: "last nightly run" or "last 3 nightly runs" (tests), or "drift" (CUSUM).
        deterioration: Increase of the loss, see `LossComparison`.
        new_values: Number of new values.
        earlier_values: Number of values that they were compared with, without outliers.
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
class Cusum:
    """State of the CUSUM, each (architectures + 1, metrics); the last row is for all together.

    Attributes:
        sums: Cumulative sums in standard deviations.
        first: First nightly run in each sum.
    """

    sums: Floats
    first: RunIndices


@dataclass(frozen=True)
class RunCheck:
    """What the check of one nightly run found.

    Attributes:
        alarms: Alarms of this run.
        earlier: Losses of the `WINDOW` nightly runs before.
        failure_rate: Estimated probability that a seed fails, (architectures, metrics).
        compared: Losses of this run compared with `earlier`.
    """

    alarms: list[Alarm]
    earlier: Baseline
    failure_rate: Floats
    compared: LossComparison


def detect_alarms(losses: LossHistory) -> list[Alarm]:
    """Check one nightly run after another; return the alarms in the order of the runs."""
    return [alarm for check in check_runs(losses) for alarm in check.alarms]


def check_runs(losses: LossHistory) -> Iterator[RunCheck]:
    """Check one nightly run after another; the losses are those of metrics, without times."""
    shape = losses.array.shape[1], losses.array.shape[3]
    start = np.zeros(shape, dtype=int)  # first run of the history of each architecture and metric
    cusum = Cusum(np.zeros((shape[0] + 1, shape[1])), np.zeros((shape[0] + 1, shape[1]), dtype=int))
    for run in range(len(losses.array)):
        long_history = summarize_earlier(
            _between(losses, np.maximum(start, run - LONG_WINDOW), run), losses.min_deterioration
        )
        rates = failure_rates(long_history)
        sudden, earlier, compared = detect_sudden_changes(losses, start, run, rates)
        cusum, drift = update_cusum(cusum, losses, start, run, (long_history, rates))
        yield RunCheck(sudden or drift, earlier, rates, compared)
        for alarm in sudden or drift:
            rows = _affected_rows(alarm, losses, compared)
            start[rows[:-1]] = run
            cusum.sums[rows], cusum.first[rows] = 0, run + 1


def _affected_rows(alarm: Alarm, losses: LossHistory, compared: LossComparison) -> np.ndarray:
    """Return which rows begin anew: that of the alarm, and after an alarm for all each architecture that is worse."""
    if alarm.architecture != ALL_ARCHITECTURES:
        return np.array([name == alarm.architecture for name in [*losses.architectures, ALL_ARCHITECTURES]])
    column = losses.metrics.index(alarm.metric)
    return np.append(compared.deterioration[:-1, column] >= losses.min_deterioration[column], True)


def _between(losses: LossHistory, first: RunIndices, end: int | RunIndices) -> Floats:
    return losses.between(first, np.broadcast_to(end, first.shape))


def detect_sudden_changes(
    losses: LossHistory, start: RunIndices, run: int, failure_rate: Floats
) -> tuple[list[Alarm], Baseline, LossComparison]:
    """Test the latest nightly runs.

    Returns:
        For each architecture and metric the alarm of the span with the smallest p, if there is one; the earlier losses
        and the comparison of the last nightly run alone.
    """
    baselines, comparisons = [], []
    for span in SPANS:
        first_new = np.maximum(start, run - span + 1)
        baselines.append(_recent_baseline(losses, start, first_new))
        comparisons.append(compare_losses(_between(losses, first_new, run + 1), baselines[-1], failure_rate))
    adjusted = _adjust(np.stack([np.where(each.new_values < MIN_NEW_VALUES, np.nan, each.p) for each in comparisons]))
    is_large = np.stack([each.deterioration for each in comparisons]) >= losses.min_deterioration
    significant = (adjusted < ALPHA) & is_large
    best_span = np.where(significant, adjusted, np.inf).argmin(0)
    alarms = [
        _alarm(losses, run, (row, column), format_detector(SPANS[span := best_span[row, column]]), comparisons[span],
               float(adjusted[span, row, column]))
        for row, column in zip(*np.nonzero(significant.any(0)), strict=True)
    ]  # fmt: skip
    return alarms, baselines[0], comparisons[0]


def _recent_baseline(losses: LossHistory, start: RunIndices, end: RunIndices) -> Baseline:
    """Return mean and number of the losses of the `WINDOW` runs before `end`.

    Their standard deviation can be too small by chance, in particular if losses are skewed, so it is at least that of
    the `LONG_WINDOW` runs before.
    """
    recent, longer = (
        summarize_earlier(_between(losses, np.maximum(start, end - window), end), losses.min_deterioration)
        for window in (WINDOW, LONG_WINDOW)
    )
    return replace(recent, std=np.fmax(recent.std, longer.std))  # fmax ignores NaN


def _adjust(p_values: Floats) -> Floats:
    """Adjust p-values (spans, architectures + 1, metrics); all together have half of the level."""
    single, overall = p_values[:, :-1], p_values[:, -1:]
    return np.minimum(2 * np.concatenate([holm_adjust(single), holm_adjust(overall)], axis=1), 1)


def format_detector(span: int) -> str:
    """Return the value of `Alarm.detector` for a test of the last `span` nightly runs."""
    return "last nightly run" if span == 1 else f"last {span} nightly runs"


def update_cusum(
    cusum: Cusum, losses: LossHistory, start: RunIndices, run: int, history: tuple[Baseline, Floats]
) -> tuple[Cusum, list[Alarm]]:
    """Add a nightly run to the CUSUM.

    Args:
        cusum: State before this run.
        losses: All losses.
        start: First nightly run of the history of each architecture and metric.
        run: Position of the nightly run.
        history: The losses before this run, and how often a seed fails.

    Returns:
        The new state, and an alarm where a sum exceeds the limit and the median of the last three runs deteriorated by
        at least the limit of its metric.
    """
    compared = compare_losses(_between(losses, np.maximum(start, run), run + 1), *history)
    z = np.clip(-ndtri(compared.p), -MAX_Z, MAX_Z)
    sums = np.where(np.isfinite(z), np.maximum(cusum.sums + np.nan_to_num(z) - CUSUM_SLACK, 0), cusum.sums)
    updated = Cusum(sums, np.where(sums == 0, run + 1, cusum.first))
    if not (sums > CUSUM_LIMIT).any():
        return updated, []
    deterioration = _deterioration_by_drift(losses, start, updated.first, run)
    over = (sums > CUSUM_LIMIT) & (deterioration >= losses.min_deterioration)
    shown = replace(compared, deterioration=deterioration)
    return updated, [
        _alarm(losses, run, (row, column), DRIFT, shown) for row, column in zip(*np.nonzero(over), strict=True)
    ]


def _deterioration_by_drift(losses: LossHistory, start: RunIndices, first: RunIndices, run: int) -> Floats:
    """Return the increase of the loss from the runs before `first` to the last three.

    Returns:
        (architectures + 1, metrics) float. The last row is the median over the architectures, from the run that is
        first in their common sum.
    """
    own, common = first[:-1], np.maximum(np.broadcast_to(first[-1], start.shape), start)
    increases = []
    for end in (own, common):
        recent = _between(losses, np.maximum(end, run - max(SPANS) + 1), run + 1)
        before = _between(losses, np.maximum(start, end - LONG_WINDOW), end)
        earlier = summarize_earlier(before, losses.min_deterioration)
        increases.append(median(recent) - earlier.mean)
    return np.vstack([increases[0], median(increases[1])])


def _alarm(
    losses: LossHistory, run: int, place: tuple[int, int], detector: str, compared: LossComparison,
    p: float = float("nan"),
) -> Alarm:  # fmt: skip
    row, column = place
    return Alarm(
        run, [*losses.architectures, ALL_ARCHITECTURES][row], losses.metrics[column], detector,
        float(compared.deterioration[place]), int(compared.new_values[place]), int(compared.earlier_values[place]), p,
    )  # fmt: skip
