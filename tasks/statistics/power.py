"""What the seeds and reviews at hand could have found, and how many more it takes.

Source: Card et al. 2020, "With Little Power Comes Great Responsibility"; the power of a t test by the noncentral t,
and with lasting noise beside that of seeds, by the bar of Cochran & Cox 1950 ("Experimental Designs"): the average of
the two sources' own bars, each by its share of the variance, which is within two points of power of the test itself.

The variance that power follows from is itself estimated, with few seeds from few degrees of freedom. Put in as if it
were the truth, it flatters: at five seeds a power of 34% is printed as 45% on average (Muller & Pasour 1997, "Bias in
linear model power and sample size due to estimating variance"). What is printed is therefore corrected for that bias,
and comes with bounds.
"""

import functools
from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy  # loads its parts when they are used: processes that train need none

from tasks.evaluation.metrics import Floats
from tasks.statistics.resampling import Noise

MOST_SEEDS = 1_000
POINT = 0.01
POWER_COLUMNS = [
    "first", "second", "seeds", "level", "minimum_detectable", "power_one_point", "power_low", "power_high", "target",
    "seeds_needed",
]  # fmt: skip
# Midpoints of equal shares of a distribution.
MIDDLES = (np.arange(1_000) + 0.5) / 1_000


def power_frame(
    pairs: pd.DataFrame, noises: Sequence[Noise], *, margin: float, alpha: float, least_seeds: int
) -> pd.DataFrame:
    """Tell for each pair what could have been found, and the seeds that would settle it.

    Args:
        pairs: Columns first, second, difference, p_holm and seeds; a row each pair, in the main metric.
        noises: The noise of each pair's difference.
        margin: Differences of scores in [0, 1] below it are practically nothing.
        alpha: The rate of false claims that is accepted, over all pairs together.
        least_seeds: Seeds below which nothing is claimed.

    Returns:
        Columns first, second, seeds, level (from `open_level`), minimum_detectable (the true difference that is found
        four times in five), power_one_point (how often a true difference of one point is found) with its 95% bounds
        power_low and power_high, target (the difference seen, or the margin if that is more) and seeds_needed (to find
        the target four times in five; -1 where seeds cannot, or the noise between them is unknown). What is found is
        what the test finds: with fewer than `least_seeds` it is not claimed all the same.
    """
    level, rows = open_level(pairs["p_holm"].to_numpy(), alpha), []
    for row, of in zip(pairs.to_dict("records"), noises, strict=True):
        known = {"variance": of.estimated, "lasting": of.lasting, "freedom": of.freedom, "alpha": level}
        low, point, high = estimated_power(POINT, **known)
        target = max(abs(row["difference"]), margin)
        needed = seeds_needed(of, difference=target, alpha=level, least=least_seeds)
        # The standard deviation is estimated too low on average, and the detectable difference with it.
        unbiased = of.estimated / bias_of_deviation(of.freedom) ** 2
        detectable = minimum_detectable(**{**known, "variance": unbiased})
        values = [detectable, point, low, high, target, -1 if needed is None else needed]
        rows.append([row["first"], row["second"], row["seeds"], level, *values])
    return pd.DataFrame(rows, columns=POWER_COLUMNS)


def open_level(adjusted: Floats, alpha: float) -> float:
    """Compute the level that a pair has to reach which is not rejected yet: where Holm's procedure stopped.

    Holm 1979 tests the smallest p-value at alpha / pairs, the next at alpha / (pairs - 1), and so on: pairs that are
    told apart beyond doubt, as any from a majority class, do not make it harder for the rest.

    Args:
        adjusted: (pairs,) float: p-values after Holm.
        alpha: The rate of false claims that is accepted, over all pairs together.
    """
    return alpha / max(int((adjusted > alpha).sum()), 1)


def power(difference: float, *, variance: float, freedom: float, alpha: float, lasting: float = 0.0) -> float:
    """Compute how often a true difference is found, in [0, 1].

    Args:
        difference: The true difference, of either sign.
        variance: Of the estimated difference, as it truly is: the part that the test has to estimate.
        freedom: Degrees of freedom with which it does.
        alpha: Level of the two-sided test.
        lasting: The part of the variance that passes for known.
    """
    if variance + lasting == 0:
        return float(difference != 0)
    return float(_power(difference, np.array([variance]), freedom, alpha, lasting)[0])


