"""Two sources of noise, seeds and test reviews: their variances, intervals that hold with few seeds, the bootstrap.

The scores of k seeds on n reviews are a table whose rows (seeds) and columns (reviews) are both random samples. That
is the layout of reader studies in radiology, many readers by many cases, whose analysis of variance is used here:
Obuchowski & Rockette 1995, "Hypothesis testing of diagnostic accuracy for multiple readers and multiple tests".

The mean then errs by the sum of a t variable (what varies between a few seeds) and of a normal one (what a great many
reviews tell). That is the Behrens-Fisher distribution, whose intervals were never found to hold the truth too seldom:
Robinson 1976, "Properties of Student's t and of the Behrens-Fisher solution to the two means problem". The usual way,
one t distribution with approximate degrees of freedom (Hillis 2007, "A comparison of denominator degrees of freedom
methods for multiple observer ROC analysis"), is no way here: where the seeds' variance is underestimated by chance, the
degrees of freedom are overestimated as well, and at 5 seeds a test at a level of 0.005, Holm's first of ten pairs,
makes about twice as many false claims where the reviews bring a tenth to a third as much variance as the seeds.

Why not percentiles of the bootstrap: with k seeds the variance of a resampled mean is (k - 1)/k of what it should be,
and its percentiles are those of the normal instead of the t distribution (Hesterberg 2015, "What teachers should
know about the bootstrap"), so that at 5 seeds they cover about 85% instead of 95%. Seeds and reviews resampled
together also count their interaction three times (Owen 2007, "The pigeonhole bootstrap"). The analysis of variance
is the same two-level resampling in closed form with both put right; the bootstrap serves P(A > B), which has none.
"""

import functools
from typing import NamedTuple

import numpy as np
import scipy  # loads its parts when they are used: processes that train need none
from numpy.typing import NDArray

from tasks.evaluation.metrics import Floats

DRAWS_AT_ONCE = 250


class Noise(NamedTuple):
    """The variances behind one mean over k seeds and n reviews.

    The first two are of the score of a *single* run, so that their square roots can be laid side by side.
    """

    seed_variance: float  # from one seed to the next; NaN with one seed, for it is unknown
    item_variance: float  # from one draw of n test reviews to the next, seeds fixed
    estimated: float  # the part of the mean's variance that few numbers estimate; with one seed, that of the reviews
    freedom: float  # degrees of freedom of `estimated`
    lasting: float  # the part that no number of seeds takes away; so many reviews tell it that it passes for known
    per_seed: float  # the part that shrinks as 1/seeds, times the seeds; NaN where it is unknown

    @property
    def variance(self) -> float:
        """The variance of the mean, from both sources, or from reviews alone where the seeds' is unknown."""
        return self.estimated + self.lasting


def noise(table: Floats, *, bounded: bool = False, fixed_seeds: bool = False) -> Noise:
    """Estimate the variance of the mean of a table by the two-way random-effects analysis of variance.

    Var(mean) = MS_seeds / (k n), with k - 1 degrees of freedom, + max(MS_reviews - MS_rest, 0) / (k n).

    Args:
        table: (seeds, reviews) float: contributions, or paired differences of contributions.
        bounded: The contributions are those of a score in [0, 1]. Then the reviews' variance counts one review more
            on either side (Agresti & Min 2005, "Simple improved confidence intervals for comparing matched
            proportions"), so that answers all alike on 50 reviews do not pass for certainty.
        fixed_seeds: There is no seed noise to estimate (a method without randomness): one row is all there is.
    """
    seeds, reviews = table.shape
    by_seed, by_review, mean = table.mean(axis=1), table.mean(axis=0), table.mean()
    item_squares = float(np.square(by_review - mean).sum())
    floor = 1 / (reviews + 2) ** 2 if bounded else 0.0
    if seeds == 1:
        of_reviews, unknown = item_squares / max(reviews - 1, 1) / reviews, 0.0 if fixed_seeds else np.nan
        return Noise(unknown, of_reviews + floor, of_reviews, max(reviews - 1, 1), floor, unknown)
    seed_squares = float(np.square(by_seed - mean).sum())
    rest_squares = float(np.square(table - mean).sum()) - reviews * seed_squares - seeds * item_squares
    ms_seeds = reviews * seed_squares / (seeds - 1)
    ms_reviews = seeds * item_squares / max(reviews - 1, 1)
    ms_rest = max(rest_squares, 0.0) / ((seeds - 1) * max(reviews - 1, 1))
    lasting = max(ms_reviews - ms_rest, 0.0) / (seeds * reviews)
    return Noise(
        seed_variance=max(ms_seeds - ms_rest, 0.0) / reviews,
        item_variance=lasting + ms_rest / reviews,
        estimated=ms_seeds / (seeds * reviews),
        freedom=seeds - 1,
        lasting=lasting + floor,
        per_seed=ms_seeds / reviews,
    )


