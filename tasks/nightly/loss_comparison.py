"""Comparison of new losses with earlier ones, which allows for seeds that fail.

A training fails now and then: one seed is several points below the others although nothing changed. Such a value is no
evidence of a regression, and it must not hide one.

- An earlier value that is far from the median is an outlier. It is left out of mean and standard deviation.
- The share of outliers estimates how often a seed fails. The p-value of new values is the average over the number of
  failed seeds among them: if k of n failed, the n - k best of them are tested (a t test against earlier values, the
  test of a prediction interval). A single value can therefore never have a p-value below the failure rate.
- The p-values of the architectures are combined by Stouffer's method (1949, "The American Soldier"). As each allows for
  a failed seed, its z is bounded, at most by `MAX_Z`.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import comb, ndtr, ndtri, stdtr

from tasks.evaluation.metrics import Floats

MIN_EARLIER_VALUES = 4  # with fewer, the standard deviation is not known well enough
MIN_STD = 1 / 5  # of the smallest deterioration that raises an alarm; a few values may be equal by chance
OUTLIER_DISTANCE = 5.0  # in robust standard deviations, for many values
PRIOR_VALUES = 20  # weight of the failure rate of all architectures in that of one, as a number of values
MAX_Z = 3.0
MAD_TO_STD = 1.4826  # of a normal distribution


@dataclass(frozen=True)
class Baseline:
    """Earlier losses without outliers, each (architectures, metrics).

    Attributes:
        mean: Mean; NaN without values.
        std: Standard deviation, at least that of `MIN_STD`; NaN for a single value.
        count: Number of values.
        outliers: Number of outliers, which are not counted.
    """

    mean: Floats
    std: Floats
    count: Floats
    outliers: Floats

    @property
    def tested(self) -> np.ndarray:
        """Return where there are enough values for a test."""
        return self.count >= MIN_EARLIER_VALUES


@dataclass(frozen=True)
class LossComparison:
    """New losses compared with earlier ones, each (architectures + 1, metrics); the last row is for all together.

    Attributes:
        deterioration: Median of the new losses minus mean of the earlier ones; for all together the median over the
            architectures. NaN where there are too few values.
        p: One-sided p-value, not corrected; NaN where there are too few values.
        new_values: Number of new values.
        earlier_values: Number of earlier values without outliers.
    """

    deterioration: Floats
    p: Floats
    new_values: Floats
    earlier_values: Floats


def median(values: Floats) -> Floats:
    """Compute the median along the first axis without missing values; faster than `nanmedian` for a few values."""
    if not len(values):
        return np.full(values.shape[1:], np.nan)
    ordered, count = np.sort(values, axis=0), np.isfinite(values).sum(0)
    middle = np.maximum([(count - 1) // 2, count // 2], 0)
    return np.take_along_axis(ordered, middle, axis=0).mean(0)


def summarize_earlier(losses: Floats, min_deterioration: Floats) -> Baseline:
    """Compute mean and standard deviation of losses (values, architectures, metrics) without outliers.

    Args:
        losses: The losses; NaN is a missing value.
        min_deterioration: (metrics,) smallest deterioration that raises an alarm.
    """
    min_std = MIN_STD * min_deterioration
    count = np.isfinite(losses).sum(0)
    center = median(losses)
    spread = MAD_TO_STD * median(np.abs(losses - center))
    # The median deviation of a few values can be small by chance.
    limit = OUTLIER_DISTANCE * (1 + 4 / np.maximum(count, 1)) * np.maximum(spread, min_std)
    outlier = np.abs(losses - center) > limit
    kept = np.isfinite(losses) & ~outlier
    n = kept.sum(0)
    mean = np.where(kept, losses, 0).sum(0) / np.where(n > 0, n, np.nan)
    squares = np.where(kept, (losses - mean) ** 2, 0).sum(0)
    std = np.maximum(np.sqrt(squares / np.where(n > 1, n - 1, np.nan)), min_std)
    return Baseline(mean, std, n.astype(float), outlier.sum(0).astype(float))


def failure_rates(earlier: Baseline) -> Floats:
    """Estimate how often a seed of each architecture fails, from the outliers of all architectures.

    The estimate is above 0, because few values without an outlier do not show that no seed fails.
    """
    total = earlier.count + earlier.outliers
    overall = (earlier.outliers.sum(0) + 0.5) / (total.sum(0) + 1)
    return (earlier.outliers + PRIOR_VALUES * overall) / (total + PRIOR_VALUES)


def compute_p_values(new: Floats, earlier: Baseline, failure_rate: Floats) -> Floats:
    """Compute one-sided p-values of new losses (values, …), of which any number may come from failed seeds.

    Args:
        new: New losses; NaN is a missing value.
        earlier: The losses that they are compared with.
        failure_rate: Probability that a seed fails, in (0, 1).
    """
    number, smallest = np.isfinite(new).sum(0), np.nancumsum(np.sort(new, axis=0), axis=0)
    p_values = failure_rate**number  # all of them failed
    for kept in range(1, len(new) + 1):
        failed = number - kept
        weight = comb(number, kept) * failure_rate ** np.maximum(failed, 0) * (1 - failure_rate) ** kept
        error = earlier.std * np.sqrt(1 / np.maximum(earlier.count, 1) + 1 / kept)
        t = (smallest[kept - 1] / kept - earlier.mean) / error
        p_values = p_values + np.where(failed >= 0, weight * stdtr(np.maximum(earlier.count - 1, 1), -t), 0)
    return p_values


def combine_architectures(p_values: Floats, tested: np.ndarray) -> Floats:
    """Combine the p-values of the tested architectures, the first axis; NaN if they are fewer than two."""
    number = tested.sum(0)
    z = np.where(tested, np.clip(-ndtri(p_values), -MAX_Z, MAX_Z), 0).sum(0)
    return np.where(number > 1, ndtr(-z / np.sqrt(np.maximum(number, 1))), np.nan)


def compare_losses(new: Floats, earlier: Baseline, failure_rate: Floats) -> LossComparison:
    """Test whether new losses (values, architectures, metrics) are larger than earlier ones."""
    number = np.isfinite(new).sum(0)
    tested = earlier.tested & (number > 0)
    p_values = np.where(tested, compute_p_values(new, earlier, failure_rate), np.nan)
    deterioration = np.where(tested, median(new) - earlier.mean, np.nan)
    overall = np.where(tested.sum(0) > 1, median(deterioration), np.nan)
    counts = (np.vstack([each, np.where(tested, each, 0).sum(0)]) for each in (number, earlier.count))
    return LossComparison(
        np.vstack([deterioration, overall]), np.vstack([p_values, combine_architectures(p_values, tested)]), *counts
    )
