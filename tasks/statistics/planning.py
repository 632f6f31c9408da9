"""Seeds and test reviews that a comparison needs to detect a difference, computed before any training.

The variance of the difference of a pair has three parts: between seeds, between test reviews in the same way for all
seeds, and what is left. They are known from an earlier run, or from published measurements. From them follows the
variance for any number of seeds k and of test reviews n:

    seed_variance / k + shared_variance / n + rest_variance / (k n)

The power is that of the test of the report (`tasks.statistics.power`), with the same rules: at least `MIN_SEEDS` seeds,
and the level of Holm's procedure over all pairs.
"""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy  # submodules load on first use

from tasks.config.labels import BASELINE_NAMES
from tasks.config.metric_names import DEFAULT_METRIC
from tasks.evaluation.metrics import METRICS
from tasks.evaluation.predictions import Predictions, metric_contributions
from tasks.statistics.confidence_intervals import VarianceComponents, estimate_variance
from tasks.statistics.failed_seeds import find_failed_seeds
from tasks.statistics.multiple_testing import holm_adjust, holm_level
from tasks.statistics.pairs import match_seeds, p_value
from tasks.statistics.power import MAX_SEEDS, minimum_detectable_difference, power, seeds_needed, std_bias_factor
from tasks.statistics.significance import MIN_SEEDS

ALPHA = 0.05
MAJORITY = "majority"
MAX_REVIEWS = 10**9
SMALLEST_VARIANCE = 1e-18  # far below that of one of `MAX_REVIEWS` reviews
TYPICAL_SEEDS = 10  # at which the pairs are ordered by noise


@dataclass(frozen=True)
class PairVariance:
    """Variance of the difference of two architectures in one metric.

    Attributes:
        first: One architecture.
        second: The other architecture.
        seed_variance: Variance of the difference of a single run between seeds, without that of test reviews. An
            estimated standard deviation is too small on average; this is corrected.
        shared_variance: Variance of the difference on one test review that all seeds share.
        rest_variance: Variance of the difference on one test review that is different for each seed.
        df: Degrees of freedom of the estimated seed variance.
        groups_per_review: Degrees of freedom of the variance between groups, plus 1, divided by the number of test
            reviews; None if the reviews are independent. The variances of one review then contain the design effect.
        difference: First minus second; NaN if unknown.
        p: P-value of this difference, not corrected.
        bounded: Whether scores are in [0, 1].
    """

    first: str
    second: str
    seed_variance: float
    shared_variance: float
    rest_variance: float
    df: float
    groups_per_review: float | None = None
    difference: float = float("nan")
    p: float = 1.0
    bounded: bool = True

    @property
    def names(self) -> tuple[str, str]:
        """Return the two architectures."""
        return self.first, self.second

    def at(self, seeds: float, reviews: float) -> VarianceComponents:
        """Return the variance of the mean difference over some seeds and test reviews.

        Args:
            seeds: Number of seeds, at least 2.
            reviews: Number of test reviews.
        """
        shared, rest = self.shared_variance / reviews, self.rest_variance / reviews
        # Not exactly 0, which stands for an architecture that does not depend on the seed.
        per_seed = max(self.seed_variance + rest, SMALLEST_VARIANCE)
        groups = np.inf if self.groups_per_review is None else max(self.groups_per_review * reviews - 1, 1.0)
        return VarianceComponents(
            seed_variance=self.seed_variance,
            review_variance=shared + rest,
            estimated_variance=per_seed / seeds,
            df=seeds - 1,
            known_variance=shared + _floor(reviews, bounded=self.bounded),
            variance_per_seed=per_seed,
            known_df=groups,
        )


def _floor(reviews: float, *, bounded: bool) -> float:
    """Return the variance that `estimate_variance` adds for scores in [0, 1]."""
    return 1 / (reviews + 2) ** 2 if bounded else 0.0


class Range(NamedTuple):
    """A number with its limits; infinite if no number suffices."""

    low: float
    point: float
    high: float


@dataclass(frozen=True)
class Goal:
    """What a comparison is planned for.

    Attributes:
        difference: True difference to detect, above 0, in units of the metric.
        power: Probability to detect it, in (0, 1).
        level: Level of the two-sided test of a pair.
        reviews: Number of test reviews.
    """

    difference: float
    power: float
    level: float
    reviews: int


