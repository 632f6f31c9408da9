"""Predictions of made-up models whose true accuracy is known in closed form."""

import functools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tasks.evaluation.predictions import Panel

ITEM, REST = 1.0, 0.6  # spreads of the margin from review to review, and of what is left


def shift_for(accuracy: float, *, spread: float) -> float:
    """Find the mean margin whose accuracy is the wanted one, where margins vary so much in all."""
    return float(stats.norm.ppf(accuracy) * spread)


def simulated_panels(
    accuracies: list[float],
    *,
    seeds: int,
    reviews: int,
    seed: int | Sequence[int],
    seed_points: float = 0.005,
    validation_reviews: int = 200,
    noise: str = "normal",
    own: float = 0.0,
) -> dict[str, Panel]:
    """Simulate the panels validation and test.

    The margin by which a trial answers a review rightly is shift + review + own + seed + rest, all normal, so that the
    true accuracy is that of a normal margin above 0.

    Args:
        accuracies: True accuracy of each architecture, over seeds and reviews.
        seeds: Seeds of each architecture.
        reviews: Test reviews.
        seed: Of the random draws.
        seed_points: Standard deviation of the accuracy from seed to seed.
        validation_reviews: Validation reviews.
        noise: "normal", or "skewed" for seeds that now and then do much worse.
        own: Spread of the margin by which an architecture finds a review easier, with any seed, than the others do: 0
            for copies of one architecture.
    """
    rng = np.random.default_rng(seed)
    of_reviews = np.sqrt(ITEM**2 + REST**2 + own**2)
    spread = seed_points / stats.norm.pdf(stats.norm.ppf(np.mean(accuracies))) * of_reviews
    shifts = np.array([shift_for(each, spread=np.hypot(of_reviews, spread)) for each in accuracies])
    drawn = rng.standard_normal((len(accuracies), seeds))
    if noise == "skewed":
        drawn = 1 - rng.exponential(size=drawn.shape)
    means = (shifts[:, None] + spread * drawn).astype(np.float32)
    names = [f"model_{number}" for number in range(len(accuracies))]
    there = np.ones((len(accuracies), seeds), dtype=bool)
    found = {}
    for split, count in (("validation", validation_reviews), ("test", reviews)):
        labels = rng.integers(0, 2, size=count).astype(np.int8)
        margin = rng.standard_normal((len(accuracies), seeds, count), dtype=np.float32)
        margin *= REST
        margin += means[..., None] + ITEM * rng.standard_normal(count, dtype=np.float32)
        if own:
            margin += own * rng.standard_normal((len(accuracies), 1, count), dtype=np.float32)
        probabilities = 1 / (1 + np.exp(-margin * np.where(labels == 1, 1, -1).astype(np.float32)))
        found[split] = Panel(names, list(range(seeds)), _ids(split, count), labels, probabilities, there)
    return found


@functools.cache
def _ids(split: str, count: int) -> NDArray[np.object_]:
    return np.array([f"{split}-{number:06d}" for number in range(count)], dtype=object)


def as_predictions(panels: dict[str, Panel]) -> pd.DataFrame:
    """Write panels as the tidy frame of predictions, missing trials left out."""
    rows = []
    for split, data in panels.items():
        for a, s in np.argwhere(data.present):
            rows.append(
                pd.DataFrame(
                    {
                        "architecture": data.architectures[a],
                        "seed": data.seeds[s],
                        "split": split,
                        "review_id": data.review_ids,
                        "label": data.labels,
                        "probability": data.probabilities[a, s],
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)
