"""Which seeds failed, as the figures mark them."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FAILURE_CAPTION = (
    " A cross is a seed of which the training failed; the mean contains it. Seeds that diverged count as failed and "
    "have no score."
)
FailedSeeds = Mapping[str, Collection[int]]


def failed_seeds(summary: pd.DataFrame | None) -> dict[str, set[int]]:
    """Return the seeds with scores of each architecture of which the training failed, by the frame summary."""
    if summary is None or "failed_seeds" not in summary:
        return {}
    rows = summary[summary["split"] == "test"].drop_duplicates("architecture")
    texts = zip(rows["architecture"].map(str), rows["failed_seeds"].map(str), strict=True)
    return {name: {int(seed) for seed in text.split(", ")} for name, text in texts if text}


def failure_notes(trials: pd.DataFrame, failed: FailedSeeds) -> dict[str, str]:
    """Return how many seeds of an architecture failed, including those that diverged, by architecture."""
    status = trials["status"] if "status" in trials else pd.Series("finished", trials.index)
    notes = {}
    for name, own in status.groupby(trials["architecture"], observed=True):
        if count := len(failed.get(str(name), ())) + int((own == "diverged").sum()):
            notes[str(name)] = f"{count} of {len(own)} seed{'s' * (len(own) > 1)} failed"
    return notes


def failed_counts(pairs: pd.DataFrame) -> dict[str, str]:
    """Return how many seeds of an architecture failed or diverged, by architecture, by the frame pairs."""
    counts: dict[str, int] = {}
    for side in ("first", "second"):
        if f"{side}_failed" in pairs:
            counts |= dict(zip(pairs[side].map(str), pairs[f"{side}_failed"].astype(int), strict=True))
    return {name: f"{count} seed{'s' * (count > 1)} failed" for name, count in counts.items() if count}


def is_failed(scores: pd.DataFrame, failed: FailedSeeds) -> NDArray[np.bool_]:
    """Return which rows (rows,) with the columns architecture and seed are those of a seed that failed."""
    rows = zip(scores["architecture"], scores["seed"], strict=True)
    return np.array([seed in failed.get(str(name), ()) for name, seed in rows], dtype=bool)
