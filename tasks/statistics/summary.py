"""Each architecture by itself: its mean score with an interval, and how much of the noise comes from where."""

import itertools
from collections.abc import Collection

import numpy as np
import pandas as pd

from tasks.evaluation.metrics import LOWER_IS_BETTER, Floats
from tasks.evaluation.predictions import Panel
from tasks.statistics.resampling import interval, noise, seed_weights, share_interval


def summarise_panel(
    data: Panel,
    given: dict[str, Floats],
    resampled: dict[str, Floats],
    split: str,
    trials: pd.DataFrame | None,
    deterministic: Collection[str],
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Summarise each architecture and metric on one split, one row each, with its interval and its two variances.

    Args:
        data: The predictions of the split.
        given: Metric to (architectures, seeds, reviews) contributions.
        resampled: Metric to (architectures, seeds, draws) means over resampled reviews.
        split: Its name.
        trials: Columns architecture and status, to count what diverged; None if unknown.
        deterministic: Architectures that give the same model with any seed.
        seed: Of the draws of seeds.
    """
    rows = []
    for (a, name), metric in itertools.product(enumerate(data.architectures), given):
        there = data.present[a]
        fixed = int(there.sum()) == 1 and name in deterministic
        row = _summarise(given[metric][a][there], resampled[metric][a][there], metric=metric, fixed=fixed, seed=seed)
        named = {"architecture": name, "split": split, "metric": metric}
        rows.append({**named, **row, "diverged": diverged_seeds(trials, name)})
    return pd.DataFrame(rows)[SUMMARY_COLUMNS]


SUMMARY_COLUMNS = [
    "architecture", "split", "metric", "mean", "std", "min", "max", "low", "high", "seeds", "diverged",
    "seed_variance", "item_variance", "bootstrap_low", "bootstrap_high", "note",
]  # fmt: skip


def _summarise(table: Floats, drawn: Floats, *, metric: str, fixed: bool, seed: int) -> dict[str, object]:
    """Summarise one architecture in one metric: contributions (seeds, reviews), resampled means (seeds, draws)."""
    scores, (seeds, reviews) = table.mean(axis=1), table.shape
    of, mean = noise(table, fixed_seeds=fixed), float(scores.mean())
    low, high = interval(mean, of) if metric in LOWER_IS_BETTER else share_interval(mean, of, reviews=reviews)
    draws = np.einsum("sd,sd->d", drawn, seed_weights(seeds, draws=drawn.shape[1], seed=seed))
    return {
        "mean": mean, "std": float(scores.std(ddof=1)) if seeds > 1 else np.nan, "min": scores.min(),
        "max": scores.max(), "low": low, "high": high, "seeds": seeds, "seed_variance": of.seed_variance,
        "item_variance": of.item_variance, "bootstrap_low": np.quantile(draws, 0.025),
        "bootstrap_high": np.quantile(draws, 0.975), "note": _note(seeds, fixed),
    }  # fmt: skip


def _note(seeds: int, fixed: bool) -> str:
    """Say what a row cannot tell."""
    if fixed:
        return "no randomness in training: the interval holds the test reviews' noise, all there is"
    return "one seed: seed noise is unknown, the interval holds the reviews' noise alone" if seeds == 1 else ""


def diverged_seeds(trials: pd.DataFrame | None, architecture: str) -> int:
    """Count the trials of an architecture whose training diverged."""
    if trials is None or "status" not in trials:
        return 0
    return int(((trials["architecture"] == architecture) & (trials["status"] == "diverged")).sum())
