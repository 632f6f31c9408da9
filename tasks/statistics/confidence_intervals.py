"""Seed variance and review variance of a mean score, and the intervals and p-values that follow from them.

The scores of k seeds on n reviews form a table. Its rows (seeds) and its columns (reviews) are both random samples.
Studies of diagnostic accuracy with many readers and many cases have the same layout, and their analysis of variance is
used here. Source: Obuchowski & Rockette 1995, "Hypothesis testing of diagnostic accuracy for multiple readers and
multiple tests".

**Distribution of the error.** The error of the mean is the sum of two variables. The part from seeds follows a t
distribution, because few seeds estimate its variance. The part from reviews is normal, because thousands of reviews
estimate its variance and it can be treated as known. The sum has a Behrens-Fisher distribution. No case is known in
which its intervals cover less than their nominal level: Robinson 1976, "Properties of Student's t and of the
Behrens-Fisher solution to the two means problem".

**Groups of reviews.** If reviews belong to groups, such as films, the groups take the place of the reviews
(`tasks.evaluation.grouping`). Fewer of them estimate the variance, so the part from reviews is a t variable as well.
If few groups contribute most of the variance, such as those with reviews of a rare class, it has fewer degrees of
freedom than there are groups. Source: O'Neill 2014, "Some useful moment results in sampling problems".

**Why not approximate degrees of freedom.** The usual method uses one t distribution with approximate degrees of freedom
(Hillis 2007, "A comparison of denominator degrees of freedom methods for multiple observer ROC analysis"). If the seed
variance is underestimated by chance, the degrees of freedom are overestimated as well. With 5 seeds at a level of 0.005
(Holm's first of ten pairs), and a review variance of a tenth to a third of the seed variance, that test rejects about
twice as often as it should.

**Why not bootstrap percentiles.** With k seeds the variance of a resampled mean is (k - 1)/k of its correct value, and
its percentiles are those of a normal instead of a t distribution (Hesterberg 2015, "What teachers should know about the
bootstrap"). With 5 seeds such intervals cover about 85% instead of 95%. Resampling seeds and reviews together also
counts their interaction three times (Owen 2007, "The pigeonhole bootstrap"). The analysis of variance is the same
two-level resampling in closed form, with both errors corrected.
"""

import functools
from dataclasses import dataclass, replace

import numpy as np
import scipy  # submodules load on first use, so training processes do not pay for them

from tasks.evaluation.grouping import ReviewGroups, group_contributions
from tasks.evaluation.metrics import Floats


@dataclass(frozen=True)
class VarianceComponents:
    """Variances of a mean over k seeds and n reviews, in squared units of the metric.

    Attributes:
        seed_variance: Variance of the score of a single run between seeds; NaN if one seed cannot tell.
        review_variance: Variance of the score of a single run between samples of n test reviews, at fixed seeds.
        estimated_variance: Part of the variance of the mean that is estimated with few degrees of freedom: the part
            that shrinks with more seeds. With one seed, the part from reviews.
        df: Degrees of freedom of `estimated_variance`.
        known_variance: Part of the variance of the mean that more seeds do not reduce. So many reviews estimate it that
            it is treated as known, unless the reviews belong to groups.
        variance_per_seed: `estimated_variance` times the number of seeds; NaN if the seed variance is unknown.
        known_df: Degrees of freedom of `known_variance`; infinite if it is treated as known.
    """

    seed_variance: float
    review_variance: float
    estimated_variance: float
    df: float
    known_variance: float
    variance_per_seed: float
    known_df: float = float("inf")

    @property
    def variance_of_mean(self) -> float:
        """Variance of the mean: from seeds and reviews, or from reviews only if the seed variance is unknown."""
        return self.estimated_variance + self.known_variance

    def known_variance_at(self, alpha: float) -> float:
        """Return the normal variance whose quantile at a two-sided level is that of the known part of the variance."""
        if np.isinf(self.known_df):
            return self.known_variance
        ratio = float(scipy.stats.t.ppf(1 - alpha / 2, self.known_df) / scipy.special.ndtri(1 - alpha / 2))
        return self.known_variance * ratio**2


