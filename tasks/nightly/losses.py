"""Monitored metrics as losses, and their cumulative sums over nightly runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.config.labels import in_display_order
from tasks.evaluation.metrics import Floats

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


MONITORED_METRICS = {
    "accuracy": MonitoredMetric(np.negative, 0.005),
    "f1": MonitoredMetric(np.negative, 0.005),
    "auc": MonitoredMetric(np.negative, 0.005),
    "log_loss": MonitoredMetric(np.positive, 0.02),  # nats
    "relative_seconds": MonitoredMetric(np.log, float(np.log(1.1))),  # 10% longer
}
MIN_DETERIORATION = np.array([metric.min_deterioration for metric in MONITORED_METRICS.values()])  # (metrics,)


def loss_array(trials: pd.DataFrame) -> Floats:
    """Return the losses of trials, grouped by nightly run and architecture.

    Args:
        trials: New trials, with the columns night, architecture and one per monitored metric.

    Returns:
        (runs, architectures, trials, metrics) float; NaN where a group has fewer trials or a value is missing.
    """
    position = trials.groupby(["night", "architecture"]).cumcount().to_numpy()
    run = pd.factorize(trials["night"], sort=True)[0]
    names = in_display_order(trials["architecture"])
    shape = (run.max(initial=-1) + 1, len(names), position.max(initial=-1) + 1, len(MONITORED_METRICS))
    losses = np.full(shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = [metric.to_loss(trials[name].to_numpy(dtype=float)) for name, metric in MONITORED_METRICS.items()]
    architecture = trials["architecture"].map(names.index).to_numpy(dtype=int)
    losses[run, architecture, position] = np.stack(columns, axis=-1)
    return losses


@dataclass(frozen=True)
class CumulativeLosses:
    """Sums of the losses of new trials before each nightly run.

    They give the moments of any range of runs without another pass over the trials.

    Attributes:
        architectures: Names, in the order of the second axis.
        count: Number of losses, (runs + 1, architectures, metrics) float.
        total: Sum of the losses, of the same shape. The mean over all runs is subtracted first.
        squares: Sum of their squares, of the same shape.
    """

    architectures: list[str]
    count: Floats
    total: Floats
    squares: Floats

    @classmethod
    def from_losses(cls, losses: Floats, architectures: Sequence[str]) -> Self:
        """Compute the sums of losses (runs, architectures, trials, metrics), in which NaN is a missing value."""
        known = np.isfinite(losses)
        numbers = np.maximum(known.sum((0, 2), keepdims=True), 1)
        mean = np.where(known, losses, 0).sum((0, 2), keepdims=True) / numbers
        centered = np.where(known, losses - mean, 0.0)  # avoids cancellation in the squares
        per_run = (known.sum(2), centered.sum(2), (centered**2).sum(2))
        before = [np.concatenate([np.zeros((1, *each.shape[1:])), each.cumsum(0)]) for each in per_run]
        return cls(list(architectures), *before)

    def moments(self, first: RunIndices, end: RunIndices) -> tuple[Floats, Floats, Floats]:
        """Compute the moments of the losses of runs `first` to `end` - 1.

        Returns:
            Number, mean and sum of squared deviations from the mean, each (architectures, metrics).
        """
        place = np.indices(first.shape)
        n, total, squares = (each[end, *place] - each[first, *place] for each in (self.count, self.total, self.squares))
        mean = total / np.where(n > 0, n, np.nan)
        return n, mean, squares - total * np.nan_to_num(mean)
