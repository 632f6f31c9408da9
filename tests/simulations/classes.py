"""Simulations of more than two classes, for `tests.simulations.prove`.

The logit of the true class has a mean that depends on the seed. All logits vary by review, by architecture and review,
and by trial. Some classes are three times as frequent as others, whatever the group of a review is.
"""

import functools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tasks.evaluation.grouping import make_groups
from tasks.evaluation.metrics import METRICS
from tasks.evaluation.predictions import Predictions, metric_contributions
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.summary import summarize
from tests.helpers.simulated_predictions import RESIDUAL_STD, REVIEW_STD
from tests.simulations.groups import ARCHITECTURE_STD, REVIEWS
from tests.simulations.simulated_pairs import compare_test_pairs

STRENGTH, SEED_STD = 3.0, 0.06  # mean logit of the true class, and its standard deviation between seeds
SEEDS = 5
TRUE_SEEDS, TRUE_REVIEWS = 16, 25_000  # the true scores are those of so many seeds, each on so many reviews


def class_shares(classes: int) -> NDArray[np.float64]:
    """Return the share of each class: (classes,)."""
    return np.linspace(1.5, 0.5, classes) / classes


def simulate(
    strengths: NDArray[np.float64], *, classes: int, reviews: int, seed: int | Sequence[int], group_size: int = 1
) -> Predictions:
    """Simulate the predictions of the test split.

    Args:
        strengths: (architectures, seeds) mean logit of the true class.
        classes: Number of classes, above 2.
        reviews: Number of reviews.
        seed: Seed of the random draws.
        group_size: Number of reviews of a group. They share the effect of architecture and review and half of the
            variance of the review effect.
    """
    rng, numbers = np.random.default_rng(seed), np.arange(reviews) // group_size
    labels = rng.choice(classes, size=reviews, p=class_shares(classes)).astype(np.int8)
    shared = rng.standard_normal((numbers[-1] + 1, classes), dtype=np.float32)[numbers]
    own = rng.standard_normal((reviews, classes), dtype=np.float32)
    of_review = own if group_size == 1 else (own + shared) * np.float32(0.5**0.5)
    effects = rng.standard_normal((len(strengths), 1, numbers[-1] + 1, classes), dtype=np.float32)[:, :, numbers]
    logits = RESIDUAL_STD * rng.standard_normal((*strengths.shape, reviews, classes), dtype=np.float32)
    logits += REVIEW_STD * of_review + ARCHITECTURE_STD * effects
    logits += strengths.astype(np.float32)[..., None, None] * np.eye(classes, dtype=np.float32)[labels]
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    names = [f"model_{number}" for number in range(len(strengths))]
    ids = np.array([f"test-{number:06d}" for number in range(reviews)], dtype=object)
    groups = None if group_size == 1 else make_groups(numbers)
    probabilities = weights / weights.sum(axis=-1, keepdims=True)
    present = np.ones(strengths.shape, dtype=bool)
    return Predictions(names, list(range(strengths.shape[1])), ids, labels, probabilities, present, groups)


def draw_strengths(architectures: int, seed: Sequence[int]) -> NDArray[np.float64]:
    """Draw the strength of each seed of some equal architectures: (architectures, seeds)."""
    return np.random.default_rng([9, *seed]).normal(STRENGTH, SEED_STD, (architectures, SEEDS))


@functools.cache
def true_scores(classes: int) -> Mapping[str, float]:
    """Return the true score of a model in each metric: the mean over many seeds, each on many reviews."""
    quantiles = stats.norm.ppf((np.arange(TRUE_SEEDS) + 0.5) / TRUE_SEEDS)
    found: dict[str, list[float]] = {name: [] for name, metric in METRICS.items() if metric.contributions}
    for number, quantile in enumerate(quantiles):
        strengths = np.array([[STRENGTH + SEED_STD * quantile]])
        test = simulate(strengths, classes=classes, reviews=TRUE_REVIEWS, seed=[5, classes, number])
        for name, values in metric_contributions(test).items():
            found[name].append(float(values.mean()))
    return {name: float(np.mean(scores)) for name, scores in found.items()}


def covers_true_scores(number: int, *, classes: int, group_size: int = 1, reviews: int = REVIEWS) -> dict[str, bool]:
    """Return for each metric whether the interval of the score contains the true score.

    Args:
        number: Number of the simulation, which decides the random draws.
        classes: Number of classes, above 2.
        group_size: Number of reviews of a group.
        reviews: Number of test reviews.
    """
    seed, options = [6, classes, group_size, number], ComparisonOptions(draws=2)
    test = simulate(draw_strengths(1, seed), classes=classes, reviews=reviews, seed=seed, group_size=group_size)
    contributions, truth = metric_contributions(test), true_scores(classes)
    resampled = {metric: values[..., :2] for metric, values in contributions.items()}  # the bootstrap is not checked
    rows = summarize(test, contributions, resampled, "test", None, options).set_index("metric")
    return {metric: bool(rows.loc[metric, "low"] <= truth[metric] <= rows.loc[metric, "high"]) for metric in truth}


def equal_models_differ(number: int, *, classes: int, group_size: int = 1, reviews: int = REVIEWS) -> dict[str, bool]:
    """Compare two equal models; return for each metric whether the p-value of their difference is at most 5%.

    Args as in `covers_true_scores`.
    """
    seed = [7, classes, group_size, number]
    test = simulate(draw_strengths(2, seed), classes=classes, reviews=reviews, seed=seed, group_size=group_size)
    pairs, _ = compare_test_pairs(test, ComparisonOptions())
    return {str(metric): bool(p <= 0.05) for metric, p in zip(pairs["metric"], pairs["p"], strict=True)}
