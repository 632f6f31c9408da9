"""Simulated predictions of models whose true accuracy is known in closed form."""

import functools
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tasks.config.labels import BASELINE_NAMES
from tasks.evaluation.grouping import make_groups
from tasks.evaluation.predictions import Predictions

REVIEW_STD, RESIDUAL_STD = 1.0, 0.6  # standard deviations of the margin: between reviews, and what is left


def mean_margin(accuracy: float, *, std: float) -> float:
    """Return the mean of normally distributed margins of which a share of `accuracy` is positive."""
    return float(stats.norm.ppf(accuracy) * std)


def simulate_predictions(
    accuracies: list[float],
    *,
    seeds: int,
    reviews: int,
    seed: int | Sequence[int],
    seed_std: float | Sequence[float] = 0.005,
    validation_reviews: int = 200,
    seed_distribution: Literal["normal", "skewed"] = "normal",
    architecture_std: float = 0.0,
    group_size: int = 1,
    positive_share: float = 0.5,
    baselines: int = 0,
) -> dict[str, Predictions]:
    """Simulate the predictions of the splits validation and test.

    A trial predicts a review correctly if its margin is positive. The margin is the sum of a mean, a review effect, an
    effect of architecture and review, a seed effect and a residual. All are normal, so the true accuracy is the
    probability that a normal variable is positive.

    Args:
        accuracies: True accuracy of each architecture, over seeds and reviews.
        seeds: Number of seeds of each architecture.
        reviews: Number of test reviews.
        seed: Seed of the random draws.
        seed_std: Standard deviation of the accuracy between seeds, of all architectures or of each one.
        validation_reviews: Number of validation reviews.
        seed_distribution: "normal", or "skewed" for occasional seeds with a much lower accuracy.
        architecture_std: Standard deviation of the effect of architecture and review. With 0, all architectures find
            the same reviews difficult.
        group_size: Number of reviews of a group. The reviews of a group share the effect of architecture and review and
            half of the variance of the review effect, and nine of ten have the same label.
        positive_share: Share of positive reviews, in (0, 1). If it is not one half, labels do not depend on the group.
        baselines: Number of architectures, the last ones, that have a single run without seed variance.
    """
    rng = np.random.default_rng(seed)
    if baselines:
        seed_std = [*np.broadcast_to(seed_std, len(accuracies))[:-baselines].tolist(), *[0.0] * baselines]
    means, margin_std = _margins_of_seeds(accuracies, seed_std, architecture_std)
    seed_effects = rng.standard_normal((len(accuracies), seeds))
    if seed_distribution == "skewed":
        seed_effects = 1 - rng.exponential(size=seed_effects.shape)
    seed_means = (means[:, None] + margin_std[:, None] * seed_effects).astype(np.float32)
    names = [f"model_{number}" for number in range(len(accuracies))]
    present = np.ones((len(accuracies), seeds), dtype=bool)
    if baselines:
        names[-baselines:] = BASELINE_NAMES[1 : 1 + baselines]
        present[-baselines:, 1:] = False
    splits = {}
    for split, count in (("validation", validation_reviews), ("test", reviews)):
        labels = rng.integers(0, 2, size=count).astype(np.int8)
        numbers = None if group_size == 1 else np.arange(count) // group_size
        if positive_share != 0.5:
            labels = (rng.random(count) < positive_share).astype(np.int8)
        elif numbers is not None:
            of_group = rng.integers(0, 2, size=numbers[-1] + 1)[numbers]
            labels = np.where(rng.random(count) < 0.9, of_group, 1 - of_group).astype(np.int8)
        margins = _draw_margins(rng, seed_means, count, architecture_std, numbers)
        probabilities = 1 / (1 + np.exp(-margins * np.where(labels == 1, 1, -1).astype(np.float32)))
        probabilities[~present] = np.nan
        ids = _review_ids(split, count)
        groups = None if numbers is None else make_groups(numbers)
        splits[split] = Predictions(names, list(range(seeds)), ids, labels, probabilities, present, groups)
    return splits


def _margins_of_seeds(
    accuracies: list[float], seed_std: float | Sequence[float], architecture_std: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean margin of each architecture, and its standard deviation between seeds: two (architectures,)."""
    review_std = np.sqrt(REVIEW_STD**2 + RESIDUAL_STD**2 + architecture_std**2)
    seed_stds = np.broadcast_to(np.asarray(seed_std, dtype=np.float64), len(accuracies))
    margin_std = seed_stds / stats.norm.pdf(stats.norm.ppf(np.mean(accuracies))) * review_std
    total_std = np.hypot(review_std, margin_std)
    means = [mean_margin(accuracy, std=std) for accuracy, std in zip(accuracies, total_std, strict=True)]
    return np.array(means), margin_std


def win_probability(accuracies: list[float], *, seed_std: float, architecture_std: float = 0.0) -> float:
    """Return the true probability that a seed of the first of two architectures has the higher accuracy.

    The accuracy increases with the mean margin, which is normally distributed over the seeds.
    """
    (first, second), margin_std = _margins_of_seeds(accuracies, seed_std, architecture_std)
    return float(stats.norm.cdf((first - second) / np.hypot(*margin_std)))


def _draw_margins(
    rng: np.random.Generator,
    seed_means: NDArray[np.float32],
    reviews: int,
    architecture_std: float,
    numbers: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """Draw margins (architectures, seeds, reviews) around the mean of each trial; `numbers` are those of the groups."""
    margins = rng.standard_normal((*seed_means.shape, reviews), dtype=np.float32)
    margins *= RESIDUAL_STD
    difficulty = rng.standard_normal(reviews, dtype=np.float32)
    if numbers is not None:
        shared = rng.standard_normal(numbers[-1] + 1, dtype=np.float32)[numbers]
        difficulty = (difficulty + shared) * np.float32(0.5**0.5)
    margins += seed_means[..., None] + REVIEW_STD * difficulty
    if architecture_std:
        numbers = np.arange(reviews) if numbers is None else numbers
        effects = rng.standard_normal((len(seed_means), 1, numbers[-1] + 1), dtype=np.float32)
        margins += architecture_std * effects[..., numbers]
    return margins


@functools.cache
def _review_ids(split: str, count: int) -> NDArray[np.object_]:
    return np.array([f"{split}-{number:06d}" for number in range(count)], dtype=object)


def to_frame(splits: Mapping[str, Predictions]) -> pd.DataFrame:
    """Return predictions as the table predictions, without missing trials."""
    tables = [
        pd.DataFrame(
            {
                "architecture": arrays.architectures[architecture],
                "seed": arrays.seeds[seed],
                "split": split,
                "review_id": arrays.review_ids,
                "label": arrays.labels,
                "probability": arrays.probabilities[architecture, seed],
            }
        )
        for split, arrays in splits.items()
        for architecture, seed in np.argwhere(arrays.present)
    ]
    return pd.concat(tables, ignore_index=True)
