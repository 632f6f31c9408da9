"""Variance components, intervals and p-values, compared with hand computation, statsmodels, scipy and simulation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from tasks.evaluation.grouping import make_groups
from tasks.statistics.confidence_intervals import (
    VarianceComponents,
    confidence_interval,
    design_effect,
    estimate_variance,
    margin_of_error,
    two_sided_p_value,
    wilson_interval,
)
from tests.helpers.mean_squares import TABLE, mean_squares


def test_analysis_of_variance_by_hand() -> None:
    # By hand: row means 2 and 5, column means 2, 3 and 5.5; MS_seeds 13.5, MS_reviews 6.5, MS_rest 0.5.
    found = estimate_variance(np.array([[1.0, 1.0, 4.0], [3.0, 5.0, 7.0]]))
    assert found.variance_of_mean == pytest.approx((13.5 + 6.5 - 0.5) / 6)
    assert found.seed_variance == pytest.approx((13.5 - 0.5) / 3)
    assert found.review_variance == pytest.approx((6.5 - 0.5) / 6 + 0.5 / 3)
    assert (found.estimated_variance, found.df, found.known_variance) == (
        pytest.approx(13.5 / 6),
        1,
        pytest.approx(6 / 6),
    )
    assert found.variance_per_seed == pytest.approx(13.5 / 3)


@pytest.mark.parametrize("table", [TABLE, TABLE.T])
def test_analysis_of_variance_as_least_squares(table) -> None:
    seeds, reviews = table.shape
    ms_seeds, ms_reviews, ms_rest = mean_squares(table)
    excess = max(ms_reviews - ms_rest, 0)
    found = estimate_variance(table)
    assert found.variance_of_mean == pytest.approx((ms_seeds + excess) / table.size)
    assert found.seed_variance == pytest.approx(max(ms_seeds - ms_rest, 0) / reviews)
    assert found.review_variance == pytest.approx(excess / table.size + ms_rest / reviews)
    assert (found.estimated_variance, found.df) == (pytest.approx(ms_seeds / table.size), seeds - 1)


def test_seed_variance_is_unknown_for_one_seed() -> None:
    found = estimate_variance(TABLE[:1])
    assert (
        found.variance_of_mean
        == found.review_variance
        == found.estimated_variance
        == pytest.approx(TABLE[0].var(ddof=1) / 7)
    )
    assert (found.df, found.known_variance) == (6, 0)
    assert np.isnan([found.seed_variance, found.variance_per_seed]).all()
    deterministic = estimate_variance(TABLE[:1], deterministic=True)
    assert (deterministic.seed_variance, deterministic.variance_per_seed, deterministic.variance_of_mean) == (
        0,
        0,
        found.variance_of_mean,
    )


def test_bounded_difference_counts_one_more_review_on_either_side() -> None:
    assert estimate_variance(np.zeros((3, 50)), bounded=True).variance_of_mean == pytest.approx(1 / 52**2)
    assert estimate_variance(np.zeros((1, 50)), bounded=True).variance_of_mean == pytest.approx(1 / 52**2)
    assert estimate_variance(np.zeros((3, 50))).variance_of_mean == 0


def components(estimated_variance: float, known_variance: float, df: float = 4) -> VarianceComponents:
    """Make components of which only the variance of the mean matters."""
    return VarianceComponents(0, 0, estimated_variance, df, known_variance, 0)


def test_error_is_the_sum_of_a_t_and_a_normal_variable() -> None:
    rng = np.random.default_rng(0)
    errors = np.abs(2 * rng.standard_t(4, 400_000) + 3 * rng.standard_normal(400_000))
    variance = components(4, 9)
    for level in (0.5, 0.95, 0.995):
        assert np.mean(errors <= margin_of_error(variance, level=level)) == pytest.approx(level, abs=2e-3)
        assert two_sided_p_value(margin_of_error(variance, level=level), variance) == pytest.approx(1 - level, rel=1e-6)


@pytest.mark.parametrize("df", [1, 4, 9, 24_999])
def test_single_source_of_variance_gives_its_distribution(df) -> None:
    for distance in (0.5, 2.0, 6.0):
        only_t = 2 * stats.t.sf(distance / 2, df)
        assert two_sided_p_value(distance, components(4, 0, df)) == pytest.approx(only_t)
        assert two_sided_p_value(distance, components(4, 1e-12, df)) == pytest.approx(only_t, rel=1e-4)
        assert two_sided_p_value(distance, components(0, 4, df)) == pytest.approx(2 * stats.norm.sf(distance / 2))
    assert margin_of_error(components(4, 0, df)) == pytest.approx(2 * stats.t.ppf(0.975, df))
    assert margin_of_error(components(0, 4, df)) == pytest.approx(2 * stats.norm.ppf(0.975))
    assert margin_of_error(components(0, 0, df)) == 0


@pytest.mark.parametrize("seeds", [2, 5, 10])
@pytest.mark.parametrize("level", [0.05, 0.005, 0.001])
def test_level_is_kept_for_every_ratio_of_the_variances(seeds, level) -> None:
    # The seed variance is estimated; over equally probable estimates, how often does the truth exceed the margin?
    ratios = stats.chi2.ppf((np.arange(400) + 0.5) / 400, seeds - 1) / (seeds - 1)
    for known_variance in (0.01, 0.1, 0.3, 1, 3):
        margins = np.array(
            [margin_of_error(components(ratio, known_variance, seeds - 1), level=1 - level) for ratio in ratios]
        )
        exceeded = 2 * stats.norm.sf(margins / np.sqrt(1 + known_variance))
        assert exceeded.mean() <= 1.02 * level


def test_interval_without_review_variance_is_the_t_interval_over_seeds() -> None:
    scores = np.array([0.81, 0.84, 0.80, 0.86, 0.83])
    found = estimate_variance(np.tile(scores[:, None], (1, 7)))
    assert confidence_interval(scores.mean(), found) == pytest.approx(
        stats.ttest_1samp(scores, 0).confidence_interval()
    )
    assert found.df == 4


def test_interval_with_one_seed_is_the_t_interval_over_reviews() -> None:
    found = confidence_interval(TABLE[1].mean(), estimate_variance(TABLE[1:]), level=0.9)
    assert found == pytest.approx(stats.ttest_1samp(TABLE[1], 0).confidence_interval(0.9))


@pytest.mark.parametrize(("correct", "reviews"), [(1, 7), (43, 50), (0, 50), (50, 50), (21_750, 25_000)])
def test_score_of_one_seed_has_wilsons_interval(correct, reviews) -> None:
    share = correct / reviews
    binomial = components(0, share * (1 - share) / reviews)
    wilson = proportion_confint(correct, reviews, method="wilson")
    assert wilson_interval(share, binomial, reviews=reviews) == pytest.approx(wilson, abs=1e-5)
    # From the row: the variance is divided by one review less, and the quantile is t instead of normal.
    row = np.repeat([1.0, 0.0], [correct, reviews - correct])[None]
    assert wilson_interval(share, estimate_variance(row), reviews=reviews) == pytest.approx(wilson, abs=1 / reviews)


def test_wilson_limits_use_the_t_quantile_for_few_seeds() -> None:
    # Wilson's limits are that many standard errors away from the score, with the standard error at the limit.
    mean, variance = 0.87, components(2e-5, 0)
    reviews = mean * (1 - mean) / variance.variance_of_mean
    for bound in wilson_interval(mean, variance, reviews=25_000):
        distance = abs(mean - bound) / np.sqrt(bound * (1 - bound) / reviews)
        assert distance == pytest.approx(stats.t.ppf(0.975, 4))


def test_interval_of_a_perfect_score_has_a_width() -> None:
    low, high = wilson_interval(1.0, estimate_variance(np.ones((3, 50))), reviews=50)
    assert 0.9 < low < 0.95
    assert high == 1


@given(arrays(float, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=st.sampled_from([0.0, 1.0])))
def test_intervals_contain_their_point_for_arbitrary_predictions(table) -> None:
    mean = float(table.mean())
    for variance in (estimate_variance(table), estimate_variance(table, bounded=True)):
        assert variance.df >= max(table.shape[0] - 1, 1)
        low, high = confidence_interval(mean, variance)
        assert low <= mean <= high
        low, high = wilson_interval(mean, variance, reviews=table.shape[1])
        assert 0 <= low <= mean <= high <= 1
    assert confidence_interval(1.0, estimate_variance(np.ones((2, 4)))) == (1.0, 1.0)


@pytest.mark.parametrize("groups", [2, 5, 30, 3_000])
def test_error_between_groups_is_the_sum_of_two_t_variables(groups) -> None:
    rng = np.random.default_rng(0)
    errors = np.abs(2 * rng.standard_t(4, 400_000) + 3 * rng.standard_t(groups - 1, 400_000))
    variance = replace(components(4, 9), known_df=groups - 1)
    for level in (0.5, 0.95, 0.995):
        found = margin_of_error(variance, level=level)
        assert np.mean(errors <= found) == pytest.approx(level, abs=2e-3)
        assert two_sided_p_value(found, variance) == pytest.approx(1 - level, rel=1e-6)
    only_groups = replace(variance, estimated_variance=0)
    assert margin_of_error(only_groups) == pytest.approx(3 * stats.t.ppf(0.975, groups - 1))
    assert two_sided_p_value(6, only_groups) == pytest.approx(2 * stats.t.sf(2, groups - 1))


def test_groups_take_the_place_of_reviews() -> None:
    # Each group repeats the same contribution, so the table says no more than one with a review of each group.
    groups = make_groups(np.repeat(np.arange(7), 3))
    for table in (TABLE, TABLE[:1]):
        expected, found = estimate_variance(table), estimate_variance(table.repeat(3, axis=1), groups=groups)
        for name in ("seed_variance", "review_variance", "estimated_variance", "df", "known_variance"):
            assert getattr(found, name) == pytest.approx(getattr(expected, name), nan_ok=True), name
        assert design_effect(table.repeat(3, axis=1), groups) == pytest.approx((21 - 1) / (7 - 1), rel=0.2)
    assert estimate_variance(TABLE.repeat(3, axis=1), groups=groups).known_df == 6
    assert design_effect(TABLE, None) == 1


@pytest.mark.parametrize("seeds", [1, 3])
def test_few_groups_that_differ_have_few_degrees_of_freedom(seeds: int) -> None:
    groups = make_groups(np.repeat(np.arange(10), 4))

    def df(values: list[float]) -> float:
        table = np.repeat([values], seeds, axis=0) + np.arange(seeds)[:, None]
        found = estimate_variance(table.repeat(4, axis=1), groups=groups)
        return found.df if seeds == 1 else found.known_df

    # One group of ten: kurtosis (1 - 3 * 0.09) / 0.09 = 8.11, and 20 / (8.11 - 7 / 9) = 2.727.
    assert df([0] * 9 + [1]) == pytest.approx(2.727, abs=1e-3)
    assert df([0] * 5 + [1] * 5) == pytest.approx(9)  # kurtosis 1, never above the number of groups - 1
    assert df([0] * 10) == pytest.approx(9)


def test_normal_variance_has_the_quantile_of_the_groups() -> None:
    variance = replace(components(4, 9), known_df=5)
    expected = stats.t.ppf(0.975, 5) * 3
    assert stats.norm.ppf(0.975) * variance.known_variance_at(0.05) ** 0.5 == pytest.approx(expected)
    assert components(4, 9).known_variance_at(0.05) == 9
