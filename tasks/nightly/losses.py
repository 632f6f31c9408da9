"""Monitored metrics as losses, by nightly run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.config.labels import in_display_order
from tasks.config.metric_names import DEFAULT_METRIC
from tasks.evaluation.metrics import METRICS, Floats

RunIndices = NDArray[np.int_]  # (architectures, metrics), positions in the sequence of nightly runs


@dataclass(frozen=True)
class MonitoredMetric:
    """A metric that is checked for deterioration.

    Attributes:
        to_loss: Function from values to losses. A larger loss is worse.
        min_deterioration: Smallest increase of the loss that raises an alarm.
    """

    to_loss: Callable[[Floats], Floats]
    min_deterioration: float


MIN_LONGER_TIME = float(np.log(1.1))  # 10%
CPU_TIME, RELATIVE_TIME = "cpu_seconds", "relative_seconds"
TIMES = (CPU_TIME, RELATIVE_TIME)  # tested differently, see `time_alarms`


def quality_metrics(main: str = DEFAULT_METRIC) -> list[str]:
    """Return the metrics that are checked: the main metric of a run, and those that always are."""
    return [name for name, metric in METRICS.items() if metric.is_monitored or name == main]


def monitored(name: str) -> MonitoredMetric:
    """Return how a metric or a time is checked."""
    if name in TIMES:
        return MonitoredMetric(np.log, MIN_LONGER_TIME)
    metric = METRICS[name]
    return MonitoredMetric(np.negative if metric.greater_is_better else np.positive, metric.min_deterioration)


def loss_array(trials: pd.DataFrame, metrics: Sequence[str]) -> Floats:
    """Return the losses of trials, grouped by nightly run and architecture.

    Args:
        trials: New trials, with the columns night, architecture and one per metric.
        metrics: Names of metrics and times.

    Returns:
        (runs, architectures, trials, metrics) float; NaN where a group has fewer trials or a value is missing.
    """
    position = trials.groupby(["night", "architecture"]).cumcount().to_numpy()
    run = pd.factorize(trials["night"], sort=True)[0]
    names = in_display_order(trials["architecture"])
    shape = (run.max(initial=-1) + 1, len(names), position.max(initial=-1) + 1, len(metrics))
    losses = np.full(shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = [monitored(name).to_loss(trials[name].to_numpy(dtype=float)) for name in metrics]
    architecture = trials["architecture"].map(names.index).to_numpy(dtype=int)
    losses[run, architecture, position] = np.stack(columns, axis=-1)
    return np.where(np.isfinite(losses), losses, np.nan)


@dataclass(frozen=True)
class LossHistory:
    """Losses of the new trials of each nightly run.

    Attributes:
        array: (runs, architectures, trials, metrics) float; NaN is a missing value.
        architectures: Names, in the order of the second axis.
        metrics: Names, in the order of the last axis.
    """

    array: Floats
    architectures: Sequence[str]
    metrics: Sequence[str]

    @property
    def min_deterioration(self) -> Floats:
        """Return the smallest increase of each metric that raises an alarm: (metrics,)."""
        return np.array([monitored(name).min_deterioration for name in self.metrics])

    def between(self, first: RunIndices, end: RunIndices) -> Floats:
        """Return the losses of runs `first` to `end` - 1, which may differ by architecture and metric.

        Returns:
            (values, architectures, metrics) float; NaN outside of these runs. Rows without a value are left out.
        """
        low, high = max(int(first.min(initial=0)), 0), int(end.max(initial=0))
        run = np.arange(low, high)[:, None, None, None]
        inside = (run >= first[:, None]) & (run < end[:, None])
        selected = np.where(inside, self.array[low:high], np.nan).swapaxes(1, 2)
        rows = selected.reshape(-1, *first.shape)
        return rows[np.isfinite(rows).any(axis=(1, 2))]
