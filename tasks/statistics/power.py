"""Power of the comparisons: which differences the seeds and reviews of a run can detect, and how many seeds are needed.

Source: Card et al. 2020, "With Little Power Comes Great Responsibility". The power is that of a t test. If there is
review variance next to seed variance, the critical value is that of Cochran & Cox 1950 ("Experimental Designs"): the
average of the critical values of the two sources, weighted by their variances. It is within two percentage points of
the power of the test itself.

The variance that determines the power is itself estimated, with few degrees of freedom if there are few seeds. If the
estimate is used as the true variance, the power is too large: at five seeds, a power of 34% is reported as 45% on
average (Muller & Pasour 1997, "Bias in linear model power and sample size due to estimating variance"). The reported
power is therefore corrected for this bias, repeatedly, because the bias of a single correction is still up to five
points, and comes with bounds.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy  # submodules load on first use, so training processes do not pay for them

from tasks.evaluation.metrics import Floats
from tasks.statistics.confidence_intervals import VarianceComponents
from tasks.statistics.multiple_testing import holm_level
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.significance import INCONCLUSIVE, MIN_SEEDS

MAX_SEEDS = 1_000
ONE_POINT = 0.01
POWER_COLUMNS = [
    "first", "second", "seeds", "level", "minimum_detectable_difference", "power_one_point", "power_low", "power_high",
    "target_difference", "seeds_needed",
]  # fmt: skip
# Midpoints of 1,000 intervals of equal probability.
MIDPOINTS = (np.arange(1_000) + 0.5) / 1_000
# With 4 degrees of freedom the remaining bias is below three points; more corrections only add variance.
CORRECTIONS = 4
GRID_POINTS, GRID_RANGE = 81, 1e3  # of variances relative to the estimate, from 1 / GRID_RANGE to GRID_RANGE


class PowerEstimate(NamedTuple):
    """Estimated power of a test with its bounds, each in [0, 1]."""

    low: float
    point: float
    high: float


def power_table(
    pairs: pd.DataFrame, variances: Sequence[VarianceComponents], options: ComparisonOptions
) -> pd.DataFrame:
    """Return the power of the test of each pair, and the number of seeds that it needs.

    Args:
        pairs: Columns first, second, difference, p_holm, seeds and verdict; one row per pair, in the main metric.
        variances: Variance of the difference of each pair.
        options: Options of the comparison.

    Returns:
        Columns first, second, seeds, level (from `holm_level`), minimum_detectable_difference (the true difference that
        is detected with a power of 80%), power_one_point (the probability to detect a true difference of one point)
        with its 95% bounds power_low and power_high, target_difference (the larger of the observed difference and the
        margin), seeds_needed (to detect the target with a power of 80%; -1 if no number of seeds suffices or the seed
        variance is unknown). With fewer than `MIN_SEEDS` seeds no difference is reported as significant, so the power
        and its bounds are 0 and minimum_detectable_difference is NaN.
    """
    level, rows = holm_level(pairs["p_holm"].to_numpy(), options.alpha), []
    for pair, variance in zip(pairs.to_dict("records"), variances, strict=True):
        test = {"df": variance.df, "alpha": level, "known_variance": variance.known_variance_at(level)}
        low, point, high = estimate_power(ONE_POINT, estimated_variance=variance.estimated_variance, **test)
        target = max(abs(pair["difference"]), options.margin)
        needed = seeds_needed(variance, difference=target, alpha=level)
        # An estimated standard deviation is too small on average, and so is the difference that follows from it.
        unbiased = variance.estimated_variance / std_bias_factor(variance.df) ** 2
        detectable = minimum_detectable_difference(estimated_variance=unbiased, **test)
        if pair["verdict"] == INCONCLUSIVE:
            detectable, low, point, high = np.nan, 0.0, 0.0, 0.0
        values = [detectable, point, low, high, target, -1 if needed is None else needed]
        rows.append([pair["first"], pair["second"], pair["seeds"], level, *values])
    return pd.DataFrame(rows, columns=POWER_COLUMNS)


def power(
    difference: float, *, estimated_variance: float, df: float, alpha: float, known_variance: float = 0.0
) -> float:
    """Compute the probability to detect a true difference, in [0, 1].

    Args:
        difference: True difference, of either sign.
        estimated_variance: True value of the part of the variance that the test estimates.
        df: Degrees of freedom of the estimate.
        alpha: Level of the two-sided test.
        known_variance: Part of the variance that is treated as known.
    """
    if estimated_variance + known_variance == 0:
        return float(difference != 0)
    return float(_power(difference, np.array([estimated_variance]), df, alpha, known_variance)[0])


@functools.lru_cache(maxsize=128)
def _variance_ratios(df: float) -> Floats:
    """Return estimated variances divided by the true one, at equally spaced probabilities: (1000,)."""
    return np.asarray(scipy.stats.chi2.ppf(MIDPOINTS, df) / df)


def _power(difference: float, variances: Floats, df: float, alpha: float, known_variance: float) -> Floats:
    """Compute the power for each of several true variances: (variances,) to (variances,)."""
    # The noncentral t as a normal variable with a critical value that depends on the estimated variance, because
    # scipy's function returns NaN far from 0.
    estimates = variances[:, None] * _variance_ratios(df)
    t_quantile, normal_quantile = scipy.stats.t.ppf(1 - alpha / 2, df), scipy.special.ndtri(1 - alpha / 2)
    critical = (estimates * t_quantile + known_variance * normal_quantile) / np.sqrt(estimates + known_variance)
    errors = np.sqrt(variances + known_variance)[:, None]
    detected = scipy.special.ndtr((difference - critical) / errors) + scipy.special.ndtr(
        (-difference - critical) / errors
    )
    return np.asarray(detected.mean(axis=1))


def estimate_power(
    difference: float,
    *,
    estimated_variance: float,
    df: float,
    alpha: float,
    known_variance: float = 0.0,
    level: float = 0.95,
) -> PowerEstimate:
    """Estimate the probability to detect a true difference if the variance is an estimate as well.

    The bounds are the power at the bounds of the variance. Source: Taylor & Muller 1995, "Computing confidence bounds
    for power and sample size of the general linear univariate model". The point is the power at the estimated variance,
    minus the bias that it would have if the estimate were the true variance (a parametric bootstrap, here without
    random draws); the same correction is then applied to the corrected function. Sources: Efron & Tibshirani 1993, "An
    Introduction to the Bootstrap", chapter 10; Hall & Martin 1988, "On bootstrap resampling and iteration".

    Args:
        difference: True difference, of either sign.
        estimated_variance: Estimated part of the variance of the difference.
        df: Degrees of freedom of `estimated_variance`.
        alpha: Level of the two-sided test.
        known_variance: Part of the variance that is treated as known.
        level: Confidence level of the bounds.
    """
    plain = power(
        difference, estimated_variance=estimated_variance, df=df, alpha=alpha, known_variance=known_variance
    )  # fmt: skip
    if estimated_variance == 0:
        return PowerEstimate(plain, plain, plain)
    bounds = estimated_variance * (df / scipy.stats.chi2.ppf([(1 + level) / 2, (1 - level) / 2], df))
    at_bounds = _power(difference, bounds, df, alpha, known_variance)
    grid = np.geomspace(1 / GRID_RANGE, GRID_RANGE, GRID_POINTS)
    corrected = _correct_bias(_power(difference, estimated_variance * grid, df, alpha, known_variance), df)
    low, high = float(at_bounds.min()), float(at_bounds.max())
    return PowerEstimate(low, float(np.clip(corrected[GRID_POINTS // 2], low, high)), high)


def _correct_bias(powers: Floats, df: float) -> Floats:
    """Correct a function of the variance so that its mean over estimates is about its value at the true variance.

    Args:
        powers: (GRID_POINTS,) float, values at the variances of the grid.
        df: Degrees of freedom of the estimates.
    """
    average = _averaging_matrix(df)
    corrected = powers
    for _ in range(CORRECTIONS):
        corrected = corrected + powers - average @ corrected
    return np.clip(corrected, 0.0, 1.0)


@functools.lru_cache(maxsize=128)
def _averaging_matrix(df: float) -> Floats:
    """Return the matrix that averages a function on the grid over the estimates of each variance of the grid.

    Estimates between two points of the grid are interpolated in the logarithm; those outside count at its ends.
    """
    positions = np.arange(GRID_POINTS)[:, None] + np.log(_variance_ratios(df)[2::5]) * (
        (GRID_POINTS - 1) / (2 * np.log(GRID_RANGE))
    )
    positions = np.clip(positions, 0, GRID_POINTS - 1)
    lower = np.minimum(positions.astype(int), GRID_POINTS - 2)
    matrix = np.zeros((GRID_POINTS, GRID_POINTS))
    rows = np.broadcast_to(np.arange(GRID_POINTS)[:, None], lower.shape)
    np.add.at(matrix, (rows, lower), lower + 1 - positions)
    np.add.at(matrix, (rows, lower + 1), positions - lower)
    return np.asarray(matrix / lower.shape[1])


def std_bias_factor(df: float) -> float:
    """Return the mean of an estimated standard deviation divided by the true one, below 1 (c4; Holtzman 1950)."""
    return float(np.sqrt(2 / df) * np.exp(scipy.special.gammaln((df + 1) / 2) - scipy.special.gammaln(df / 2)))


def minimum_detectable_difference(
    *, estimated_variance: float, df: float, alpha: float, known_variance: float = 0.0, target_power: float = 0.8
) -> float:
    """Compute the smallest true difference that is detected with the target power.

    Args:
        estimated_variance: True value of the part of the variance that the test estimates.
        df: Degrees of freedom of the estimate.
        alpha: Level of the two-sided test.
        known_variance: Part of the variance that is treated as known.
        target_power: Power, in (0, 1).
    """
    if estimated_variance + known_variance == 0:
        return 0.0
    test = {"estimated_variance": estimated_variance, "df": df, "alpha": alpha, "known_variance": known_variance}

    def excess_power(difference: float) -> float:
        return power(difference, **test) - target_power

    upper = (estimated_variance + known_variance) ** 0.5 * (float(scipy.stats.t.ppf(1 - alpha / 2, df)) + 1)
    while excess_power(upper) < 0:
        upper *= 2
    return float(scipy.optimize.brentq(excess_power, 0.0, upper, xtol=1e-9))


def seeds_needed(
    variance: VarianceComponents,
    *,
    difference: float,
    alpha: float,
    min_seeds: int = MIN_SEEDS,
    target_power: float = 0.8,
) -> int | None:
    """Compute the smallest number of seeds that detects a true difference with the target power.

    Args:
        variance: Estimated variance of the difference of a pair. Near a power of 80% the bias from using an estimate is
            small.
        difference: True difference to detect.
        alpha: Level of the two-sided test.
        min_seeds: Smallest number of seeds to return.
        target_power: Power, in (0, 1).

    Returns:
        Number of seeds, or None if the seed variance is unknown or no number of seeds suffices, because there are too
        few test reviews.
    """
    # Without seed variance, more seeds do not reduce any part of the variance.
    known_variance = variance.known_variance_at(alpha) if variance.variance_per_seed else variance.variance_of_mean

    def suffices(seeds: int) -> bool:
        test = {"estimated_variance": variance.variance_per_seed / seeds, "df": max(seeds - 1, 1), "alpha": alpha}
        return power(difference, known_variance=known_variance, **test) >= target_power

    if not variance.variance_per_seed >= 0 or not suffices(MAX_SEEDS):
        return None
    low, high = min_seeds, MAX_SEEDS
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle + 1, high)
    return low


def seeds_for_exact_test(alpha: float) -> int:
    """Return the smallest number of seeds k with which the exact sign-flip test can reach alpha: 2 / 2^k <= alpha."""
    seeds = 1
    while 2 / 2**seeds > alpha:
        seeds += 1
    return seeds
