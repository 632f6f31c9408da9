"""Summary of each architecture: mean score with its interval, seed variance and review variance."""

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.evaluation.grouping import ReviewGroups
from tasks.evaluation.metrics import LOWER_IS_BETTER, Floats
from tasks.evaluation.predictions import Predictions
from tasks.statistics.confidence_intervals import confidence_interval, estimate_variance, wilson_interval
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.resampling import bootstrap_seed_weights

SUMMARY_COLUMNS = [
    "architecture", "split", "metric", "mean", "std", "min", "max", "low", "high", "seeds", "diverged",
    "seed_variance", "item_variance", "bootstrap_low", "bootstrap_high", "note",
]  # fmt: skip


def summarize(
    predictions: Predictions,
    contributions: Mapping[str, Floats],
    resampled_means: Mapping[str, NDArray[np.float32]],
    split: str,
    trials: pd.DataFrame | None,
    options: ComparisonOptions,
) -> pd.DataFrame:
    """Summarize each architecture and metric on one split.

    Args:
        predictions: Predictions of the split.
        contributions: Metric to (architectures, seeds, reviews) contributions.
        resampled_means: Metric to (architectures, seeds, draws) means over resampled reviews.
        split: Name of the split.
        trials: Columns architecture and status, to count diverged trials; None if unknown.
        options: Options of the comparison.

    Returns:
        One row per architecture and metric, with the columns `SUMMARY_COLUMNS`.
    """
    rows = []
    for (index, name), metric in itertools.product(enumerate(predictions.architectures), contributions):
        present = predictions.present[index]
        deterministic = int(present.sum()) == 1 and name in options.deterministic
        row = _summary_row(
            contributions[metric][index][present], resampled_means[metric][index][present].astype(np.float64),
            metric=metric, deterministic=deterministic, seed=options.seed, groups=predictions.groups,
        )  # fmt: skip
        key = {"architecture": name, "split": split, "metric": metric}
        rows.append({**key, **row, "diverged": count_diverged(trials, name)})
    return pd.DataFrame(rows)[SUMMARY_COLUMNS]


def _summary_row(
    table: Floats,
    resampled_means: Floats,
    *,
    metric: str,
    deterministic: bool,
    seed: int,
    groups: ReviewGroups | None,
) -> dict[str, object]:
    """Summarize one architecture in one metric, from (seeds, reviews) contributions and (seeds, draws) means."""
    scores, (seeds, reviews) = table.mean(axis=1), table.shape
    variance, mean = estimate_variance(table, deterministic=deterministic, groups=groups), float(scores.mean())
    if metric in LOWER_IS_BETTER:
        low, high = confidence_interval(mean, variance)
    else:
        low, high = wilson_interval(mean, variance, reviews=reviews if groups is None else groups.effective)
    weights = bootstrap_seed_weights(seeds, draws=resampled_means.shape[1], seed=seed)
    bootstrap_means = np.einsum("sd,sd->d", resampled_means, weights)
    return {
        "mean": mean,
        "std": float(scores.std(ddof=1)) if seeds > 1 else np.nan,
        "min": scores.min(),
        "max": scores.max(),
        "low": low,
        "high": high,
        "seeds": seeds,
        "seed_variance": variance.seed_variance,
        "item_variance": variance.review_variance,
        "bootstrap_low": np.quantile(bootstrap_means, 0.025),
        "bootstrap_high": np.quantile(bootstrap_means, 0.975),
        "note": _note(seeds, deterministic),
    }


def _note(seeds: int, deterministic: bool) -> str:
    """Return the restrictions of a row."""
    if deterministic:
        return "no randomness in training: the interval contains the review variance, the only source of variance"
    if seeds == 1:
        return "one seed: the seed variance is unknown, the interval contains the review variance only"
    return ""


def count_diverged(trials: pd.DataFrame | None, architecture: str) -> int:
    """Return the number of trials of an architecture that diverged; 0 if the status is unknown."""
    if trials is None or "status" not in trials:
        return 0
    return int(((trials["architecture"] == architecture) & (trials["status"] == "diverged")).sum())