@dataclass(frozen=True)
class PairNeeds:
    """What a pair needs to reach a goal.

    Attributes:
        pair: The pair.
        seeds: Number of seeds with its 95% limits, from the uncertainty of the seed variance.
        limit: Difference that is detected with any number of seeds; what remains is the variance of test reviews.
        reviews: Number of test reviews with which `reviews_seeds` seeds suffice; None if it is not needed or if not
            even `MAX_REVIEWS` suffice.
        reviews_seeds: Number of seeds for which `reviews` holds.
    """

    pair: PairVariance
    seeds: Range
    limit: float
    reviews: int | None
    reviews_seeds: int


def measure_pairs(predictions: Predictions, metric: str = DEFAULT_METRIC) -> list[PairVariance]:
    """Measure the variance of the difference of every pair that shares at least two seeds, on the test split.

    The majority class is left out: nearly every difference to it is detected.
    """
    contributions = metric_contributions(predictions, [metric])[metric]
    measured, bounded = [], METRICS[metric].is_bounded
    for pair in match_seeds(predictions, BASELINE_NAMES):
        names = [predictions.architectures[index] for index in (pair.first, pair.second)]
        if pair.deterministic or len(pair.first_seeds) < 2 or MAJORITY in names:
            continue
        table = contributions[pair.first][pair.first_seeds] - contributions[pair.second][pair.second_seeds]
        variance = estimate_variance(table, bounded=bounded, groups=predictions.groups)
        reviews, groups = table.shape[1], predictions.groups
        shared = max(variance.known_variance - _floor(reviews, bounded=bounded), 0.0)
        rest, df = variance.review_variance - shared, len(pair.first_seeds) - 1
        measured.append(
            PairVariance(
                first=names[0],
                second=names[1],
                seed_variance=max(variance.variance_per_seed / std_bias_factor(df) ** 2 - rest, 0.0),
                shared_variance=reviews * shared,
                rest_variance=reviews * rest,
                df=df,
                groups_per_review=None if groups is None else (variance.known_df + 1) / reviews,
                difference=float(table.mean()),
                p=p_value(float(table.mean()), variance),
                bounded=bounded,
            )
        )
    return measured


def failed_architectures(predictions: Predictions, metric: str = DEFAULT_METRIC) -> list[str]:
    """Return the architectures of which at least one seed with predictions failed."""
    contributions = metric_contributions(predictions, [metric])[metric]
    failed = find_failed_seeds(predictions, contributions, metric, BASELINE_NAMES)
    return [name for name, seeds in zip(predictions.architectures, failed, strict=True) if seeds.any()]


def relevant_pairs(pairs: Sequence[PairVariance], architectures: Collection[str]) -> list[PairVariance]:
    """Return the pairs that a plan is about: of two planned networks, or of the only one and a baseline.

    If nothing is known about them, these are all pairs of networks, or else all pairs.
    """
    networks = [pair for pair in pairs if not {*BASELINE_NAMES} & {*pair.names}]
    allowed = {*architectures} if len(architectures) > 1 else {*architectures, *BASELINE_NAMES}
    planned = [pair for pair in pairs if {*pair.names} <= allowed]
    return planned or networks or list(pairs)


def planned_level(pairs: Sequence[PairVariance], architectures: Collection[str]) -> tuple[float, int]:
    """Return the level at which Holm's procedure tests a pair of the planned comparison, and its number of pairs.

    Pairs that an earlier run found different do not count, and neither do those with the majority class. If the
    earlier run does not contain a pair, it counts: the level is then rather too low than too high.

    Args:
        pairs: Pairs of the earlier run, with their p-values; of published pairs none is decided.
        architectures: Networks of the planned comparison.
    """
    names = [*architectures, *(name for name in BASELINE_NAMES if name != MAJORITY)]
    known: Mapping[frozenset[str], float] = {frozenset(pair.names): pair.p for pair in pairs}
    p_values = [known.get(frozenset(pair), 1.0) for pair in itertools.combinations(names, 2)]
    adjusted = holm_adjust(np.array(p_values))
    return holm_level(adjusted, ALPHA), max(int((adjusted > ALPHA).sum()), 1)


