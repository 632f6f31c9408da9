"""Simulations of reviews that belong to groups, such as films. `tests.simulations.prove` runs them."""

from dataclasses import replace

import numpy as np
from scipy import stats

from tasks.evaluation.predictions import metric_contributions
from tasks.statistics.comparison import compare_splits
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.summary import summarize
from tests.helpers.simulated_predictions import RESIDUAL_STD, REVIEW_STD, mean_margin, simulate_predictions

GROUP_SIZES = (1, 7, 30)
REVIEWS = 2_000  # few, so that there are as few as 67 groups
ACCURACY, SEED_STD, ARCHITECTURE_STD = 0.87, 0.005, 0.7


def true_scores() -> dict[str, float]:
    """Return the true score of a simulated model in each metric, over seeds and reviews."""
    review_std = float(np.sqrt(REVIEW_STD**2 + RESIDUAL_STD**2 + ARCHITECTURE_STD**2))
    seed_std = SEED_STD / stats.norm.pdf(stats.norm.ppf(ACCURACY)) * review_std
    mean = mean_margin(ACCURACY, std=float(np.hypot(review_std, seed_std)))
    margins = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000, mean, np.hypot(review_std, seed_std))
    # A positive and a negative review are in the wrong order if the sum of their margins is below 0.
    auc = stats.norm.cdf(2 * mean / np.sqrt(2 * review_std**2 + 4 * seed_std**2))
    # Recall and precision of both classes are the accuracy, and so is F1.
    return {
        "accuracy": ACCURACY,
        "f1": ACCURACY,
        "auc": float(auc),
        "log_loss": float(np.logaddexp(0, -margins).mean()),
    }


def covers_true_scores(
    number: int, *, group_size: int, reviews: int = REVIEWS, ignore: bool = False
) -> dict[str, bool]:
    """Return for each metric whether the interval of the score contains the true score.

    Args:
        number: Number of the simulation, which decides the random draws.
        group_size: Number of reviews of a group.
        reviews: Number of test reviews.
        ignore: Whether the intervals are computed as if the groups were unknown.
    """
    seed, options = [3, group_size, number], ComparisonOptions(draws=2)
    test = simulate_predictions(
        [ACCURACY], seeds=5, reviews=reviews, seed=seed, seed_std=SEED_STD, architecture_std=ARCHITECTURE_STD,
        group_size=group_size,
    )["test"]  # fmt: skip
    test = replace(test, groups=None) if ignore else test
    contributions, truth = metric_contributions(test), true_scores()
    resampled = {metric: values[..., :2] for metric, values in contributions.items()}  # the bootstrap is not checked
    rows = summarize(test, contributions, resampled, "test", None, options).set_index("metric")
    return {metric: bool(rows.loc[metric, "low"] <= truth[metric] <= rows.loc[metric, "high"]) for metric in truth}


def equal_models_differ(number: int, *, group_size: int, reviews: int = REVIEWS, ignore: bool = False) -> bool:
    """Compare two equal models, and return whether the p-value of their difference is at most 5%.

    Args as in `covers_true_scores`.
    """
    splits = simulate_predictions(
        [ACCURACY] * 2, seeds=5, reviews=reviews, seed=[4, group_size, number], seed_std=SEED_STD,
        architecture_std=ARCHITECTURE_STD, group_size=group_size,
    )  # fmt: skip
    splits = {name: replace(split, groups=None) if ignore else split for name, split in splits.items()}
    options = ComparisonOptions(metrics=["accuracy"], draws=2)
    return bool(compare_splits(splits, options=options)["pairs"]["p"].iloc[0] <= 0.05)
