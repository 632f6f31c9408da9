"""Standard tests and effect sizes for one pair of architectures, on their scores or on their predictions."""

import functools
import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.metrics import Floats

# Below this number of discordant reviews, the chi-square approximation of McNemar's test is unreliable (Dietterich
# 1998).
MIN_DISCORDANT = 25
MAX_ENUMERATED_SEEDS = 16


class McNemarResult(NamedTuple):
    """Result of McNemar's test.

    Attributes:
        only_first: Number of reviews that only the first model predicts correctly.
        only_second: Number of reviews that only the second model predicts correctly.
        p_value: Two-sided p-value: exact below 25 such reviews, otherwise by the corrected chi-square, 1 if there are
            none.
    """

    only_first: int
    only_second: int
    p_value: float


def sign_flip(differences: Floats) -> tuple[float, float]:
    """Test paired differences over seeds with a two-sided sign-flip permutation test.

    The test makes no assumption on the distribution of the scores. If both architectures were equal, the difference of
    each seed could have had the other sign. All 2^k signs are tried; beyond 16 seeds, 65,536 random ones. Source: Dror
    et al. 2018, "The Hitchhiker's Guide to Testing Statistical Significance in Natural Language Processing".

    Args:
        differences: (seeds,) float.

    Returns:
        The p-value and the smallest p-value that this number of seeds can reach: 2 / 2^k, 1 for a single seed, 2 /
        65,536 beyond 16 seeds.
    """
    flips = _signs_of_seeds(len(differences))
    sums = np.abs(flips.astype(np.float64) @ differences)
    observed = abs(float(differences.sum()))
    # Equal sums can differ in the last bits because the order of summation differs.
    p = float(np.mean(sums >= observed - 1e-12))
    return p, min(2 / len(flips), 1.0)


@functools.lru_cache(maxsize=8)  # the same for all pairs and metrics with as many seeds
def _signs_of_seeds(seeds: int) -> NDArray[np.int8]:
    """Return the signs that the sign-flip test tries: (tries, seeds) int8, read-only."""
    if seeds <= MAX_ENUMERATED_SEEDS:
        flips = np.array(list(itertools.product((-1, 1), repeat=seeds)), dtype=np.int8)
    else:
        flips = np.random.default_rng(0).choice((-1.0, 1.0), size=(2**MAX_ENUMERATED_SEEDS, seeds)).astype(np.int8)
        flips[0], flips[1] = 1, -1  # always include the observed signs and their mirror image
    flips.flags.writeable = False
    return flips


def cliffs_delta(first: Floats, second: Floats) -> float:
    """Return Cliff's delta, P(first > second) - P(first < second), in [-1, 1] (Cliff 1993).

    Args:
        first: (seeds of the first,) float, scores.
        second: (seeds of the second,) float, scores.
    """
    return float(difference_signs(first[:, None] - second[None, :]).mean())


def difference_signs(differences: Floats, *, decimals: int = 12) -> Floats:
    """Return the sign of each difference: -1, 0 or 1.

    Differences are rounded first, because equal scores can differ in the last bits by the order of summation.
    """
    return np.asarray(np.sign(np.round(differences, decimals)))


def cohens_d_z(differences: Floats) -> float:
    """Return d_z, the mean of paired differences divided by their standard deviation (Lakens 2013).

    Args:
        differences: (seeds,) float.

    Returns:
        NaN for one seed, 0 if all differences are 0, and plus or minus infinity if all are the same other number.
    """
    if len(differences) < 2:
        return float("nan")
    mean, std = float(differences.mean()), float(differences.std(ddof=1))
    if std < 1e-12:
        return 0.0 if abs(mean) < 1e-12 else float(np.copysign(np.inf, mean))
    return mean / std


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemarResult:
    """Test whether two models have the same error rate on the same reviews (McNemar 1947; Dietterich 1998).

    Args:
        first: (reviews,) bool, whether the prediction of the first model is correct.
        second: (reviews,) bool, the same for the second model.
    """
    from statsmodels.stats.contingency_tables import mcnemar as mcnemar_test

    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    discordant = only_first + only_second
    if discordant == 0:
        return McNemarResult(0, 0, 1.0)
    result = mcnemar_test([[0, only_first], [only_second, 0]], exact=discordant < MIN_DISCORDANT, correction=True)
    return McNemarResult(only_first, only_second, float(result.pvalue))
