"""Alarms about longer training times, on a machine whose pace may wander.

The duration of a training depends on what else the machine does. CPU time does not contain the waiting for a core, so
it is compared where it is known. Otherwise it is the ratio of the duration to that of a matrix product, measured before
and after the training, which removes only a part of the influence. Both still depend on the pace of the cores, for
hours or days. Nightly runs are then not independent, so no test that assumes this is used. Instead, the last three
nightly runs must each be slower than all nightly runs before (at least `MIN_EARLIER_RUNS`, at most `WINDOW`), by a
margin of 10% and of half the range of the times before.

Slow drift of the time is not monitored, because it cannot be told from a machine that becomes slower.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.evaluation.metrics import Floats
from tasks.nightly.alarm_detection import ALL_ARCHITECTURES, Alarm, format_detector
from tasks.nightly.loss_comparison import median
from tasks.nightly.losses import CPU_TIME, MIN_LONGER_TIME, RELATIVE_TIME

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
        by_cpu_time: Whether it was compared by CPU time, for each architecture.
    """

    alarms: list[Alarm]
    tested: list[bool]
    by_cpu_time: list[bool]


@dataclass(frozen=True)
class _Comparison:
    """The last `SPAN` nightly runs compared with earlier ones, in logarithms of the time.

    Attributes:
        metric: `CPU_TIME` or `RELATIVE_TIME`.
        recent: (SPAN,) float, of the last runs.
        earlier: (runs,) float, of the runs before.
    """

    metric: str
    recent: Floats
    earlier: Floats

    @property
    def is_longer(self) -> bool:
        """Return whether the fastest of the last runs exceeds the slowest of the earlier ones by the margin."""
        slowest, fastest = float(self.earlier.max()), float(self.earlier.min())
        return float(self.recent.min()) - slowest > max(MIN_LONGER_TIME, RANGE_MARGIN * (slowest - fastest))

    @property
    def increase(self) -> float:
        """Return the increase of the median."""
        return float(np.median(self.recent) - np.median(self.earlier))


def check_times(relative: Floats, architectures: Sequence[str], cpu: Floats | None = None) -> TimeCheck:
    """Find each architecture, or all together, whose training time became longer.

    Args:
        relative: (runs, architectures, trials) float, logarithm of the time relative to a matrix product; NaN is a
            missing value.
        architectures: Names, in the order of the second axis.
        cpu: The same of the CPU time, which is compared if enough nightly runs have it; None if it is unknown.
    """
    times = {} if cpu is None else {CPU_TIME: cpu}
    series = {metric: _median_times(values) for metric, values in (times | {RELATIVE_TIME: relative}).items()}
    names = [*architectures, ALL_ARCHITECTURES]
    start, alarms = [0] * len(names), []
    compared: list[_Comparison | None] = [None] * len(names)
    for run in range(len(relative)):
        compared = [
            _compare({metric: values[first : run + 1, row] for metric, values in series.items()})
            for row, first in enumerate(start)
        ]
        longer = {name: each for name, each in zip(names, compared, strict=True) if each and each.is_longer}
        if ALL_ARCHITECTURES in longer:  # which names no single one
            longer = {ALL_ARCHITECTURES: longer[ALL_ARCHITECTURES]}
        alarms += [
            Alarm(run, name, found.metric, format_detector(SPAN), found.increase, SPAN, len(found.earlier))
            for name, found in longer.items()
        ]
        again = names if ALL_ARCHITECTURES in longer else longer
        start = [run - SPAN + 1 if name in again else first for name, first in zip(names, start, strict=True)]
    by_cpu = [each is not None and each.metric == CPU_TIME for each in compared[:-1]]
    return TimeCheck(alarms, [each is not None for each in compared[:-1]], by_cpu)


def _compare(times: Mapping[str, Floats]) -> _Comparison | None:
    """Compare the last times, of the first metric of which there are enough; None if there is none.

    There are enough if the last time and that of at least `MIN_EARLIER_RUNS` earlier runs are known.
    """
    for metric, values in times.items():
        known = values[np.isfinite(values)]
        recent, earlier = known[-SPAN:], known[:-SPAN][-WINDOW:]
        if len(earlier) >= MIN_EARLIER_RUNS and np.isfinite(values[-1]):
            return _Comparison(metric, recent, earlier)
    return None


def _median_times(times: Floats) -> Floats:
    """Return the median time of each nightly run, (runs, architectures + 1); the last column is that of all.

    For all it is the median over the architectures of the time relative to their own median; NaN for one architecture.
    """
    own = median(times.transpose(2, 0, 1))  # (runs, architectures)
    relative = own - median(own)
    overall = np.where(np.isfinite(own).sum(1) > 1, median(relative.T), np.nan)
    return np.column_stack([own, overall])
