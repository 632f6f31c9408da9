"""Two-level bootstrap: test reviews and seeds.

The bootstrap is reported next to the intervals of `confidence_intervals`. Reviews and seeds are drawn
independently, so the draws of reviews can be shared by all trials.
"""

import functools

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.grouping import ReviewGroups, group_contributions
from tasks.evaluation.metrics import Floats

# Matrix products of fewer rows take up to three times as long; more rows only need more memory.
DRAWS_PER_BATCH = 1_000


def resample_reviews(
    tables: Floats, *, draws: int, seed: int, groups: ReviewGroups | None = None
) -> NDArray[np.float32]:
    """Return means over resampled reviews, or over resampled groups of reviews if they are known.

    Every row is resampled with the same reviews, so differences between rows stay paired. Each draw counts how often
    each review was drawn; the resampled means are then a single matrix product.

    Args:
        tables: (rows, reviews) float, contributions, one row per trial and metric.
        draws: Number of resamples.
        seed: Seed of the draws. The same seed gives the same result.
        groups: Which reviews belong together.

    Returns:
        (rows, draws) float32, the resampled means.
    """
    if groups is not None:
        tables = group_contributions(tables, groups)
    reviews = tables.shape[1]
    rng = np.random.default_rng(seed)
    # float32 halves memory and time. The counts are small, and sums of 0 and 1 are exact below 2 ** 24.
    columns = np.ascontiguousarray(tables.T, dtype=np.float32)
    dtype = np.uint16 if reviews <= 2**16 else np.uint32
    means = np.empty((draws, tables.shape[0]), dtype=np.float32)
    for start in range(0, draws, DRAWS_PER_BATCH):
        size = min(DRAWS_PER_BATCH, draws - start)
        counts = np.empty((size, reviews), dtype=np.float32)
        for row in counts:
            row[:] = np.bincount(rng.integers(0, reviews, size=reviews, dtype=dtype), minlength=reviews)
        means[start : start + size] = (counts @ columns) / reviews
    return means.T


@functools.lru_cache(maxsize=8)  # the same for all pairs and metrics with as many seeds
def bootstrap_seed_weights(seeds: int, *, draws: int, seed: int) -> Floats:
    """Return the weight of each seed in each resample.

    k - 1 of k seeds are drawn, which gives the resampled mean its correct variance. Source: Rao & Wu 1988, "Resampling
    inference with complex survey data". The same arguments give the same weights, so architectures with the same seeds
    stay paired.

    Args:
        seeds: Number of seeds, k.
        draws: Number of resamples.
        seed: Seed of the draws.

    Returns:
        (seeds, draws) float64, read-only. Columns sum to 1.
    """
    rng = np.random.default_rng([seed, seeds])
    counts: NDArray[np.int64] = rng.multinomial(max(seeds - 1, 1), np.full(seeds, 1 / seeds), size=draws)
    weights: Floats = counts.T / max(seeds - 1, 1)
    weights.flags.writeable = False
    return weights