def estimate_variance(
    table: Floats, *, bounded: bool = False, deterministic: bool = False, groups: ReviewGroups | None = None
) -> VarianceComponents:
    """Estimate the variance of the mean of a table by a two-way random-effects analysis of variance.

    Var(mean) = MS_seeds / (k n), with k - 1 degrees of freedom, + max(MS_reviews - MS_rest, 0) / (k n).

    Args:
        table: (seeds, reviews) float, contributions or paired differences of contributions.
        bounded: Whether the contributions belong to a score in [0, 1]. If so, one review is added on either side
            (Agresti & Min 2005, "Simple improved confidence intervals for comparing matched proportions"), so that
            equal predictions on 50 reviews do not give a variance of 0.
        deterministic: Whether the score does not depend on the seed. A single row then has a seed variance of 0.
        groups: Which reviews belong together. If they are known, groups take the place of reviews above.
    """
    floor = 1 / (table.shape[1] + 2) ** 2 if bounded else 0.0
    if groups is not None:
        table = group_contributions(table, groups)
    seeds, reviews = table.shape
    review_squares = float(np.square(table.mean(axis=0) - table.mean()).sum())
    if seeds == 1:
        variance = _single_seed_variance(review_squares, reviews, floor, seed_variance=0.0 if deterministic else np.nan)
        return variance if groups is None else replace(variance, df=_df_between_groups(table, groups))
    mean = table.mean()
    seed_squares = float(np.square(table.mean(axis=1) - mean).sum())
    rest_squares = float(np.square(table - mean).sum()) - reviews * seed_squares - seeds * review_squares
    ms_seeds = reviews * seed_squares / (seeds - 1)
    ms_reviews = seeds * review_squares / max(reviews - 1, 1)
    ms_rest = max(rest_squares, 0.0) / ((seeds - 1) * max(reviews - 1, 1))
    shared_variance = max(ms_reviews - ms_rest, 0.0) / (seeds * reviews)
    return VarianceComponents(
        seed_variance=max(ms_seeds - ms_rest, 0.0) / reviews,
        review_variance=shared_variance + ms_rest / reviews,
        estimated_variance=ms_seeds / (seeds * reviews),
        df=seeds - 1,
        known_variance=shared_variance + floor,
        variance_per_seed=ms_seeds / reviews,
        known_df=np.inf if groups is None else _df_between_groups(table, groups),
    )


def _df_between_groups(table: Floats, groups: ReviewGroups) -> float:
    """Return the degrees of freedom of the variance between groups, from 1 to the number of groups - 1.

    The variance of n values with kurtosis K varies as much as a chi-square variable with 2 n / (K - (n - 3) / (n - 1))
    degrees of freedom. That is n - 1 for a normal distribution, and is not exceeded for one with shorter tails.

    Args:
        table: (seeds, groups) float, contributions of the groups.
        groups: The groups.
    """
    deviations = table.mean(axis=0) - table.mean()
    count, variance = groups.df + 1, float(np.square(deviations).mean())
    if groups.df == 1 or variance == 0:
        return groups.df
    kurtosis = float((deviations**4).mean()) / variance**2
    return max(min(2 * count / max(kurtosis - (count - 3) / (count - 1), 2 / (count - 1)), groups.df), 1.0)


def design_effect(table: Floats, groups: ReviewGroups | None) -> float:
    """Return the review variance of a mean divided by what it would be if all reviews were independent.

    Source: Kish 1965, "Survey Sampling".

    Args:
        table: (seeds, reviews) float, contributions.
        groups: Which reviews belong together; the result is 1 for None.
    """
    independent = estimate_variance(table).review_variance
    if groups is None or independent == 0:
        return 1.0
    return estimate_variance(table, groups=groups).review_variance / independent


def _single_seed_variance(
    review_squares: float, reviews: int, floor: float, *, seed_variance: float
) -> VarianceComponents:
    """Return the components of a table with one row, from its sum of squares over the reviews."""
    variance = review_squares / max(reviews - 1, 1) / reviews
    return VarianceComponents(
        seed_variance=seed_variance,
        review_variance=variance + floor,
        estimated_variance=variance,
        df=max(reviews - 1, 1),
        known_variance=floor,
        variance_per_seed=seed_variance,
    )


def two_sided_p_value(distance: float, variance: VarianceComponents) -> float:
    """Return the probability that a mean deviates from its true value by more than a distance, in [0, 1].

    The error is the sum of a t and a normal variable. Given the chi-square variable in the denominator of t, it is
    normal; the probability is integrated over that variable.

    Args:
        distance: Deviation, at least 0, in units of the metric.
        variance: Variance of the mean, above 0.
    """
    if variance.known_variance == 0:
        return float(2 * scipy.stats.t.sf(distance / variance.estimated_variance**0.5, variance.df))
    if np.isfinite(variance.known_df):
        return _p_value_of_two_t_variables(distance, variance)
    values, weights = chi2_quadrature(variance.df)
    spreads = np.sqrt(variance.estimated_variance * variance.df / values + variance.known_variance)
    return min(float(2 * weights @ scipy.special.ndtr(-distance / spreads)), 1.0)


