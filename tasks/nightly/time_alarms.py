"""Detection of longer training times, on a machine whose pace may wander.

A training time depends on what else the machine does, for hours or days. The ratio to the time of a matrix product,
measured before and after the training, removes only a part of that. Nightly runs are then not independent, so no test
that assumes this is used. Instead, the last three nightly runs must each be slower than all nightly runs before (at
least `MIN_EARLIER_RUNS`, at most `WINDOW`), by a margin of 10% and of half the range of the times before.

Slow drift of the time is not monitored, because it cannot be told from a machine that becomes slower.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.evaluation.metrics import Floats
from tasks.nightly.alarm_detection import ALL_ARCHITECTURES, Alarm, format_detector
from tasks.nightly.loss_comparison import median
from tasks.nightly.losses import MONITORED_METRICS, TIME

SPAN = 3  # nightly runs, of which each must be slower
WINDOW = 30  # earlier nightly runs that they are compared with
MIN_EARLIER_RUNS = 10
RANGE_MARGIN = 0.5  # of the range of the earlier times


@dataclass(frozen=True)
class TimeCheck:
    """What the check of all nightly runs found.

    Attributes:
        alarms: In the order of the runs.
        tested: Whether the last nightly run was compared, for each architecture.
    """

    alarms: list[Alarm]
    tested: list[bool]


def check_times(times: Floats, architectures: Sequence[str]) -> TimeCheck:
    """Find each architecture, or all together, whose training time became longer.

    Args:
        times: (runs, architectures, trials) float, logarithm of the time; NaN is a missing value.
        architectures: Names, in the order of the second axis.
    """
    series, names = _median_times(times), [*architectures, ALL_ARCHITECTURES]
    start, alarms, tested = [0] * len(names), [], [False] * len(names)
    for run in range(len(series)):
        compared = [_compare(series[first : run + 1, row]) for row, first in enumerate(start)]
        tested = [each is not None for each in compared]
        longer = {name: each for name, each in zip(names, compared, strict=True) if each and each.excess > 0}
        if ALL_ARCHITECTURES in longer:  # which names no single one
            longer = {ALL_ARCHITECTURES: longer[ALL_ARCHITECTURES]}
        alarms += [
            Alarm(run, name, TIME, format_detector(SPAN), found.increase, SPAN, found.earlier_runs)
            for name, found in longer.items()
        ]
        again = names if ALL_ARCHITECTURES in longer else longer
        start = [run - SPAN + 1 if name in again else first for name, first in zip(names, start, strict=True)]
    return TimeCheck(alarms, tested[:-1])


@dataclass(frozen=True)
class _Comparison:
    """The last `SPAN` nightly runs compared with earlier ones, in logarithms of the time.

    Attributes:
        increase: Of the median.
        excess: By which the fastest of the last runs exceeds the slowest of the earlier ones and the margin.
        earlier_runs: Number of earlier nightly runs.
    """

    increase: float
    excess: float
    earlier_runs: int


def _compare(times: Floats) -> _Comparison | None:
    """Compare the last times; None if the last one is missing or there are too few earlier ones."""
    known = times[np.isfinite(times)]
    recent, earlier = known[-SPAN:], known[:-SPAN][-WINDOW:]
    if len(earlier) < MIN_EARLIER_RUNS or not np.isfinite(times[-1]):
        return None
    margin = max(MONITORED_METRICS[TIME].min_deterioration, RANGE_MARGIN * float(np.ptp(earlier)))
    increase = float(np.median(recent) - np.median(earlier))
    return _Comparison(increase, float(recent.min() - earlier.max()) - margin, len(earlier))


def _median_times(times: Floats) -> Floats:
    """Return the median time of each nightly run, (runs, architectures + 1); the last column is that of all.

    For all it is the median over the architectures of the time relative to their own median; NaN for one architecture.
    """
    own = median(times.transpose(2, 0, 1))  # (runs, architectures)
    relative = own - median(own)
    overall = np.where(np.isfinite(own).sum(1) > 1, median(relative.T), np.nan)
    return np.column_stack([own, overall])