def tail(distance: float, of: Noise) -> float:
    """Compute how probably a mean is off by more than a distance, to either side, in [0, 1].

    The error is the sum of a t and of a normal variable: normal, given the chi-square variable that t divides by.
    """
    if of.lasting == 0:
        return float(2 * scipy.stats.t.sf(distance / of.estimated**0.5, of.freedom))
    values, weights = _chi_squares(of.freedom)
    spreads = np.sqrt(of.estimated * of.freedom / values + of.lasting)
    return min(float(2 * weights @ scipy.special.ndtr(-distance / spreads)), 1.0)


@functools.lru_cache(maxsize=32)
def _chi_squares(freedom: float) -> tuple[Floats, Floats]:
    """Give values of chi-square and their weights, for sums in place of integrals."""
    low, high = scipy.stats.chi2.ppf(1e-13, freedom), scipy.stats.chi2.isf(1e-15, freedom)
    values = np.geomspace(float(low), float(high), 201)
    weights = values * scipy.stats.chi2.pdf(values, freedom)
    return values, weights / weights.sum()


def reach(of: Noise, *, level: float = 0.95) -> float:
    """Compute the distance that a mean is not off by more than, with the probability `level`."""
    if of.variance == 0:
        return 0.0
    far_seeds = float(scipy.stats.t.ppf((1 + level) / 2, of.freedom)) * of.estimated**0.5
    far_reviews = float(scipy.special.ndtri((1 + level) / 2)) * of.lasting**0.5
    if of.estimated == 0 or of.lasting == 0:
        return far_seeds + far_reviews
    return float(scipy.optimize.brentq(lambda far: tail(far, of) - (1 - level), 0.0, 2 * (far_seeds + far_reviews)))


def interval(mean: float, of: Noise, *, level: float = 0.95) -> tuple[float, float]:
    """Give the interval of a mean: low <= mean <= high."""
    half = reach(of, level=level)
    return mean - half, mean + half


def share_interval(mean: float, of: Noise, *, reviews: int, level: float = 0.95) -> tuple[float, float]:
    """Give the interval of a score in [0, 1]: low <= mean <= high, both within [0, 1].

    Wilson's interval at the number of reviews that would leave the same variance, as many standard errors wide as the
    noise asks for. Source: Korn & Graubard 1998, "Confidence intervals for proportions with small expected number of
    positive counts"; Wilson's form as in Dean & Pagano 2015. At a score of 0 or 1 it does not shrink to a point.
    """
    spread, error = mean * (1 - mean), of.variance**0.5
    # A score of exactly 0 or 1 has no spread to compare, and takes the reviews as they are.
    effective = spread / of.variance if spread > 0 and error > 0 else float(reviews)
    quantile = reach(of, level=level) / error if error > 0 else float(scipy.special.ndtri((1 + level) / 2))
    weight = quantile**2 / effective
    centre = (mean + weight / 2) / (1 + weight)
    half = quantile * ((spread + weight / 4) / effective) ** 0.5 / (1 + weight)
    return max(min(centre - half, mean), 0.0), min(max(centre + half, mean), 1.0)


def item_draws(tables: Floats, *, draws: int, seed: int) -> Floats:
    """Resample the reviews, the same ones for every row, so that differences between rows stay paired.

    Each draw counts how often each review came up; the resampled means are then one matrix product.

    Args:
        tables: (rows, reviews) float: contributions, a row for each trial and metric.
        draws: How many resamples.
        seed: Of the random draws; the same seed gives the same result.

    Returns:
        (rows, draws) float64: the resampled means.
    """
    reviews = tables.shape[1]
    rng = np.random.default_rng(seed)
    # Half the bytes and half the time: counts are small, and sums of 0 and 1 stay exact below 2 ** 24.
    columns = np.ascontiguousarray(tables.T, dtype=np.float32)
    kind = np.uint16 if reviews <= 2**16 else np.uint32
    means = np.empty((draws, tables.shape[0]))
    for start in range(0, draws, DRAWS_AT_ONCE):
        size = min(DRAWS_AT_ONCE, draws - start)
        counts = np.empty((size, reviews), dtype=np.float32)
        for row in counts:
            row[:] = np.bincount(rng.integers(0, reviews, size=reviews, dtype=kind), minlength=reviews)
        means[start : start + size] = (counts @ columns) / reviews
    return means.T


def seed_weights(seeds: int, *, draws: int, seed: int) -> Floats:
    """Draw how much each of k seeds weighs in each resample: (seeds, draws) float64, columns sum to 1.

    k - 1 seeds are drawn instead of k, which gives the resampled mean the variance that it should have. Source: Rao &
    Wu 1988, "Resampling inference with complex survey data". The same arguments give the same weights, so that
    architectures with the same seeds stay paired.
    """
    if seeds == 1:
        return np.ones((1, draws))
    rng = np.random.default_rng([seed, seeds])
    picked: NDArray[np.int64] = rng.multinomial(seeds - 1, np.full(seeds, 1 / seeds), size=draws)
    return picked.T / (seeds - 1)
