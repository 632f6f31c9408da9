"""Standard tests and effect sizes for one pair of architectures, on their scores or on their predictions."""

import functools
import itertools
from typing import NamedTuple

import numpy as np
import scipy  # submodules load on first use, so training processes do not pay for them
from numpy.typing import NDArray

from tasks.evaluation.metrics import Floats

# Below this number of discordant reviews, the chi-square approximation of McNemar's test is unreliable (Dietterich
# 1998).
MIN_DISCORDANT = 25
MAX_ENUMERATED_SEEDS = 16
# Midpoints of 200 intervals of equal probability.
OFFSET_QUANTILES = (np.arange(200) + 0.5) / 200


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


def win_interval(differences: Floats, *, shared_variance: float = 0.0, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of the probability that the first model is better with a new seed.

    Without other variance this is the interval of Clopper & Pearson 1934 for the number of seeds with which the first
    model is better; a tie counts one half. It is never a point: if it is better with five of five seeds, the
    probability is between 0.48 and 1. The error from the sample of test reviews moves the differences of all seeds
    together. The limits are quantiles of the limit distributions (beta distributions) averaged over that error.

    Args:
        differences: (seeds,) float, positive where the first model is better; (0,) if no seed is shared.
        shared_variance: Variance of the error that the differences of all seeds share.
        level: Confidence level, in (0, 1).
    """
    seeds = len(differences)
    if not seeds:
        return 0.0, 1.0
    offsets = scipy.special.ndtri(OFFSET_QUANTILES) * shared_variance**0.5 if shared_variance else np.zeros(1)
    counted = (difference_signs(differences + offsets[:, None]) + 1).sum(axis=1) / 2
    wins, counts = np.unique(counted, return_counts=True)
    weights, tail = counts / counts.sum(), (1 - level) / 2
    low = _quantile_of_betas(tail, wins, seeds - wins + 1, weights)
    return low, _quantile_of_betas(1 - tail, wins + 1, seeds - wins, weights)


def _quantile_of_betas(share: float, first: Floats, second: Floats, weights: Floats) -> float:
    """Return a quantile of a mixture of beta distributions, in [0, 1].

    A distribution whose first (second) parameter is 0 is the point 0 (1).
    """

    def excess(value: float) -> float:
        below = scipy.special.betainc(np.where(first > 0, first, 1), np.where(second > 0, second, 1), value)
        return float(weights @ np.where(first == 0, 1.0, np.where(second == 0, 0.0, below))) - share

    if excess(0.0) >= 0 or excess(1.0) <= 0:
        return float(excess(0.0) < 0)
    return float(scipy.optimize.brentq(excess, 0.0, 1.0))


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
