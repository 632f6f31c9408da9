"""Simulations of reviews that belong to groups, such as films, or to a rare class, for `tests.simulations.prove`."""

import functools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy import stats

from tasks.evaluation.predictions import metric_contributions
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.summary import summarize
from tests.helpers.simulated_predictions import RESIDUAL_STD, REVIEW_STD, mean_margin, simulate_predictions
from tests.simulations.simulated_pairs import compare_test_pairs

GROUP_SIZES = (1, 7, 30)
REVIEWS = 2_000  # few, so that there are as few as 67 groups
RARE_SHARE = 0.05  # of positive reviews: 100 of 2,000
ACCURACY, SEED_STD, ARCHITECTURE_STD = 0.87, 0.005, 0.7
MODEL: dict[str, float] = {"seed_std": SEED_STD, "architecture_std": ARCHITECTURE_STD}


@functools.cache
def true_scores(positive_share: float = 0.5) -> Mapping[str, float]:
    """Return the true score of a simulated model in each metric: the mean over seeds, each on infinitely many reviews.

    Args:
        positive_share: Share of positive reviews.
    """
    review_std = float(np.sqrt(REVIEW_STD**2 + RESIDUAL_STD**2 + ARCHITECTURE_STD**2))
    seed_std = SEED_STD / stats.norm.pdf(stats.norm.ppf(ACCURACY)) * review_std
    mean = mean_margin(ACCURACY, std=float(np.hypot(review_std, seed_std)))
    nodes, weights = np.polynomial.hermite_e.hermegauss(15)  # over the seeds
    seeds = [_scores_of_seed(mean + seed_std * node, review_std, positive_share) for node in nodes]
    return {name: float(weights @ [seed[name] for seed in seeds] / weights.sum()) for name in seeds[0]}


def _scores_of_seed(mean: float, std: float, positive_share: float) -> dict[str, float]:
    """Return the scores of a seed whose margins have this mean and standard deviation."""
    shares = (np.arange(20_000) + 0.5) / 20_000
    margins = stats.norm.ppf(shares, mean, std)
    recall = float(stats.norm.cdf(mean / std))  # of both classes
    found = positive_share * recall
    # Shares of all reviews that are above the log-odds of a positive review, and positive or negative.
    positives = positive_share * (1 - shares)
    negatives = (1 - positive_share) * stats.norm.sf(margins, -mean, std)
    return {
        "accuracy": recall,
        "f1": 2 * found / (2 * found + 1 - recall),
        # A positive and a negative review are in the wrong order if the sum of their margins is below 0.
        "auc": float(stats.norm.cdf(2 * mean / (2**0.5 * std))),
        "balanced_accuracy": recall,
        "average_precision": float((positives / (positives + negatives)).mean()),
        "log_loss": float(np.logaddexp(0, -margins).mean()),
    }


def covers_true_scores(
    number: int, *, group_size: int = 1, positive_share: float = 0.5, reviews: int = REVIEWS, ignore: bool = False
) -> dict[str, bool]:
    """Return for each metric whether the interval of the score contains the true score.

    Args:
        number: Number of the simulation, which decides the random draws.
        group_size: Number of reviews of a group.
        positive_share: Share of positive reviews.
        reviews: Number of test reviews.
        ignore: Whether the intervals are computed as if the groups were unknown.
    """
    seed, options = [3, group_size, number], ComparisonOptions(draws=2)
    test = simulate_predictions(
        [ACCURACY], seeds=5, reviews=reviews, seed=seed, group_size=group_size, positive_share=positive_share, **MODEL
    )["test"]
    test = replace(test, groups=None) if ignore else test
    contributions, truth = metric_contributions(test), true_scores(positive_share)
    resampled = {metric: values[..., :2] for metric, values in contributions.items()}  # the bootstrap is not checked
    rows = summarize(test, contributions, resampled, "test", None, options).set_index("metric")
    return {metric: bool(rows.loc[metric, "low"] <= truth[metric] <= rows.loc[metric, "high"]) for metric in truth}


def equal_models_differ(
    number: int, *, group_size: int = 1, positive_share: float = 0.5, reviews: int = REVIEWS, ignore: bool = False
) -> dict[str, bool]:
    """Compare two equal models; return for each metric whether the p-value of their difference is at most 5%.

    Args as in `covers_true_scores`.
    """
    splits = simulate_predictions(
        [ACCURACY] * 2, seeds=5, reviews=reviews, seed=[4, group_size, number], group_size=group_size,
        positive_share=positive_share, **MODEL,
    )  # fmt: skip
    test = replace(splits["test"], groups=None) if ignore else splits["test"]
    pairs, _ = compare_test_pairs(test, ComparisonOptions())
    return {str(metric): bool(p <= 0.05) for metric, p in zip(pairs["metric"], pairs["p"], strict=True)}
