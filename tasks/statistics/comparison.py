"""Comparison of all architectures: scores with intervals, paired tests, power and rank groups.

`pairs` defines when a difference is significant. The best architecture is chosen on the validation split; the test
split is only reported.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.config.errors import UserError
from tasks.config.metric_names import AUTO_METRIC
from tasks.evaluation.metrics import Floats
from tasks.evaluation.predictions import Predictions, metric_contributions, predictions_of_split
from tasks.statistics.confidence_intervals import design_effect
from tasks.statistics.main_metric import select_metric
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.pairs import compare_pairs
from tasks.statistics.power import power_table, seeds_for_exact_test
from tasks.statistics.ranking import expected_best_validation, omnibus_tests, rank_groups
from tasks.statistics.resampling import resample_reviews
from tasks.statistics.significance import MIN_SEEDS
from tasks.statistics.summary import summarize

Splits = Mapping[str, Predictions]
Contributions = dict[str, Floats]  # metric to (architectures, seeds, reviews)
ResampledMeans = dict[str, NDArray[np.float32]]  # metric to (architectures, seeds, draws)


def compare(
    predictions: pd.DataFrame, trials: pd.DataFrame | None = None, options: ComparisonOptions | None = None
) -> dict[str, pd.DataFrame]:
    """Compare all architectures on the test split, with the best one chosen on the validation split.

    Args:
        predictions: Columns architecture, seed, split ("validation", "test"), review_id, label, probability.
        trials: Columns architecture and seed and, where known, status, parameters, train_seconds, cpu_seconds and
            latency_ms; None if nothing is known.
        options: Options of the comparison; the defaults if None.

    Returns:
        The tables setup, summary, pairs, power, omnibus, groups and expected.

    Raises:
        UserError: If the predictions cannot be compared or the metric is unknown.
    """
    splits = {split: predictions_of_split(predictions, split) for split in ("validation", "test")}
    return compare_splits(splits, trials, options)


def compare_splits(
    splits: Splits, trials: pd.DataFrame | None = None, options: ComparisonOptions | None = None
) -> dict[str, pd.DataFrame]:
    """Compare as `compare` does, from the prediction arrays of the splits "validation" and "test"."""
    options = options or ComparisonOptions()
    is_default = options.metric == AUTO_METRIC
    options = replace(options, metric=select_metric(options.metric, splits))
    metric, test = options.metric, splits["test"]
    contributions = {split: metric_contributions(arrays, options.metrics) for split, arrays in splits.items()}
    _check_comparable(splits, contributions, metric)
    # The resampled means of the validation split are not kept: with many seeds they take more memory than the rest.
    validation_summary, _ = _summarize(splits["validation"], contributions["validation"], "validation", trials, options)
    test_summary, means = _summarize(test, contributions["test"], "test", trials, options)
    summary = pd.concat([validation_summary, test_summary], ignore_index=True)
    pairs, variances = compare_pairs(test, contributions["test"], means, options, trials)
    validation_scores = contributions["validation"][metric]
    return {
        "setup": _setup_table(splits, summary, len(variances), options).assign(metric_is_default=is_default),
        "summary": summary,
        "pairs": pairs,
        "power": power_table(pairs[pairs["metric"] == metric], variances, options),
        "omnibus": omnibus_tests(test, contributions["test"][metric], metric),
        "groups": rank_groups(summary, pairs, trials, metric=metric),
        "expected": expected_best_validation(splits["validation"], validation_scores, trials, metric=metric),
    }


def _summarize(
    predictions: Predictions,
    contributions: Contributions,
    split: str,
    trials: pd.DataFrame | None,
    options: ComparisonOptions,
) -> tuple[pd.DataFrame, ResampledMeans]:
    """Return the summary of a split and its resampled means."""
    means = resample_trials(predictions, contributions, options)
    summary = summarize(predictions, contributions, means, split, trials, options)
    return _add_design_effects(summary, predictions, contributions), means


def _add_design_effects(summary: pd.DataFrame, predictions: Predictions, contributions: Contributions) -> pd.DataFrame:
    """Add the column design_effect: by what factor groups of reviews change the review variance."""
    tables = {name: (index, predictions.present[index]) for index, name in enumerate(predictions.architectures)}
    effects = []
    for name, metric in zip(summary["architecture"], summary["metric"], strict=True):
        index, present = tables[name]
        effects.append(design_effect(contributions[metric][index][present], predictions.groups))
    return summary.assign(design_effect=effects)


def _setup_table(splits: Splits, summary: pd.DataFrame, pairs: int, options: ComparisonOptions) -> pd.DataFrame:
    """Return the options of a comparison and the sizes that follow from the data, as a table with one row."""
    effects = summary.loc[summary["split"].eq("test") & summary["metric"].eq(options.metric), "design_effect"]
    row = {
        "metric": options.metric,
        "alpha": options.alpha,
        "margin": options.margin,
        "pairs": pairs,
        "min_seeds": MIN_SEEDS,
        "seeds_for_exact_test": seeds_for_exact_test(options.alpha / max(pairs, 1)),
        "draws": options.draws,
        "validation_reviews": len(splits["validation"].labels),
        "test_reviews": len(splits["test"].labels),
        "validation_groups": _count_groups(splits["validation"]),
        "test_groups": _count_groups(splits["test"]),
        "effective_test_groups": _effective_groups(splits["test"]),
        "groups_known": options.groups_known,
        "design_effect": float(effects.median()),
    }
    return pd.DataFrame([row])


def _count_groups(predictions: Predictions) -> int:
    """Return the number of independent groups of reviews; the number of reviews if no groups are known."""
    return len(predictions.labels if predictions.groups is None else predictions.groups.sizes)


def _effective_groups(predictions: Predictions) -> float:
    """Return the effective number of groups: a few large groups count as few."""
    return float(len(predictions.labels)) if predictions.groups is None else predictions.groups.effective


def _check_comparable(splits: Splits, contributions: Mapping[str, Contributions], metric: str) -> None:
    """Raise UserError if the metric is unknown or an architecture has predictions of only one split."""
    if metric not in contributions["test"] or metric not in contributions["validation"]:
        raise UserError(f"Cannot compare by {metric!r}. These labels allow: {', '.join(contributions['test'])}.")
    unequal = set(splits["test"].architectures) ^ set(splits["validation"].architectures)
    if unequal:
        raise UserError(
            f"These architectures have predictions of only one split: {', '.join(sorted(unequal))}. Predict the "
            "validation and the test split with every architecture: the best one is chosen on validation and reported "
            "on test."
        )


def resample_trials(
    predictions: Predictions, contributions: Contributions, options: ComparisonOptions
) -> ResampledMeans:
    """Resample the reviews for all trials and metrics at once.

    Returns:
        Metric to (architectures, seeds, draws) float32, the resampled means; NaN where a trial is missing.
    """
    stacked = np.concatenate([values[predictions.present] for values in contributions.values()])
    drawn = resample_reviews(stacked, draws=options.draws, seed=options.seed, groups=predictions.groups)
    means = np.split(drawn, len(contributions))
    shape = (*predictions.present.shape, options.draws)
    resampled = {metric: np.full(shape, np.nan, dtype=np.float32) for metric in contributions}
    for metric, values in zip(contributions, means, strict=True):
        resampled[metric][predictions.present] = values
    return resampled
