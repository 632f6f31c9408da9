"""How the nights went: their trend and alarms as frames, tables and sentences, and what changed between them."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from tasks.appearance import in_order, label
from tasks.baselines import BASELINES
from tasks.escape import escape_terminal
from tasks.history import fresh, of
from tasks.metrics import Floats
from tasks.regression import ALL, alarms_of
from tasks.report_tables import Rounded, joined, number

TREND = [
    "night", "architecture", "seeds", "mean", "low", "high", "fresh", "fresh_mean", "relative_seconds", "missing",
]  # fmt: skip


def night_frames(past: pd.DataFrame, where: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Give the frames of the nights of one data set and configuration: `nights`, and `alarms` with what changed.

    Args:
        past: The whole history.
        where: The nights to show.
    """
    own = of(past, where)
    alarms = alarms_of(fresh(own))
    changed = {night: "; ".join(changes(past, where, night)) for night in set(alarms["night"])}
    return {"nights": trend(own), "alarms": alarms.assign(changed=alarms["night"].map(changed))}


def trend(past: pd.DataFrame) -> pd.DataFrame:
    """Follow each network over the nights of one data set and configuration.

    Returns:
        One row a night and architecture: `seeds` so far (of that night's fullest run), their mean test accuracy with
        its 95% interval over seeds (`mean`, `low`, `high`), the accuracy and relative time of that night's new cells
        (`fresh`: how many; `fresh_mean`, `relative_seconds`), and how many cells are `missing`.
    """
    networks = past[~past["architecture"].isin(BASELINES)]
    new = fresh(networks)
    found = []
    for (night, name), own in networks.groupby(["night", "architecture"], sort=False):
        last = own[own["started"] == own.groupby("started")["accuracy"].count()[::-1].idxmax()]  # the fullest run
        values = last["accuracy"].dropna().to_numpy()
        tonight = new[(new["night"] == night) & (new["architecture"] == name)]
        low, high = mean_interval(values)
        found.append(
            {"night": night, "architecture": name, "seeds": len(values)}
            | {"mean": values.mean() if len(values) else np.nan, "low": low, "high": high, "fresh": len(tonight)}
            | {"fresh_mean": tonight["accuracy"].mean(), "relative_seconds": tonight["relative_seconds"].mean()}
            | {"missing": int(last["accuracy"].isna().sum())}
        )
    return pd.DataFrame(found, columns=TREND)


def mean_interval(values: Floats) -> tuple[float, float]:
    """Give the 95% interval of a mean by Student's t distribution; NaN for one value, which shows no spread."""
    if len(values) < 2:
        return float("nan"), float("nan")
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def changes(past: pd.DataFrame, where: Mapping[str, str], night: date) -> list[str]:
    """Say in sentences what is other than in the run before `night`: reviews, settings, versions, code, hardware."""
    now = of(past, where).query("night == @night")
    before = past[(past["started"] < now["started"].min()) & (past["night"] != night)] if len(now) else now
    if before.empty:
        return []
    same = of(before, where)
    last = (same if len(same) else before).iloc[-1]
    run = before[before["started"] == last["started"]]
    said = [f"{name}: {last[name]} → {value}" for name, value in where.items() if last[name] != value]
    tonight = now[now["started"] == now["started"].max()]
    for part in ("versions", "hardware"):
        old, new = json.loads(last[part]), json.loads(tonight[part].iloc[-1])
        said += [f"{name} {old.get(name)} → {new.get(name)}" for name in new if old.get(name) != new.get(name)]
    codes = [dict(zip(rows["architecture"], rows["code"], strict=True)) for rows in (run, tonight)]
    other = [name for name, code in codes[1].items() if codes[0].get(name, code) != code]
    said += [f"code of {', '.join(other)}"] if other else []
    return [escape_terminal(sentence) for sentence in said]


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
        missing = [f"{own['missing'].sum()} cells without a score."] if own["missing"].sum() else []
        rows.append(row | {"Alarms": " ".join([*missing, *alarms])})
    columns = ["Night", "Seeds so far", *map(label, in_order(nights["architecture"])), "Alarms"]
    return pd.DataFrame(rows, columns=columns).fillna("").iloc[::-1].reset_index(drop=True)


def _with_half_width(row: Mapping[Any, Any]) -> str | Rounded:
    half = (row["high"] - row["low"]) / 2
    middle = number(row["mean"], 2, 100) if np.isfinite(row["mean"]) else "–"
    return joined("{} ± {}", middle, number(half, 2, 100)) if np.isfinite(half) else middle