def _p_value_of_two_t_variables(distance: float, variance: VarianceComponents) -> float:
    """Return what `two_sided_p_value` does if both parts of the variance are estimated."""
    if variance.estimated_variance == 0:
        return float(2 * scipy.stats.t.sf(distance / variance.known_variance**0.5, variance.known_df))
    values, weights = chi2_quadrature(variance.df)
    known_values, known_weights = chi2_quadrature(variance.known_df)
    estimated = (variance.estimated_variance * variance.df / values)[::2, None]
    known = (variance.known_variance * variance.known_df / known_values)[None, ::2]
    tails = scipy.special.ndtr(-distance / np.sqrt(estimated + known))
    # Every other node is exact to about ten digits; the weights of all nodes add up to 1.
    scale = weights[::2].sum() * known_weights[::2].sum()
    return min(float(2 * weights[::2] @ tails @ known_weights[::2] / scale), 1.0)


@functools.lru_cache(maxsize=32)
def chi2_quadrature(df: float) -> tuple[Floats, Floats]:
    """Return nodes and weights for integration over a chi-square distribution: two arrays (201,)."""
    low, high = scipy.stats.chi2.ppf(1e-13, df), scipy.stats.chi2.isf(1e-15, df)
    nodes = np.geomspace(float(low), float(high), 201)
    weights = nodes * scipy.stats.chi2.pdf(nodes, df)
    return nodes, weights / weights.sum()


def margin_of_error(variance: VarianceComponents, *, level: float = 0.95) -> float:
    """Return the half-width of the interval of a mean, in units of the metric.

    Args:
        variance: Variance of the mean.
        level: Confidence level, in (0, 1).
    """
    if variance.variance_of_mean == 0:
        return 0.0
    from_seeds = float(scipy.stats.t.ppf((1 + level) / 2, variance.df)) * variance.estimated_variance**0.5
    from_reviews = float(scipy.special.ndtri((1 + level) / 2)) * variance.known_variance_at(1 - level) ** 0.5
    if variance.estimated_variance == 0 or variance.known_variance == 0:
        return from_seeds + from_reviews

    def excess(distance: float) -> float:
        return two_sided_p_value(distance, variance) - (1 - level)

    return float(scipy.optimize.brentq(excess, 0.0, 2 * (from_seeds + from_reviews)))


def confidence_interval(mean: float, variance: VarianceComponents, *, level: float = 0.95) -> tuple[float, float]:
    """Return the lower and upper limit of the interval of a mean: low <= mean <= high."""
    half = margin_of_error(variance, level=level)
    return mean - half, mean + half


def wilson_interval(
    mean: float, variance: VarianceComponents, *, reviews: float, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of a score in [0, 1]: 0 <= low <= mean <= high <= 1.

    This is Wilson's interval for the number of reviews that would give the same variance, with the quantile of the
    error distribution instead of the normal quantile. At a score of 0 or 1 its width is not 0. Sources: Korn & Graubard
    1998, "Confidence intervals for proportions with small expected number of positive counts"; Wilson's form as in
    Dean & Pagano 2015.

    Args:
        mean: Mean score, in [0, 1].
        variance: Variance of the mean.
        reviews: Number of test reviews, or the effective number of groups of them.
        level: Confidence level, in (0, 1).
    """
    spread, error = mean * (1 - mean), variance.variance_of_mean**0.5
    # At a score of exactly 0 or 1 the ratio is undefined, so the number of reviews is used unchanged.
    effective = spread / variance.variance_of_mean if spread > 0 and error > 0 else float(reviews)
    normal_quantile = float(scipy.special.ndtri((1 + level) / 2))
    quantile = margin_of_error(variance, level=level) / error if error > 0 else normal_quantile
    weight = quantile**2 / effective
    center = (mean + weight / 2) / (1 + weight)
    half = quantile * ((spread + weight / 4) / effective) ** 0.5 / (1 + weight)
    return max(min(center - half, mean), 0.0), min(max(center + half, mean), 1.0)


def score_interval(mean: float, variance: VarianceComponents, *, bounded: bool, reviews: float) -> tuple[float, float]:
    """Return the 95% interval of a score that is not negative.

    Args:
        mean: Mean score.
        variance: Variance of the mean.
        bounded: Whether scores are in [0, 1].
        reviews: Number of test reviews, or the effective number of groups of them.
    """
    if bounded:
        return wilson_interval(mean, variance, reviews=reviews)
    low, high = confidence_interval(mean, variance)
    return max(low, 0.0), high
