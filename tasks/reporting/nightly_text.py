"""Format nightly results as sentences and tables."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from tasks.config.labels import in_order, label
from tasks.nightly.detection import ALL
from tasks.reporting.tables import Rounded, joined, number


def in_words(alarm: Mapping[Any, Any]) -> str:
    """Say an alarm in a sentence."""
    who = "All architectures" if alarm["architecture"] == ALL else label(alarm["architecture"])
    how = {
        "relative_seconds": f"training takes {100 * np.expm1(alarm['worse']):.0f}% longer against the sgemm probe",
        "log_loss": f"log-loss is {alarm['worse']:.3f} higher",
    }.get(alarm["measure"], f"{label(alarm['measure'])} is {100 * alarm['worse']:.2f} points lower")
    values = f"{alarm['new']} new against {alarm['before']} before"
    certain = "slow drift, CUSUM" if alarm["sign"] == "drift" else f"{alarm['sign']}, {values}"
    if np.isfinite(alarm["p"]):
        certain += f", p after Holm {'< 0.0001' if alarm['p'] < 0.0001 else format(alarm['p'], '.4f')}"
    return f"{who}: {how} ({certain})."


def alarms_in_words(found: pd.DataFrame, night: date) -> list[str]:
    """Say what one night raises, and what changed between it and the night before."""
    tonight = found[found["night"] == night]
    if tonight.empty:
        return []
    changed = tonight["changed"].iloc[0] or "nothing that is known"
    return [*(in_words(alarm) for alarm in tonight.to_dict("records")), f"Changed since the night before: {changed}."]


def nights_in_words(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """Say in sentences how much the nights have brought together, and whether tonight is worse; none for one night."""
    nights = frames.get("nights")
    if nights is None or nights["night"].nunique() < 2:
        return []
    tonight = nights["night"].max()
    seeds = nights.loc[nights["night"] == tonight, "seeds"]
    many = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    begun = f"After {nights['night'].nunique()} nights: {many} seeds."
    words = alarms_in_words(frames["alarms"], tonight)
    return [begun, *(words or ["Tonight is no worse than the nights before."])]


def night_table(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Tabulate the nights, the newest first: seeds so far, accuracy with its interval (%), what is missing, alarms."""
    nights, raised = frames["nights"], frames["alarms"]
    rows = []
    for night, own in nights.groupby("night", sort=False):
        row: dict[str, object] = {"Night": str(night), "Seeds so far": int(own["seeds"].max())}
        row |= {label(each["architecture"]): _with_half_width(each) for each in own.to_dict("records")}
        alarms = [in_words(alarm) for alarm in raised[raised["night"] == night].to_dict("records")]
        missing = [f"{own['missing'].sum()} trials without a score."] if own["missing"].sum() else []
        rows.append(row | {"Alarms": " ".join([*missing, *alarms])})
    columns = ["Night", "Seeds so far", *map(label, in_order(nights["architecture"])), "Alarms"]
    return pd.DataFrame(rows, columns=columns).fillna("").iloc[::-1].reset_index(drop=True)


def _with_half_width(row: Mapping[Any, Any]) -> str | Rounded:
    half = (row["high"] - row["low"]) / 2
    middle = number(row["mean"], 2, 100) if np.isfinite(row["mean"]) else "–"
    return joined("{} ± {}", middle, number(half, 2, 100)) if np.isfinite(half) else middle