def detectable_difference(pair: PairVariance, seeds: int, goal: Goal) -> float:
    """Return the smallest true difference that is detected with the power of the goal; NaN with too few seeds."""
    if seeds < MIN_SEEDS:
        return float("nan")
    variance = pair.at(seeds, goal.reviews)
    return minimum_detectable_difference(
        estimated_variance=variance.estimated_variance, df=variance.df, alpha=goal.level, target_power=goal.power,
        known_variance=variance.known_variance_at(goal.level),
    )  # fmt: skip


def planned_power(pair: PairVariance, seeds: int, goal: Goal) -> float:
    """Return the probability that some seeds detect the difference of the goal; 0 if they are too few."""
    if seeds < MIN_SEEDS:
        return 0.0
    variance = pair.at(seeds, goal.reviews)
    return power(
        goal.difference, estimated_variance=variance.estimated_variance, df=variance.df, alpha=goal.level,
        known_variance=variance.known_variance_at(goal.level),
    )  # fmt: skip


def pair_needs(pair: PairVariance, goal: Goal, *, min_seeds: int = TYPICAL_SEEDS) -> PairNeeds:
    """Return the seeds that a pair needs and, if no number of seeds suffices, the test reviews.

    Args:
        pair: Variance of the pair.
        goal: What to detect.
        min_seeds: Smallest number of seeds for which the number of test reviews is computed.
    """
    limit = minimum_detectable_difference(
        estimated_variance=0.0, df=MAX_SEEDS, alpha=goal.level, target_power=goal.power,
        known_variance=pair.at(MAX_SEEDS, goal.reviews).known_variance_at(goal.level),
    )  # fmt: skip
    seeds = _seeds_range(pair, goal)
    if np.isfinite(seeds.point):
        return PairNeeds(pair, seeds, limit, None, min_seeds)
    # With twice the seeds that suffice for unlimited test reviews, their number is not extreme.
    unlimited = _seeds(pair, replace(goal, reviews=MAX_REVIEWS), 1.0)
    count = max(min_seeds, 2 * int(unlimited)) if np.isfinite(unlimited) else MAX_SEEDS
    return PairNeeds(pair, seeds, limit, _reviews_needed(pair, count, goal), count)


def _seeds_range(pair: PairVariance, goal: Goal) -> Range:
    """Return the seeds that a pair needs, at the estimated seed variance and at its 95% limits."""
    # Relative to the variance before the correction of `PairVariance.seed_variance`.
    ratios = std_bias_factor(pair.df) ** 2 * pair.df / scipy.stats.chi2.ppf([0.975, 0.025], pair.df)
    low, high = (_seeds(pair, goal, float(ratio)) for ratio in ratios)
    return Range(low, _seeds(pair, goal, 1.0), high)


def _seeds(pair: PairVariance, goal: Goal, factor: float) -> float:
    """Return the seeds that a pair with a multiple of its variance per seed needs; infinite if none suffice."""
    variance = pair.at(MIN_SEEDS, goal.reviews)
    scaled = replace(variance, variance_per_seed=factor * variance.variance_per_seed)
    needed = seeds_needed(scaled, difference=goal.difference, alpha=goal.level, target_power=goal.power)
    return float("inf") if needed is None else needed


def _reviews_needed(pair: PairVariance, seeds: int, goal: Goal) -> int | None:
    """Return the smallest number of test reviews with which some seeds reach the goal, or None."""
    low, high = 2, MAX_REVIEWS
    if planned_power(pair, seeds, replace(goal, reviews=high)) < goal.power:
        return None
    while low < high:
        middle = (low + high) // 2
        suffices = planned_power(pair, seeds, replace(goal, reviews=middle)) >= goal.power
        low, high = (low, middle) if suffices else (middle + 1, high)
    return low


def typical_and_noisiest(pairs: Sequence[PairVariance], goal: Goal) -> list[PairVariance]:
    """Return the median and the last pair in the order of the detectable difference with ten seeds; one if equal."""
    ordered = sorted(pairs, key=lambda pair: detectable_difference(pair, TYPICAL_SEEDS, goal))
    typical, noisiest = ordered[(len(ordered) - 1) // 2], ordered[-1]
    return [typical] if typical is noisiest else [typical, noisiest]
