"""Format nightly results as sentences and tables."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from tasks.config.labels import in_display_order, label
from tasks.nightly.alarm_detection import ALL_ARCHITECTURES, DRIFT, WINDOW
from tasks.reporting.formatting import FormattedNumber, combine, format_number, label_in_sentence
from tasks.reporting.verdict_format import pluralize


def format_alarm(alarm: Mapping[Any, Any]) -> str:
    """Format one row of the table `alarms` as a sentence."""
    everyone = alarm["architecture"] == ALL_ARCHITECTURES
    name = "All architectures" if everyone else label(alarm["architecture"])
    subject, comparative, amount = _describe_deterioration(alarm["metric"], alarm["deterioration"])
    values = f"{pluralize(alarm['new_values'], 'new value')}, {pluralize(alarm['earlier_values'], 'earlier value')}"
    if alarm["detector"] == DRIFT:
        return f"{name}: {subject} {comparative} than in earlier nightly runs by {amount} (slow drift, CUSUM)."
    if not np.isfinite(alarm["p"]):  # a baseline
        return f"{name}: {subject} {comparative} than in the previous nightly run by {amount}."
    p = "< 0.0001" if alarm["p"] < 0.0001 else format(alarm["p"], ".4f")
    return (
        f"{name}: {subject} significantly {comparative} than in the previous nightly runs (at most {WINDOW}) "
        f"by {amount} ({alarm['detector']}: {values}, p after Holm {p})."
    )


def _describe_deterioration(metric: str, deterioration: float) -> tuple[str, str, str]:
    """Return subject with verb, comparative and amount of a deterioration."""
    if metric == "relative_seconds":
        return "training time relative to the matrix product is", "longer", f"{100 * np.expm1(deterioration):.0f}%"
    if metric == "log_loss":
        return "log-loss is", "higher", f"{deterioration:.3f}"
    return f"{label_in_sentence(metric)} is", "lower", f"{100 * deterioration:.2f} points"


def format_alarms(alarms: pd.DataFrame, night: date) -> list[str]:
    """Format the alarms of one nightly run, and what changed since the run before.

    Returns:
        Sentences; none if the run raised no alarm.
    """
    raised = alarms[alarms["night"] == night]
    if raised.empty:
        return []
    changed = raised["changed"].iloc[0] or "nothing that is recorded"
    sentences = [format_alarm(alarm) for alarm in raised.to_dict("records")]
    return [*sentences, f"Changed since the previous nightly run: {changed}."]


def format_nightly_summary(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """Format the number of nightly runs and seeds, and the alarms of the last one.

    Returns:
        Sentences; none if there are fewer than two nightly runs.
    """
    nights = frames.get("nights")
    if nights is None or nights["night"].nunique() < 2:
        return []
    last = nights["night"].max()
    seeds = nights.loc[nights["night"] == last, "seeds"]
    number_of_seeds = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    summary = f"After {nights['night'].nunique()} nightly runs: {number_of_seeds} seeds."
    alarms = format_alarms(frames["alarms"], last)
    return [summary, *(alarms or ["The last nightly run is not worse than the earlier ones."])]


def nightly_table(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the trend as text, the newest nightly run first.

    Returns:
        Columns Nightly run (date), Seeds, one per architecture (test accuracy and half the width of its 95% interval,
        in percent), and Alarms (with the number of trials without a score).
    """
    nights, alarms = frames["nights"], frames["alarms"]
    rows = []
    for night, group in nights.groupby("night", sort=False):
        row: dict[str, object] = {"Nightly run": str(night), "Seeds": int(group["seeds"].max())}
        row |= {label(each["architecture"]): _with_half_width(each) for each in group.to_dict("records")}
        sentences = [format_alarm(alarm) for alarm in alarms[alarms["night"] == night].to_dict("records")]
        missing = [f"{group['missing'].sum()} trials without a score."] if group["missing"].sum() else []
        rows.append(row | {"Alarms": " ".join([*missing, *sentences])})
    columns = ["Nightly run", "Seeds", *map(label, in_display_order(nights["architecture"])), "Alarms"]
    return pd.DataFrame(rows, columns=columns).fillna("").iloc[::-1].reset_index(drop=True)


def _with_half_width(row: Mapping[Any, Any]) -> str | FormattedNumber:
    half_width = (row["high"] - row["low"]) / 2
    mean = format_number(row["mean"], 2, 100) if np.isfinite(row["mean"]) else "–"
    return combine("{} ± {}", mean, format_number(half_width, 2, 100)) if np.isfinite(half_width) else mean