@functools.lru_cache(maxsize=128)
def _ratios(freedom: float) -> Floats:
    """Give estimated variances, in units of the true one, of equal probability."""
    return np.asarray(scipy.stats.chi2.ppf(MIDDLES, freedom) / freedom)


def _power(difference: float, variances: Floats, freedom: float, alpha: float, lasting: float) -> Floats:
    """Compute the power under each of some true variances: (variances,) to (variances,)."""
    # The noncentral t as what it is, a normal against a bar that varies with the estimated variance: the library's own
    # function for it gives NaN far out.
    estimates = variances[:, None] * _ratios(freedom)
    of_seeds, of_reviews = scipy.stats.t.ppf(1 - alpha / 2, freedom), scipy.special.ndtri(1 - alpha / 2)
    bars = (estimates * of_seeds + lasting * of_reviews) / np.sqrt(estimates + lasting)
    errors = np.sqrt(variances + lasting)[:, None]
    found = scipy.special.ndtr((difference - bars) / errors) + scipy.special.ndtr((-difference - bars) / errors)
    return np.asarray(found.mean(axis=1))


def estimated_power(
    difference: float, *, variance: float, freedom: float, alpha: float, lasting: float = 0.0, level: float = 0.95
) -> tuple[float, float, float]:
    """Estimate how often a true difference is found, where the variance is an estimate too.

    The bounds are the power at the bounds of the variance. Source: Taylor & Muller 1995, "Computing confidence bounds
    for power and sample size of the general linear univariate model". The point is the power at the estimated
    variance, less the bias that this has where the estimate is the truth (the parametric bootstrap, here without
    random draws). Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 10.

    Args:
        difference: The true difference, of either sign.
        variance: Of the estimated difference, as estimated: the part that few numbers tell.
        freedom: Degrees of freedom of `variance`.
        alpha: Level of the two-sided test.
        lasting: The part of the variance that passes for known.
        level: Of the bounds.

    Returns:
        Low, point, high, each in [0, 1].
    """
    plain = power(difference, variance=variance, freedom=freedom, alpha=alpha, lasting=lasting)
    if variance == 0:
        return plain, plain, plain
    ends = freedom / scipy.stats.chi2.ppf([(1 + level) / 2, (1 - level) / 2], freedom)
    at_ends = _power(difference, variance * ends, freedom, alpha, lasting)
    again = _power(difference, variance * _ratios(freedom)[2::5], freedom, alpha, lasting)  # 200 of them are enough
    low, high = float(at_ends.min()), float(at_ends.max())
    return low, float(np.clip(2 * plain - float(again.mean()), low, high)), high


def bias_of_deviation(freedom: float) -> float:
    """Compute the mean of an estimated standard deviation over the true one, below 1 (Holtzman 1950)."""
    return float(
        np.sqrt(2 / freedom) * np.exp(scipy.special.gammaln((freedom + 1) / 2) - scipy.special.gammaln(freedom / 2))
    )


def minimum_detectable(
    *, variance: float, freedom: float, alpha: float, lasting: float = 0.0, wanted: float = 0.8
) -> float:
    """Compute the smallest true difference that is found with the wanted power; the rest as in `power`."""
    if variance + lasting == 0:
        return 0.0

    def missing(difference: float) -> float:
        return power(difference, variance=variance, freedom=freedom, alpha=alpha, lasting=lasting) - wanted

    far = (variance + lasting) ** 0.5 * (float(scipy.stats.t.ppf(1 - alpha / 2, freedom)) + 1)
    while missing(far) < 0:
        far *= 2
    return float(scipy.optimize.brentq(missing, 0.0, far, xtol=1e-9))


def seeds_needed(of: Noise, *, difference: float, alpha: float, least: int, wanted: float = 0.8) -> int | None:
    """Compute the fewest seeds that find a true difference with the wanted power.

    Args:
        of: The noise of the pair's difference, as the seeds at hand estimate it. (Around the wanted power the bias of
            putting an estimate in is small.)
        difference: The true difference to find.
        alpha: Level of the test.
        least: Seeds below which nothing is claimed.
        wanted: Power, in [0, 1].

    Returns:
        Seeds, or None where the noise is unknown or no number of seeds is enough: then the test reviews are too few.
    """
    # Where there is no seed noise, all of the variance stays.
    lasting = of.lasting if of.per_seed else of.variance

    def enough(seeds: int) -> bool:
        variance, freedom = of.per_seed / seeds, max(seeds - 1, 1)
        return power(difference, variance=variance, lasting=lasting, freedom=freedom, alpha=alpha) >= wanted

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
