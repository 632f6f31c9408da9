"""Resamples of the training reviews that a difference needs to hold for other training reviews, before any training.

The test is that of `tasks.statistics.training_sample`. Its power is the probability that a normal difference exceeds
the margin of error, averaged over the estimated variances between resamples (N - 1 degrees of freedom) and between
seeds (k - 1). More resamples make the variance between training samples known, but do not reduce it: all ordinary
trials share one sample of training reviews.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy  # submodules load on first use

from tasks.evaluation.metrics import Floats
from tasks.statistics import confidence_intervals
from tasks.statistics.planning import Goal, PairVariance
from tasks.statistics.training_sample import MIN_RESAMPLES, TotalVariance, margin_of_error

MAX_RESAMPLES = 100  # of a run
SEED_FACTORS = (1.0, 1.4, 2.0, 3.0)  # multiples of the seeds without resamples that are considered
NODES = 8  # values of each estimated variance


@dataclass(frozen=True)
class TrainingVariance:
    """Variance of the difference of a pair between samples of training reviews, estimated from an earlier run.

    Attributes:
        variance: Variance of the difference, without that between seeds.
        resamples: Number of resamples that it was estimated from.
    """

    variance: float
    resamples: int


class ResampleNeeds(NamedTuple):
    """Seeds and resamples with which the difference of a goal also holds for other training reviews.

    Attributes:
        seeds: Number of seeds; if nothing suffices, the largest one that was considered.
        resamples: Number of resamples; None if nothing suffices.
        detectable: True difference that these seeds and `MAX_RESAMPLES` detect with the power of the goal.
    """

    seeds: int
    resamples: int | None
    detectable: float


def resample_needs(pair: PairVariance, training: TrainingVariance, seeds: int, goal: Goal) -> ResampleNeeds:
    """Return the seeds and resamples that a pair needs: of those that suffice, the fewest trainings.

    More seeds are considered as well, in steps, because the interval from all sources of variance is longer.

    Args:
        pair: Variance of the pair.
        training: Its variance between samples of training reviews.
        seeds: Smallest number of seeds, at least 2.
        goal: What to detect.
    """
    found: list[ResampleNeeds] = []
    for count in (round(seeds * factor) for factor in SEED_FACTORS):
        if count + MIN_RESAMPLES < min(map(_trainings, found), default=np.inf):
            found.append(_resample_needs(pair, training, count, goal))
    return min(reversed(found), key=_trainings)  # the last one if none suffices


def _trainings(needs: ResampleNeeds) -> float:
    return np.inf if needs.resamples is None else needs.seeds + needs.resamples


def _resample_needs(pair: PairVariance, training: TrainingVariance, seeds: int, goal: Goal) -> ResampleNeeds:
    """Return the resamples that a pair needs with a fixed number of seeds."""
    margins = _margins(pair, training.variance, seeds, MAX_RESAMPLES, goal)
    detectable = _detectable(margins, _true_std(pair, training.variance, seeds, goal), goal.power)
    if detectable > goal.difference:
        return ResampleNeeds(seeds, None, detectable)
    low, high = MIN_RESAMPLES, MAX_RESAMPLES
    while low < high:
        middle = (low + high) // 2
        suffices = resample_power(pair, training.variance, seeds, middle, goal) >= goal.power
        low, high = (low, middle) if suffices else (middle + 1, high)
    return ResampleNeeds(seeds, low, detectable)


def resample_power(pair: PairVariance, training_variance: float, seeds: int, resamples: int, goal: Goal) -> float:
    """Return the probability that the difference of a goal is significant for other training reviews, at its level.

    Args:
        pair: Variance of the pair.
        training_variance: Variance of its difference between samples of training reviews.
        seeds: Number of seeds, at least 2.
        resamples: Number of resamples, at least 2.
        goal: What to detect.
    """
    margins = _margins(pair, training_variance, seeds, resamples, goal)
    return _power(goal.difference, margins, _true_std(pair, training_variance, seeds, goal))


def _power(difference: float, margins: Floats, std: float) -> float:
    return float(scipy.special.ndtr((difference - margins) / std).mean())


def _detectable(margins: Floats, std: float, power: float) -> float:
    """Return the difference that exceeds equally probable margins with some power."""
    high = float(margins.max()) + 10 * std
    return float(scipy.optimize.brentq(lambda value: _power(value, margins, std) - power, 0.0, high))


def _true_std(pair: PairVariance, training_variance: float, seeds: int, goal: Goal) -> float:
    """Return the standard deviation of the observed difference over seeds, training reviews and test reviews."""
    return float((training_variance + pair.at(seeds, goal.reviews).variance_of_mean) ** 0.5)


def _margins(pair: PairVariance, training_variance: float, seeds: int, resamples: int, goal: Goal) -> Floats:
    """Return equally probable margins of error at the level of a goal: (NODES * NODES,)."""
    variance = pair.at(seeds, goal.reviews)
    per_seed, level = variance.variance_per_seed, 1 - goal.level
    # As in `planning`, few groups of test reviews count as a larger known variance.
    test = variance.known_variance_at(goal.level)
    margins = []
    for from_seeds in per_seed * _variance_ratios(seeds - 1):
        estimated = {"estimated_variance": from_seeds / seeds, "variance_per_seed": from_seeds}
        ordinary = replace(variance, known_variance=test, known_df=np.inf, **estimated)
        least = confidence_intervals.margin_of_error(ordinary, level=level)
        for run in (training_variance + per_seed) * _variance_ratios(resamples - 1):
            total = TotalVariance(run, resamples - 1, from_seeds, seeds - 1, seeds, test, np.inf)
            margins.append(max(least, margin_of_error(total, level=level)))
    return np.array(margins)


def _variance_ratios(df: int) -> Floats:
    """Return equally probable ratios (NODES,) of an estimated to a true variance."""
    return np.asarray(scipy.stats.chi2.ppf((np.arange(NODES) + 0.5) / NODES, df) / df)
