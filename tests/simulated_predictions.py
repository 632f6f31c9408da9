"""Predictions of made-up models whose true accuracy is known in closed form."""

import numpy as np
import pandas as pd
from scipy import stats

from tasks.panel import Panel

ITEM, REST = 1.0, 0.6  # spreads of the margin from review to review, and of what is left


def shift_for(accuracy: float, *, seed_spread: float) -> float:
    """Find the mean margin whose accuracy over seeds and reviews is the wanted one."""
    return float(stats.norm.ppf(accuracy) * np.sqrt(ITEM**2 + REST**2 + seed_spread**2))


def simulated_panels(
    accuracies: list[float],
    *,
    seeds: int,
    reviews: int,
    seed: int,
    seed_points: float = 0.005,
    validation_reviews: int = 200,
    noise: str = "normal",
) -> dict[str, Panel]:
    """Simulate the panels validation and test.

    The margin by which a cell answers a review rightly is shift + review + seed + rest, all normal, so that the true
    accuracy is that of a normal margin above 0.

    Args:
        accuracies: True accuracy of each architecture, over seeds and reviews.
        seeds: Seeds of each architecture.
        reviews: Test reviews.
        seed: Of the random draws.
        seed_points: Standard deviation of the accuracy from seed to seed.
        validation_reviews: Validation reviews.
        noise: "normal", or "skewed" for seeds that now and then do much worse.
    """
    rng = np.random.default_rng(seed)
    total = np.sqrt(ITEM**2 + REST**2)
    slope = stats.norm.pdf(stats.norm.ppf(np.mean(accuracies))) / total
    spread = seed_points / slope
    shifts = np.array([shift_for(each, seed_spread=spread) for each in accuracies])
    drawn = rng.standard_normal((len(accuracies), seeds))
    if noise == "skewed":
        drawn = 1 - rng.exponential(size=drawn.shape)
    means = shifts[:, None] + spread * drawn
    names = [f"model_{number}" for number in range(len(accuracies))]
    found = {}
    for split, count in (("validation", validation_reviews), ("test", reviews)):
        labels = rng.integers(0, 2, size=count).astype(np.int8)
        margin = rng.standard_normal((len(accuracies), seeds, count), dtype=np.float32) * REST
        margin += (ITEM * rng.standard_normal(count)).astype(np.float32) + means[..., None].astype(np.float32)
        probabilities = 1 / (1 + np.exp(-margin * np.where(labels == 1, 1, -1).astype(np.float32)))
        ids = np.array([f"{split}-{number:06d}" for number in range(count)], dtype=object)
        there = np.ones((len(accuracies), seeds), dtype=bool)
        found[split] = Panel(names, list(range(seeds)), ids, labels, probabilities.astype(np.float32), there)
    return found


def as_predictions(panels: dict[str, Panel]) -> pd.DataFrame:
    """Write panels as the tidy frame of predictions, missing cells left out."""
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
