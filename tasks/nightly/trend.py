"""How the nights went: their trend and alarms as frames, tables and sentences, and what changed between them."""

import json
from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd
from scipy.stats import t as student

from tasks.config.escape import escape_terminal
from tasks.config.labels import BASELINE_NAMES
from tasks.evaluation.metrics import Floats
from tasks.nightly.detection import alarms_of
from tasks.nightly.history import fresh, of

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
        its 95% interval over seeds (`mean`, `low`, `high`), the accuracy and relative time of that night's new trials
        (`fresh`: how many; `fresh_mean`, `relative_seconds`), and how many trials are `missing`.
    """
    networks = past[~past["architecture"].isin(BASELINE_NAMES)]
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
