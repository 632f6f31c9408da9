"""Noise of seeds and of reviews: against hand-worked tables, statsmodels, scipy, and what resampling really gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from tasks.statistics.resampling import Noise, interval, item_draws, noise, reach, seed_weights, share_interval, tail

# Two seeds by seven reviews.
TABLE = np.array([[1.0, 4.0, 2.0, 0.0, 3.0, 5.0, 6.0], [2.0, 6.0, 2.0, 1.0, 7.0, 5.0, 5.0]])


def mean_squares(table: np.ndarray) -> tuple[float, float, float]:
    """Compute the mean squares of rows, columns and the rest by least squares on indicator variables."""
    rows, columns = table.shape
    row, column = (each.ravel() for each in np.indices(table.shape))
    ones = np.ones((table.size, 1))
    by_row, by_column = np.eye(rows)[row][:, 1:], np.eye(columns)[column][:, 1:]

    def left(*design: np.ndarray) -> float:
        matrix = np.hstack([ones, *design])
        return float(np.square(table.ravel() - matrix @ np.linalg.lstsq(matrix, table.ravel())[0]).sum())

    rest = left(by_row, by_column)
    return (
        (left(by_column) - rest) / (rows - 1),
        (left(by_row) - rest) / (columns - 1),
        rest / ((rows - 1) * (columns - 1)),
    )


def test_the_analysis_of_variance_by_hand() -> None:
    # By hand: row means 2 and 5, column means 2, 3 and 5.5; MS_seeds 13.5, MS_reviews 6.5, MS_rest 0.5.
    found = noise(np.array([[1.0, 1.0, 4.0], [3.0, 5.0, 7.0]]))
    assert found.variance == pytest.approx((13.5 + 6.5 - 0.5) / 6)
    assert found.seed_variance == pytest.approx((13.5 - 0.5) / 3)
    assert found.item_variance == pytest.approx((6.5 - 0.5) / 6 + 0.5 / 3)
    assert (found.estimated, found.freedom, found.lasting) == (pytest.approx(13.5 / 6), 1, pytest.approx(6 / 6))
    assert found.per_seed == pytest.approx(13.5 / 3)


@pytest.mark.parametrize("table", [TABLE, TABLE.T])
def test_the_analysis_of_variance_as_least_squares(table) -> None:
    seeds, reviews = table.shape
    of_seeds, of_reviews, of_rest = mean_squares(table)
    beyond = max(of_reviews - of_rest, 0)
    found = noise(table)
    assert found.variance == pytest.approx((of_seeds + beyond) / table.size)
    assert found.seed_variance == pytest.approx(max(of_seeds - of_rest, 0) / reviews)
    assert found.item_variance == pytest.approx(beyond / table.size + of_rest / reviews)
    assert (found.estimated, found.freedom) == (pytest.approx(of_seeds / table.size), seeds - 1)


def test_one_seed_leaves_its_noise_unknown() -> None:
    found = noise(TABLE[:1])
    assert found.variance == found.item_variance == found.estimated == pytest.approx(TABLE[0].var(ddof=1) / 7)
    assert (found.freedom, found.lasting) == (6, 0)
    assert np.isnan([found.seed_variance, found.per_seed]).all()
    fixed = noise(TABLE[:1], fixed_seeds=True)
    assert (fixed.seed_variance, fixed.per_seed, fixed.variance) == (0, 0, found.variance)


def test_a_bounded_difference_counts_one_review_more_on_either_side() -> None:
    assert noise(np.zeros((3, 50)), bounded=True).variance == pytest.approx(1 / 52**2)
    assert noise(np.zeros((1, 50)), bounded=True).variance == pytest.approx(1 / 52**2)
    assert noise(np.zeros((3, 50))).variance == 0


def of_both(estimated: float, lasting: float, freedom: float = 4) -> Noise:
    """Make a noise of which only what the mean errs by matters."""
    return Noise(0, 0, estimated, freedom, lasting, 0)


def test_the_mean_errs_by_the_sum_of_a_t_and_a_normal_variable() -> None:
    rng = np.random.default_rng(0)
    errors = np.abs(2 * rng.standard_t(4, 400_000) + 3 * rng.standard_normal(400_000))
    of = of_both(4, 9)
    for level in (0.5, 0.95, 0.995):
        assert np.mean(errors <= reach(of, level=level)) == pytest.approx(level, abs=2e-3)
        assert tail(reach(of, level=level), of) == pytest.approx(1 - level, rel=1e-6)


@pytest.mark.parametrize("freedom", [1, 4, 9, 24_999])
def test_with_one_source_alone_it_is_that_sources_distribution(freedom) -> None:
    for distance in (0.5, 2.0, 6.0):
        only_t = 2 * stats.t.sf(distance / 2, freedom)
        assert tail(distance, of_both(4, 0, freedom)) == pytest.approx(only_t)
        assert tail(distance, of_both(4, 1e-12, freedom)) == pytest.approx(only_t, rel=1e-4)
        assert tail(distance, of_both(0, 4, freedom)) == pytest.approx(2 * stats.norm.sf(distance / 2))
    assert reach(of_both(4, 0, freedom)) == pytest.approx(2 * stats.t.ppf(0.975, freedom))
    assert reach(of_both(0, 4, freedom)) == pytest.approx(2 * stats.norm.ppf(0.975))
    assert reach(of_both(0, 0, freedom)) == 0


@pytest.mark.parametrize("seeds", [2, 5, 10])
@pytest.mark.parametrize("level", [0.05, 0.005, 0.001])
def test_no_level_is_exceeded_however_the_noise_is_parted(seeds, level) -> None:
    # Over the estimates of the seeds' variance, equally probable: how often the truth is beyond the reach.
    ratios = stats.chi2.ppf((np.arange(400) + 0.5) / 400, seeds - 1) / (seeds - 1)
    for lasting in (0.01, 0.1, 0.3, 1, 3):
        reaches = np.array([reach(of_both(ratio, lasting, seeds - 1), level=1 - level) for ratio in ratios])
        beyond = 2 * stats.norm.sf(reaches / np.sqrt(1 + lasting))
        assert beyond.mean() <= 1.02 * level


def test_without_noise_of_reviews_it_is_the_t_interval_over_seeds() -> None:
    scores = np.array([0.81, 0.84, 0.80, 0.86, 0.83])
    found = noise(np.tile(scores[:, None], (1, 7)))
    assert interval(scores.mean(), found) == pytest.approx(stats.ttest_1samp(scores, 0).confidence_interval())
    assert found.freedom == 4


def test_with_one_seed_it_is_the_t_interval_over_reviews() -> None:
    found = interval(TABLE[1].mean(), noise(TABLE[1:]), level=0.9)
    assert found == pytest.approx(stats.ttest_1samp(TABLE[1], 0).confidence_interval(0.9))


@pytest.mark.parametrize(("hits", "reviews"), [(1, 7), (43, 50), (0, 50), (50, 50), (21_750, 25_000)])
def test_a_share_of_one_row_has_wilsons_interval(hits, reviews) -> None:
    share = hits / reviews
    binomial = of_both(0, share * (1 - share) / reviews)
    wilson = proportion_confint(hits, reviews, method="wilson")
    assert share_interval(share, binomial, reviews=reviews) == pytest.approx(wilson, abs=1e-5)
    # From the row itself: the variance counts one review less, and the quantile is t instead of normal.
    row = np.repeat([1.0, 0.0], [hits, reviews - hits])[None]
    assert share_interval(share, noise(row), reviews=reviews) == pytest.approx(wilson, abs=1 / reviews)


def test_with_few_seeds_the_bounds_of_a_share_are_as_far_as_t_goes() -> None:
    # Wilson's bounds are where the score is so many standard errors away, those taken at the bound.
    mean, of = 0.87, of_both(2e-5, 0)
    reviews = mean * (1 - mean) / of.variance
    for bound in share_interval(mean, of, reviews=25_000):
        away = abs(mean - bound) / np.sqrt(bound * (1 - bound) / reviews)
        assert away == pytest.approx(stats.t.ppf(0.975, 4))


def test_a_perfect_score_is_not_certain() -> None:
    low, high = share_interval(1.0, noise(np.ones((3, 50))), reviews=50)
    assert 0.9 < low < 0.95
    assert high == 1


@given(arrays(float, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=st.sampled_from([0.0, 1.0])))
def test_intervals_hold_their_point_whatever_the_answers(table) -> None:
    mean = float(table.mean())
    for of in (noise(table), noise(table, bounded=True)):
        assert of.freedom >= max(table.shape[0] - 1, 1)
        low, high = interval(mean, of)
        assert low <= mean <= high
        low, high = share_interval(mean, of, reviews=table.shape[1])
        assert 0 <= low <= mean <= high <= 1
    assert interval(1.0, noise(np.ones((2, 4)))) == (1.0, 1.0)


def test_reviews_are_drawn_with_replacement_and_repeat_by_seed() -> None:
    found = item_draws(TABLE, draws=20_000, seed=4)
    assert found.shape == (2, 20_000)
    np.testing.assert_allclose(found.mean(axis=1), TABLE.mean(axis=1), rtol=0.01)
    np.testing.assert_allclose(np.cov(found), np.cov(TABLE, ddof=0) / 7, rtol=0.05)
    # Sums of seven whole numbers: nothing but sevenths.
    np.testing.assert_allclose(found * 7, np.round(found * 7), atol=1e-5)
    np.testing.assert_array_equal(found[:, :300], item_draws(TABLE, draws=300, seed=4))
    assert (found[:, :300] != item_draws(TABLE, draws=300, seed=5)).any()


@pytest.mark.parametrize("seeds", [2, 5, 7])
def test_seed_weights_give_the_mean_its_variance(seeds) -> None:
    weights = seed_weights(seeds, draws=20_000, seed=0)
    assert weights.shape == (seeds, 20_000)
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    scores = np.arange(seeds) ** 2.0
    assert (scores @ weights).var() == pytest.approx(scores.var(ddof=1) / seeds, rel=0.05)
    np.testing.assert_array_equal(weights, seed_weights(seeds, draws=20_000, seed=0))
    assert (weights != seed_weights(seeds, draws=20_000, seed=1)).any()


def test_one_seed_has_all_the_weight() -> None:
    np.testing.assert_array_equal(seed_weights(1, draws=3, seed=0), np.ones((1, 3)))


def two_level_draws(tables, *, draws: int, seed: int):
    """Resample seeds and reviews together, as the comparison of pairs does."""
    *outer, seeds, reviews = tables.shape
    means = item_draws(tables.reshape(-1, reviews), draws=draws, seed=seed).reshape(*outer, seeds, draws)
    return np.einsum("...sd,sd->...d", means, seed_weights(seeds, draws=draws, seed=seed))


def test_two_level_draws_vary_as_the_analysis_of_variance_says() -> None:
    rng = np.random.default_rng(2)
    table = rng.normal(0, 0.3, (6, 1)) + rng.normal(0, 2, (1, 90)) + rng.normal(0, 0.5, (6, 90))
    of_seeds, of_reviews, of_rest = mean_squares(table)
    drawn = two_level_draws(table[None], draws=20_000, seed=0)[0].var()
    # Owen 2007: the bootstrap of both counts the rest three times, the analysis of variance once.
    assert drawn == pytest.approx((of_seeds + of_reviews + of_rest) / table.size, rel=0.05)
    assert drawn == pytest.approx(noise(table).variance + 2 * of_rest / table.size, rel=0.05)


def test_draws_repeat_and_stay_paired() -> None:
    table = np.random.default_rng(0).random((2, 3, 40))
    table[1] = table[0] + 0.25
    draws = two_level_draws(table, draws=300, seed=4)
    np.testing.assert_array_equal(draws, two_level_draws(table, draws=300, seed=4))
    np.testing.assert_allclose(draws[1] - draws[0], 0.25, atol=1e-6)
    assert draws[0].std() > 0
