"""Summary of each architecture: mean score with its interval, seed variance and review variance."""

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd
import scipy  # submodules load on first use, so training processes do not pay for them
from numpy.typing import NDArray

from tasks.evaluation.grouping import ReviewGroups
from tasks.evaluation.metrics import METRICS, Floats
from tasks.evaluation.predictions import Predictions
from tasks.statistics.confidence_intervals import (
    estimate_variance,
    score_interval,
)
from tasks.statistics.failed_seeds import failure_rate_bound, find_failed_seeds, without_seed
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.resampling import bootstrap_seed_weights

SUMMARY_COLUMNS = [
    "architecture", "split", "metric", "mean", "std", "min", "max", "low", "high", "seeds", "diverged",
    "seed_variance", "item_variance", "bootstrap_low", "bootstrap_high", "median", "iqm", "failed", "failed_seeds",
    "failure_rate_high", "mean_without_failed", "low_without_failed", "high_without_failed", "note",
]  # fmt: skip
INTERVAL_COLUMNS = ("low", "high", "bootstrap_low", "bootstrap_high", "low_without_failed", "high_without_failed")
CONSTANT_NOTE = "constant predictions: this score is {:g} by definition and has no interval"


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
    rows, names = [], predictions.architectures
    fixed = without_seed(predictions, options.deterministic)
    failed = find_failed_seeds(
        predictions, contributions[options.metric], options.metric, options.deterministic
    )  # fmt: skip
    for (index, name), metric in itertools.product(enumerate(names), contributions):
        present, diverged = predictions.present[index], count_diverged(trials, name)
        table = contributions[metric][index][present]
        row = _summary_row(
            table, resampled_means[metric][index][present].astype(np.float64), metric=metric,
            deterministic=bool(fixed[index]), seed=options.seed, groups=predictions.groups,
        )  # fmt: skip
        row |= _failure_columns(
            table,
            failed[index][present],
            diverged,
            metric=metric,
            deterministic=bool(fixed[index]),
            groups=predictions.groups,
        )
        row["failed_seeds"] = ", ".join(str(predictions.seeds[seed]) for seed in np.flatnonzero(failed[index]))
        if METRICS[metric].is_fixed_if_constant and _is_constant(predictions.probabilities[index][present]):
            note = CONSTANT_NOTE.format(float(str(row["mean"])))
            row |= {**dict.fromkeys(INTERVAL_COLUMNS, np.nan), "note": note}
        key = {"architecture": name, "split": split, "metric": metric}
        rows.append({**key, **row, "diverged": diverged})
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
    scores, seeds = table.mean(axis=1), len(table)
    variance, mean = estimate_variance(table, deterministic=deterministic, groups=groups), float(scores.mean())
    reviews = table.shape[1] if groups is None else groups.effective
    low, high = score_interval(mean, variance, bounded=METRICS[metric].is_bounded, reviews=reviews)
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
        "median": float(np.median(scores)),
        # The interquartile mean: a fourth of the seeds is left out on either side (Agarwal et al. 2021).
        "iqm": float(scipy.stats.trim_mean(scores, 0.25)),
        "note": _note(seeds, deterministic),
    }


def _failure_columns(
    table: Floats,
    failed: NDArray[np.bool_],
    diverged: int,
    *,
    metric: str,
    deterministic: bool,
    groups: ReviewGroups | None,
) -> dict[str, object]:
    """Return how many seeds failed, how many may fail, and the mean of the others with its interval.

    Args:
        table: (seeds, reviews) contributions.
        failed: (seeds,) bool.
        diverged: Number of further seeds that diverged.
        metric: Name of the metric.
        deterministic: Whether the architecture has no seed.
        groups: Groups of the reviews; None if each review is its own.
    """
    others = table[~failed] if not failed.all() else table  # if all seeds failed, there is no other score
    variance = estimate_variance(others, deterministic=deterministic, groups=groups)
    mean, count = float(others.mean()), int(failed.sum())
    reviews = table.shape[1] if groups is None else groups.effective
    low, high = score_interval(mean, variance, bounded=METRICS[metric].is_bounded, reviews=reviews)
    columns: dict[str, object] = {
        "failed": count,
        "failure_rate_high": np.nan if deterministic else failure_rate_bound(count + diverged, len(table) + diverged),
        "mean_without_failed": mean, "low_without_failed": low, "high_without_failed": high,
    }  # fmt: skip
    if count:
        columns["note"] = f"{count} of {len(table)} seeds failed: the mean contains them"
    return columns


def _is_constant(probabilities: NDArray[np.float32]) -> bool:
    """Return whether every seed predicts the same probability for all reviews, from (seeds, reviews, …)."""
    return bool((probabilities == probabilities[:, :1]).all())


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
