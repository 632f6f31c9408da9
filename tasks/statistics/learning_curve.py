"""Test score as a function of the number of training reviews."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tasks.config.metric_names import DEFAULT_METRIC
from tasks.evaluation.grouping import ReviewGroups
from tasks.evaluation.metrics import METRICS, Floats
from tasks.evaluation.predictions import Predictions, metric_contributions, predictions_of_split
from tasks.statistics.confidence_intervals import confidence_interval, estimate_variance, score_interval

SeedRows = dict[int, Floats]  # seed to (reviews,) contributions


def learning_curve(
    predictions: Mapping[float, pd.DataFrame],
    trials: pd.DataFrame,
    deterministic: Collection[str],
    metric: str = DEFAULT_METRIC,
) -> pd.DataFrame:
    """Compute the test score of each architecture after training on each fraction of the training reviews.

    Args:
        predictions: Fraction to the table predictions of its trials.
        trials: Trials of all fractions, with the columns architecture, train_fraction, train_reviews.
        deterministic: Architectures that do not depend on the seed.
        metric: Metric of the score.

    Returns:
        Columns architecture, fraction, train_reviews, mean, std, low, high (test score, 95% interval from seed and
        review variance), seeds, then gain, gain_low, gain_high: the difference to the next smaller fraction,
        paired by seed and review (NaN for the smallest fraction or without a shared seed). Ordered by architecture,
        then fraction.
    """
    train_reviews = trials.groupby("train_fraction")["train_reviews"].max()
    rows, bounded = [], METRICS[metric].is_bounded
    previous: dict[str, SeedRows] = {}
    for fraction in sorted(predictions):
        arrays = predictions_of_split(predictions[fraction], "test")
        for name, by_seed in _contributions_by_seed(arrays, metric).items():
            row = {"architecture": name, "fraction": fraction, "train_reviews": int(train_reviews[fraction])}
            kind: dict[str, Any] = {"bounded": bounded, "deterministic": name in deterministic, "groups": arrays.groups}
            score = _score_columns(np.stack(list(by_seed.values())), **kind)
            gain = _gain_columns(previous.get(name, {}), by_seed, **kind)
            rows.append(row | score | gain)
            previous[name] = by_seed
    return pd.DataFrame(rows).sort_values(["architecture", "fraction"], kind="stable", ignore_index=True)


def _contributions_by_seed(predictions: Predictions, metric: str) -> dict[str, SeedRows]:
    """Return the contributions of each architecture to the metric, by seed."""
    contributions = metric_contributions(predictions, [metric])[metric]
    return {
        name: {predictions.seeds[index]: contributions[place, index] for index in np.flatnonzero(present)}
        for place, (name, present) in enumerate(zip(predictions.architectures, predictions.present, strict=True))
    }


def _score_columns(
    table: Floats, *, bounded: bool, deterministic: bool, groups: ReviewGroups | None
) -> dict[str, float]:
    """Summarize (seeds, reviews) contributions."""
    scores, mean = table.mean(axis=1), float(table.mean())
    variance = estimate_variance(table, deterministic=deterministic and len(table) == 1, groups=groups)
    reviews = table.shape[1] if groups is None else groups.effective
    low, high = score_interval(mean, variance, bounded=bounded, reviews=reviews)
    std = float(scores.std(ddof=1)) if len(scores) > 1 else np.nan
    return {"mean": mean, "std": std, "low": low, "high": high, "seeds": len(scores)}


def _gain_columns(
    previous: SeedRows, current: SeedRows, *, bounded: bool, deterministic: bool, groups: ReviewGroups | None
) -> dict[str, float]:
    """Compare contributions with those after the next smaller fraction, by their shared seeds."""
    shared = sorted(set(previous) & set(current))
    if not shared:
        return {"gain": np.nan, "gain_low": np.nan, "gain_high": np.nan}
    table = np.stack([current[seed] - previous[seed] for seed in shared])
    gain = float(table.mean())
    fixed = deterministic and len(table) == 1
    variance = estimate_variance(table, bounded=bounded, deterministic=fixed, groups=groups)
    low, high = confidence_interval(gain, variance)
    return {"gain": gain, "gain_low": low, "gain_high": high}
