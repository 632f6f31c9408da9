"""Claim about resamples of the training reviews, checked by simulation as part of `tests.simulations.prove`.

Two models with known accuracies are trained with some seeds on one training sample, and once on each resample. The 95%
interval of their difference that contains the variance of seeds, training reviews and test reviews must contain the
true difference, which is over all training samples.
"""

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from tasks.evaluation.predictions import Predictions
from tasks.statistics.comparison import compare_splits
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.training_sample import compare_training_samples
from tests.helpers.simulated_predictions import RESIDUAL_STD, REVIEW_STD, simulate_predictions

OPTIONS = ComparisonOptions(metrics=["accuracy"], draws=2)  # the bootstrap is not checked
ACCURACIES, SEED_STD, ARCHITECTURE_STD = [0.86, 0.87], 0.005, 0.5
SAMPLE_REVIEW_STD = 0.3  # standard deviation of the margin of a review between training samples
REVIEWS = 2_000
# Number of seeds, number of resamples, and standard deviation of the accuracy between training samples, in that between
# seeds.
CASES = [(3, 5, 1.0), (5, 5, 1.0), (5, 10, 0.0), (5, 5, 2.0), (5, 10, 2.0)]
# If the variance is mostly that of seeds, the interval is too long on average, because an estimate of the training
# variance is not below 0. It must be neither too short nor, if the training variance prevails, too long.
ALLOWED: dict[str, tuple[float, float]] = {"training_coverage": (0.93, 1.0), "large_training_coverage": (0.93, 0.97)}
PREVAILS = 2.0  # ratio from which the second applies

Map = Callable[[Callable[[int], Any], range], Iterable[Any]]
Estimate = dict[str, float]


def simulate_training_samples(
    seed: list[int], *, seeds: int, resamples: int, ratio: float, reviews: int = REVIEWS
) -> tuple[dict[str, Predictions], Predictions, float]:
    """Simulate the trials of two models on one training sample, and on resamples.

    Args:
        seed: Seed of the random draws.
        seeds: Number of trials on the one training sample.
        resamples: Number of resamples, each with one trial.
        ratio: Standard deviation between training samples, in that between seeds.
        reviews: Number of test reviews.

    Returns:
        Predictions of both splits on the one sample, test predictions on the resamples, and the true difference, second
        minus first.
    """
    rng = np.random.default_rng([*seed, 1])
    splits = simulate_predictions(
        ACCURACIES, seeds=seeds + resamples, reviews=reviews, seed=seed, seed_std=SEED_STD,
        architecture_std=ARCHITECTURE_STD,
    )  # fmt: skip
    review_std = float(np.sqrt(REVIEW_STD**2 + RESIDUAL_STD**2 + ARCHITECTURE_STD**2))
    seed_std = SEED_STD / stats.norm.pdf(stats.norm.ppf(np.mean(ACCURACIES))) * review_std
    # The first sample is that of all seeds.
    samples = np.concatenate([np.zeros(seeds, int), np.arange(resamples) + 1])
    shifts = ratio * seed_std * rng.standard_normal((2, resamples + 1))[:, samples]
    noise = SAMPLE_REVIEW_STD * rng.standard_normal((2, resamples + 1, reviews))[:, samples]
    test = splits["test"]
    signs = np.where(test.labels == 1, 1, -1)
    logits = np.log(test.probabilities / (1 - test.probabilities)) + signs * (shifts[..., None] + noise)
    test = replace(test, probabilities=(1 / (1 + np.exp(-logits))).astype(np.float32))
    before = np.hypot(review_std, seed_std)
    after = np.sqrt(before**2 + (ratio * seed_std) ** 2 + SAMPLE_REVIEW_STD**2)
    first, second = stats.norm.cdf(stats.norm.ppf(ACCURACIES) * before / after)
    own = {"validation": select_trials(splits["validation"], 0, seeds), "test": select_trials(test, 0, seeds)}
    return own, select_trials(test, seeds, seeds + resamples), float(second - first)


def select_trials(predictions: Predictions, start: int, stop: int) -> Predictions:
    """Return the trials of some seeds, numbered from 0."""
    return replace(
        predictions, seeds=list(range(stop - start)), probabilities=predictions.probabilities[:, start:stop],
        present=predictions.present[:, start:stop],
    )  # fmt: skip


def covers_difference(number: int, *, seeds: int, resamples: int, ratio: float) -> bool:
    """Return whether the interval with all sources of variance contains the true difference."""
    splits, resampled, truth = simulate_training_samples(
        [20, seeds, resamples, int(10 * ratio), number], seeds=seeds, resamples=resamples, ratio=ratio
    )
    tables = compare_splits(splits, options=OPTIONS)
    row = compare_training_samples(splits["test"], resampled, tables, {}, OPTIONS)["training_pairs"].iloc[0]
    return bool(row["low"] <= -truth <= row["high"])  # first minus second


def run_training_claims(
    map_range: Map,
    add: Callable[[str, str, Estimate], None],
    estimate_rate: Callable[[Iterable[bool]], Estimate],
    *,
    simulations: int,
) -> None:
    """Run the simulations of all cases; arguments as in `seed_claims.run_seed_claims`."""
    for seeds, resamples, ratio in CASES:
        covers = functools.partial(covers_difference, seeds=seeds, resamples=resamples, ratio=ratio)
        case = f"{seeds} seeds, {resamples} resamples, ratio {ratio:g}"
        name = "large_training_coverage" if ratio >= PREVAILS else "training_coverage"
        add(name, case, estimate_rate(map_range(covers, range(simulations))))
