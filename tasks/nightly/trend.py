"""Trend of nightly runs, and what changed between them."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from tasks.config.escape import escape_terminal
from tasks.config.labels import BASELINE_NAMES
from tasks.config.metric_names import DEFAULT_METRIC, METRIC_NAMES
from tasks.evaluation.metrics import Floats
from tasks.nightly.alarm_table import alarm_table, check_training_times
from tasks.nightly.detectability import detectability
from tasks.nightly.history import HistoryPartition, select_first_occurrences
from tasks.nightly.losses import TIMES

TREND_COLUMNS = [
    "night", "architecture", "seeds", "mean", "low", "high", "new_trials", "new_mean", "cpu_seconds",
    "relative_seconds", "missing", "tested", "time_tested", "cpu_time_tested", "earlier_values", "outliers", "spread",
    "detection_rate", "detection_rate_all",
]  # fmt: skip


def nightly_tables(
    history: pd.DataFrame, partition: HistoryPartition, metric: str = DEFAULT_METRIC
) -> dict[str, pd.DataFrame]:
    """Return the tables `nights` (see `trend_table`) and `alarms` (see `alarm_table`).

    Args:
        history: The whole history.
        partition: Data set and configuration to report on.
        metric: Main metric. The history has the scores of all metrics, so it may change between runs.

    Returns:
        The tables by name. The column `changed` of the alarms lists what changed since the previous run.
    """
    own = partition.select(history)
    alarms = alarm_table(select_first_occurrences(own), metric)
    changed = {night: "; ".join(list_changes(history, partition, night)) for night in set(alarms["night"])}
    return {"nights": trend_table(own, metric), "alarms": alarms.assign(changed=alarms["night"].map(changed))}


def metric_of_last_run(history: pd.DataFrame) -> str:
    """Return the main metric of the last run in a history; the default if it was not recorded."""
    metric = json.loads(history["settings"].iloc[-1]).get("metric")
    return metric if metric in METRIC_NAMES else DEFAULT_METRIC


def trend_table(history: pd.DataFrame, metric: str = DEFAULT_METRIC) -> pd.DataFrame:
    """Return the score of each network over the nightly runs of one data set and configuration.

    Returns:
        One row per date and architecture: seeds (with a score, in the run of that date with the most scores), their
        mean test score with its 95% interval over the seeds (mean, low, high), number, mean score and mean
        times of the trials that first occurred on that date (new_trials, new_mean, cpu_seconds, relative_seconds), and
        number of trials without a score (missing). For the last nightly run also whether the times were tested
        (time_tested), whether these were CPU times (cpu_time_tested), and what `detectability` returns; missing for
        the others.
    """
    networks = history[~history["architecture"].isin(BASELINE_NAMES)]
    new_trials = select_first_occurrences(networks)
    rows = []
    for (night, name), trials in networks.groupby(["night", "architecture"], sort=False):
        new = new_trials[(new_trials["night"] == night) & (new_trials["architecture"] == name)]
        rows.append({"night": night, "architecture": name, **_trend_values(trials, new, metric)})
    return _with_last_check(pd.DataFrame(rows, columns=TREND_COLUMNS), new_trials, metric)


def _with_last_check(trend: pd.DataFrame, new_trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Add what the check of the last nightly run could test and detect."""
    if trend.empty:
        return trend
    last = trend["night"] == trend["night"].max()
    checked = detectability(new_trials, metric).set_index("architecture").astype(float)
    times = check_training_times(new_trials)
    checked["time_tested"] = np.array(times.tested, dtype=float)
    checked["cpu_time_tested"] = np.array(times.by_cpu_time, dtype=float)
    columns = {name: trend["architecture"].map(checked[name]) for name in checked.columns}
    for name in ("tested", "time_tested", "cpu_time_tested"):  # a network without a new score in this run
        columns[name] = columns[name].where(trend["new_trials"] > 0, 0.0)
    return trend.assign(**{name: values.astype(float).where(last) for name, values in columns.items()})


def _trend_values(trials: pd.DataFrame, new: pd.DataFrame, metric: str) -> dict[str, float]:
    """Return the values of `trend_table` for the trials of one architecture on one date."""
    counts = trials.groupby("started")[metric].count()
    fullest = trials[trials["started"] == counts[::-1].idxmax()][metric]  # the last one with the most scores
    scores = fullest.dropna().to_numpy()
    low, high = mean_interval(scores)
    return {
        "seeds": len(scores), "mean": scores.mean() if len(scores) else np.nan, "low": low, "high": high,
        "new_trials": len(new), "new_mean": new[metric].mean(),
        **{name: new[name].mean() for name in TIMES}, "missing": int(fullest.isna().sum()),
    }  # fmt: skip


def mean_interval(values: Floats) -> tuple[float, float]:
    """Compute the 95% interval of a mean by Student's t distribution; NaN for fewer than two values."""
    if len(values) < 2:
        return float("nan"), float("nan")
    half_width = float(stdtrit(len(values) - 1, 0.975)) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half_width), float(values.mean() + half_width)


def list_changes(history: pd.DataFrame, partition: HistoryPartition, night: date) -> list[str]:
    """Return what differs between the last run of a date and the run before: data, versions, hardware, code.

    What an earlier version of the project did not record is no change.

    The run before is the last one of the same partition, or of any if there is none.

    Args:
        history: The whole history.
        partition: Data set and configuration of the run.
        night: Date of the run.
    """
    own = partition.select(history)
    of_date = own[own["night"] == night]
    if of_date.empty:
        return []
    earlier = history[(history["started"] < of_date["started"].min()) & (history["night"] != night)]
    if earlier.empty:
        return []
    same = partition.select(earlier)
    previous = _last_run(same) if len(same) else _last_run(earlier)
    current = _last_run(of_date)
    changes = [
        f"{name}: {previous[name].iloc[-1]} → {key}"
        for name, key in asdict(partition).items()
        if previous[name].iloc[-1] != key
    ]
    for column in ("versions", "hardware"):
        changes += _list_value_changes(json.loads(previous[column].iloc[-1]), json.loads(current[column].iloc[-1]))
    return [escape_terminal(change) for change in [*changes, *_list_code_changes(previous, current)]]


def _last_run(history: pd.DataFrame) -> pd.DataFrame:
    return history[history["started"] == history["started"].max()]


def _list_value_changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    return [f"{name} {before[name]} → {after[name]}" for name in after if before.get(name, after[name]) != after[name]]


def _list_code_changes(previous: pd.DataFrame, current: pd.DataFrame) -> list[str]:
    before, after = (dict(zip(run["architecture"], run["code"], strict=True)) for run in (previous, current))
    changed = [name for name, code in after.items() if before.get(name, code) != code]
    return [f"code of {', '.join(changed)}"] if changed else []
