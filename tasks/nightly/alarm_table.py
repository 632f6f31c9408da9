"""The table of all alarms of a history: those of the networks, and changes of the baselines."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date

import numpy as np
import pandas as pd

from tasks.config.labels import BASELINE_NAMES, in_display_order
from tasks.config.metric_names import DEFAULT_METRIC
from tasks.nightly.alarm_detection import Alarm, detect_alarms, format_detector
from tasks.nightly.losses import TIMES, LossHistory, loss_array, monitored, quality_metrics
from tasks.nightly.time_alarms import TimeCheck, check_times

ALARM_COLUMNS = [
    "night", "architecture", "metric", "detector", "deterioration", "new_values", "earlier_values", "p",
]  # fmt: skip


def alarm_table(trials: pd.DataFrame, metric: str = DEFAULT_METRIC) -> pd.DataFrame:
    """Return all alarms of a history of one data set and configuration, the oldest first.

    Args:
        trials: Each trial at its first occurrence, with the columns night, architecture and one per monitored metric.
        metric: Main metric.

    Returns:
        Columns `ALARM_COLUMNS`, as in `Alarm`; night is the date of the nightly run.
    """
    networks = trials[~trials["architecture"].isin(BASELINE_NAMES)]
    alarms = detect_alarms(quality_losses(networks, metric)) + check_training_times(networks).alarms
    rows = _with_dates(alarms, sorted(set(networks["night"])))
    for name in BASELINE_NAMES:
        baseline = trials[trials["architecture"] == name]
        rows += _with_dates(
            _detect_baseline_changes(name, baseline, quality_metrics(metric)), baseline["night"].tolist()
        )
    return pd.DataFrame(rows, columns=ALARM_COLUMNS).sort_values("night", kind="stable", ignore_index=True)


def quality_losses(networks: pd.DataFrame, metric: str = DEFAULT_METRIC) -> LossHistory:
    """Return the losses of new trials of networks in the metrics that are checked; `metric` is the main one."""
    metrics = quality_metrics(metric)
    return LossHistory(loss_array(networks, metrics), in_display_order(networks["architecture"]), metrics)


def check_training_times(networks: pd.DataFrame) -> TimeCheck:
    """Check the times of new trials of networks."""
    cpu, relative = np.moveaxis(loss_array(networks, TIMES), -1, 0)
    return check_times(relative, in_display_order(networks["architecture"]), cpu)


def _with_dates(alarms: list[Alarm], nights: list[date]) -> list[dict[str, object]]:
    return [{"night": nights[alarm.run], **asdict(alarm)} for alarm in alarms]


def _detect_baseline_changes(name: str, trials: pd.DataFrame, metrics: Sequence[str]) -> list[Alarm]:
    """Return an alarm for every deterioration of a baseline.

    A baseline has no seed, so every difference comes from code, libraries or the machine. Its training time is not
    monitored. `Alarm.run` is the position of the row.
    """
    alarms, detector = [], format_detector(1)
    for metric in metrics:
        checked = monitored(metric)
        increases = np.diff(checked.to_loss(trials[metric].to_numpy(dtype=float)))
        alarms += [
            Alarm(int(row) + 1, name, metric, detector, float(increases[row]), new_values=1, earlier_values=1)
            for row in np.flatnonzero(increases >= checked.min_deterioration)
        ]
    return alarms
