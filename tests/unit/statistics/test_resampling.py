"""Two-level bootstrap of seeds and reviews."""

import numpy as np
import pytest

from tasks.evaluation.grouping import make_groups
from tasks.statistics.confidence_intervals import estimate_variance
from tasks.statistics.resampling import bootstrap_seed_weights, resample_reviews
from tests.helpers.mean_squares import TABLE, mean_squares


def test_reviews_are_drawn_with_replacement_and_repeatably() -> None:
    found = resample_reviews(TABLE, draws=20_000, seed=4)
    assert found.shape == (2, 20_000)
    np.testing.assert_allclose(found.mean(axis=1), TABLE.mean(axis=1), rtol=0.01)
    np.testing.assert_allclose(np.cov(found), np.cov(TABLE, ddof=0) / 7, rtol=0.05)
    # Means of seven integers are multiples of 1/7.
    np.testing.assert_allclose(found * 7, np.round(found * 7), atol=1e-5)
    np.testing.assert_array_equal(found[:, :300], resample_reviews(TABLE, draws=300, seed=4))
    assert (found[:, :300] != resample_reviews(TABLE, draws=300, seed=5)).any()


@pytest.mark.parametrize("seeds", [2, 5, 7])
def test_seed_weights_give_the_mean_its_correct_variance(seeds) -> None:
    weights = bootstrap_seed_weights(seeds, draws=20_000, seed=0)
    assert weights.shape == (seeds, 20_000)
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    scores = np.arange(seeds) ** 2.0
    assert (scores @ weights).var() == pytest.approx(scores.var(ddof=1) / seeds, rel=0.05)
    np.testing.assert_array_equal(weights, bootstrap_seed_weights(seeds, draws=20_000, seed=0))
    assert (weights != bootstrap_seed_weights(seeds, draws=20_000, seed=1)).any()


def test_one_seed_has_all_the_weight() -> None:
    np.testing.assert_array_equal(bootstrap_seed_weights(1, draws=3, seed=0), np.ones((1, 3)))


def two_level_draws(tables, *, draws: int, seed: int):
    """Resample reviews and seeds, as the comparison of pairs does."""
    *outer, seeds, reviews = tables.shape
    means = resample_reviews(tables.reshape(-1, reviews), draws=draws, seed=seed).reshape(*outer, seeds, draws)
    return np.einsum("...sd,sd->...d", means, bootstrap_seed_weights(seeds, draws=draws, seed=seed))


def test_variance_of_two_level_draws_is_that_of_the_analysis_of_variance() -> None:
    rng = np.random.default_rng(2)
    table = rng.normal(0, 0.3, (6, 1)) + rng.normal(0, 2, (1, 90)) + rng.normal(0, 0.5, (6, 90))
    ms_seeds, ms_reviews, ms_rest = mean_squares(table)
    drawn = two_level_draws(table[None], draws=20_000, seed=0)[0].var()
    # Owen 2007: resampling both counts the interaction three times, the analysis of variance once.
    assert drawn == pytest.approx((ms_seeds + ms_reviews + ms_rest) / table.size, rel=0.05)
    assert drawn == pytest.approx(estimate_variance(table).variance_of_mean + 2 * ms_rest / table.size, rel=0.05)


def test_draws_are_repeatable_and_stay_paired() -> None:
    table = np.random.default_rng(0).random((2, 3, 40))
    table[1] = table[0] + 0.25
    draws = two_level_draws(table, draws=300, seed=4)
    np.testing.assert_array_equal(draws, two_level_draws(table, draws=300, seed=4))
    np.testing.assert_allclose(draws[1] - draws[0], 0.25, atol=1e-6)
    assert draws[0].std() > 0


def test_whole_groups_are_resampled() -> None:
    groups, rng = make_groups(np.repeat(np.arange(40), 10)), np.random.default_rng(0)
    table = rng.normal(size=(1, 400)) + rng.normal(size=40).repeat(10)
    drawn = resample_reviews(table, draws=20_000, seed=1, groups=groups)
    assert drawn.mean() == pytest.approx(table.mean(), abs=0.005)
    assert drawn.var() == pytest.approx(estimate_variance(table, groups=groups).variance_of_mean, rel=0.06)
