"""What the seeds and reviews at hand could have found, and how many more it takes.

Source: Card et al. 2020, "With Little Power Comes Great Responsibility"; the power of a t test by the noncentral t.
"""

import numpy as np
from scipy import optimize, special, stats

from tasks.resampling import Noise, degrees_of_freedom

MOST_SEEDS = 1_000
# Midpoints of equal shares of a distribution.
MIDDLES = (np.arange(1_000) + 0.5) / 1_000


def power(difference: float, *, variance: float, freedom: float, alpha: float) -> float:
    """Compute how often a true difference is found, in [0, 1].

    Args:
        difference: The true difference, of either sign.
        variance: Of the estimated difference.
        freedom: Degrees of freedom of `variance`.
        alpha: Level of the two-sided test.
    """
    if variance == 0:
        return float(difference != 0)
    critical = float(stats.t.ppf(1 - alpha / 2, freedom))
    shift = abs(difference) / variance**0.5
    # The noncentral t as what it is, a normal over an independent root of chi-square: the library's own function for
    # it gives NaN far out.
    bars = critical * np.sqrt(stats.chi2.ppf(MIDDLES, freedom) / freedom)
    return float(np.mean(special.ndtr(shift - bars) + special.ndtr(-shift - bars)))


def minimum_detectable(*, variance: float, freedom: float, alpha: float, wanted: float = 0.8) -> float:
    """Compute the smallest true difference that is found with the wanted power."""
    if variance == 0:
        return 0.0
    error = variance**0.5
    far = error * (float(stats.t.ppf(1 - alpha / 2, freedom)) + 1)
    while power(far, variance=variance, freedom=freedom, alpha=alpha) < wanted:
        far *= 2

    def missing(difference: float) -> float:
        return power(difference, variance=variance, freedom=freedom, alpha=alpha) - wanted

    return float(optimize.brentq(missing, 0.0, far, xtol=1e-9))


def seeds_needed(of: Noise, *, difference: float, alpha: float, least: int, wanted: float = 0.8) -> int | None:
    """Compute the fewest seeds that find a true difference with the wanted power.

    Args:
        of: The noise of the pair's difference, as the seeds at hand estimate it.
        difference: The true difference to find.
        alpha: Level of the test.
        least: Seeds below which nothing is claimed.
        wanted: Power, in [0, 1].

    Returns:
        Seeds, or None where the noise is unknown or no number of seeds is enough: then the test reviews are too few.
    """

    def enough(seeds: int) -> bool:
        freedom = degrees_of_freedom(of.per_seed, of.lasting, seeds)
        variance = of.per_seed / seeds + of.lasting
        return power(difference, variance=variance, freedom=freedom, alpha=alpha) >= wanted

    if not of.per_seed >= 0 or not enough(MOST_SEEDS):
        return None
    low, high = least, MOST_SEEDS
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def seeds_for_exact_test(alpha: float) -> int:
    """Compute the fewest seeds whose smallest exact sign-flip p, 2 / 2^k, is at most alpha."""
    seeds = 1
    while 2 / 2**seeds > alpha:
        seeds += 1
    return seeds
