"""The standard tests and effect sizes of one pair of architectures, on their scores or on their answers."""

import itertools

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.metrics import Floats

# Dietterich 1998: with fewer discordant reviews the chi-square approximation of McNemar's test is not to be trusted.
FEWEST_DISCORDANT = 25
MOST_ENUMERATED = 16


def sign_flip(differences: Floats) -> tuple[float, float]:
    """Test paired differences over seeds without any assumption on their distribution, two-sided.

    If both architectures were the same, each seed's difference could as well have had the other sign. All 2^k signs
    are tried; beyond 16 seeds 65,536 random ones. Source: Dror et al. 2018, "The Hitchhiker's Guide to Testing
    Statistical Significance in Natural Language Processing".

    Args:
        differences: (seeds,) float.

    Returns:
        The p-value, and the smallest that so many seeds can reach: 2 / 2^k, 1 with a single seed, 2 / 65,536 beyond 16.
    """
    seeds = len(differences)
    if seeds <= MOST_ENUMERATED:
        flips = np.array(list(itertools.product((-1.0, 1.0), repeat=seeds)))
    else:
        flips = np.random.default_rng(0).choice((-1.0, 1.0), size=(2**MOST_ENUMERATED, seeds))
        flips[0], flips[1] = 1.0, -1.0  # the observed signs are one of the arrangements, and so is their mirror image
    sums = np.abs(flips @ differences)
    observed = abs(float(differences.sum()))
    # Equal sums differ in the last bits by the order of adding.
    p = float(np.mean(sums >= observed - 1e-12))
    return p, min(2 / len(flips), 1.0)


def cliffs_delta(first: Floats, second: Floats) -> float:
    """Compute how much oftener a score of the first is above one of the second than below, in [-1, 1] (Cliff 1993)."""
    return float(signs(first[:, None] - second[None, :]).mean())


def signs(differences: Floats, *, decimals: int = 12) -> Floats:
    """Tell which way each difference goes, -1, 0 or 1: equal scores differ in the last bits by the order of adding."""
    return np.asarray(np.sign(np.round(differences, decimals)))


def standardised_difference(differences: Floats) -> float:
    """Compute d_z, the mean of paired differences in units of their standard deviation (Lakens 2013).

    Returns:
        NaN with one seed; 0 where all differences are 0; plus or minus infinity where all are the same other number.
    """
    if len(differences) < 2:
        return float("nan")
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    if spread < 1e-12:
        return 0.0 if abs(mean) < 1e-12 else float(np.copysign(np.inf, mean))
    return mean / spread


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[int, int, float]:
    """Test whether one of two models errs on more of the same reviews (McNemar 1947; Dietterich 1998).

    Args:
        first: (reviews,) bool, whether the first model is right.
        second: The same of the second.

    Returns:
        Reviews that the first alone has right, that the second alone has right, and the p-value: exact below 25
        such reviews, by the corrected chi-square from there on; 1 where there are none.
    """
    from statsmodels.stats.contingency_tables import mcnemar as test

    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    discordant = only_first + only_second
    if discordant == 0:
        return 0, 0, 1.0
    table = [[0, only_first], [only_second, 0]]
    return only_first, only_second, float(test(table, exact=discordant < FEWEST_DISCORDANT, correction=True).pvalue)


def holm(p_values: Floats) -> Floats:
    """Adjust p-values for multiple testing: the smallest times k, the next times k - 1, never decreasing, at most 1.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure". `multipletests` of statsmodels, which
    the tests compare with, collects garbage at each call (20 ms and more) and has no place for missing values.

    Args:
        p_values: Float array of any shape, possibly empty; NaN where nothing was tested, which is not counted.

    Returns:
        Adjusted p-values in the same shape, NaN where the input is NaN.
    """
    tested = np.isfinite(p_values)
    ordered = np.sort(p_values[tested])
    adjusted = np.minimum(np.maximum.accumulate(ordered * np.arange(len(ordered), 0, -1)), 1.0)
    found = np.full(p_values.shape, np.nan)
    found[tested] = adjusted[np.searchsorted(ordered, p_values[tested])]
    return found
