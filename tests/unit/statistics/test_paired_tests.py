"""Tests and effect sizes of one pair, compared with hand computation, scipy and statsmodels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from tasks.statistics.paired_tests import (
    cliffs_delta,
    cohens_d_z,
    difference_signs,
    mcnemar,
    sign_flip,
    win_interval,
)


def correct_predictions(only_first: int, only_second: int, both: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return which reviews two models predict correctly, from the numbers that one or both predict correctly."""
    counts = [only_first, only_second, both]
    return np.repeat([True, False, True], counts), np.repeat([False, True, True], counts)


@pytest.mark.parametrize(
    "differences", [[0.3, -0.1, 0.4, 0.2, 0.25], [0.1, 0.2], [0.1, -0.1, 0.1, -0.1], [0.0, 0.0, 0.3], [0.01] * 7]
)
def test_sign_flip_as_scipy(differences) -> None:
    given = np.array(differences)
    same = stats.permutation_test((given,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(given) == (pytest.approx(same.pvalue), 2 / 2 ** len(given))


def test_sign_flip_by_hand() -> None:
    # Sums over the eight sign patterns: 6, 4, 2, 0 and their negatives; four are at least 4 away from 0.
    assert sign_flip(np.array([-1.0, 2.0, 3.0])) == (0.5, 0.25)
    assert sign_flip(np.array([0.7])) == (1.0, 1.0)


def test_signs_are_drawn_beyond_16_seeds() -> None:
    p, smallest = sign_flip(np.ones(17))
    assert smallest == 2 / 2**16 <= p < 1e-4
    p, smallest = sign_flip(np.ones(20))
    assert p >= smallest
    noisy = np.random.default_rng(0).normal(0.3, 1, 18)
    same = stats.permutation_test((noisy,), np.mean, permutation_type="samples", n_resamples=9_999, rng=1)
    assert sign_flip(noisy)[0] == pytest.approx(same.pvalue, abs=0.02)
    assert sign_flip(noisy) == sign_flip(noisy)


@given(st.lists(st.sampled_from([-0.02, -0.01, 0.0, 0.01, 0.03]), min_size=1, max_size=18))
def test_sign_flip_is_at_least_its_smallest_p_value(differences: list[float]) -> None:
    p, smallest = sign_flip(np.array(differences))
    assert 0 < smallest <= p <= 1
    assert sign_flip(-np.array(differences)) == (pytest.approx(p), smallest)


def test_cliffs_delta_by_hand() -> None:
    assert cliffs_delta(np.array([1.0, 3.0]), np.array([2.0, 2.0])) == 0
    # Of six comparisons, 3 > 1, 3 > 2 and 2 > 1 are greater, 2 = 2 is a tie, and two are less than 5.
    assert cliffs_delta(np.array([2.0, 3.0]), np.array([1.0, 2.0, 5.0])) == pytest.approx((3 - 2) / 6)
    # Equal except for the order of summation: a tie.
    assert cliffs_delta(np.array([0.1 + 0.2]), np.array([0.3])) == 0
    assert difference_signs(np.array([-0.1, 1e-16, 0.2])).tolist() == [-1, 0, 1]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=9), st.lists(st.integers(0, 9), min_size=1, max_size=9))
def test_cliffs_delta_as_mann_whitney(first: list[int], second: list[int]) -> None:
    a, b = np.array(first) / 10, np.array(second) / 10
    statistic = stats.mannwhitneyu(a, b).statistic
    assert cliffs_delta(a, b) == pytest.approx(2 * statistic / (len(a) * len(b)) - 1)
    assert cliffs_delta(b, a) == pytest.approx(-cliffs_delta(a, b))


def test_cohens_d_z_by_hand() -> None:
    assert cohens_d_z(np.array([1.0, 3.0])) == pytest.approx(2 / np.sqrt(2))
    five = np.array([0.3, -0.1, 0.4, 0.2, 0.25])
    assert cohens_d_z(five) == pytest.approx(stats.ttest_1samp(five, 0).statistic / np.sqrt(5))
    assert np.isnan(cohens_d_z(np.array([1.0])))
    assert cohens_d_z(np.zeros(4)) == 0
    assert cohens_d_z(np.full(4, -0.1)) == -np.inf


def test_mcnemar_by_hand() -> None:
    first, second = np.array([1, 1, 1, 0, 1], bool), np.array([0, 0, 1, 0, 0], bool)
    assert mcnemar(first, second) == (3, 0, pytest.approx(0.25))
    assert mcnemar(first, first) == (0, 0, 1.0)
    # 25 discordant reviews or more: chi-square, (|18 - 7| - 1)^2 / 25 = 4.
    assert mcnemar(*correct_predictions(18, 7)) == (18, 7, pytest.approx(stats.chi2.sf(4, 1)))
    # 24 discordant reviews: exact, twice the tail of a fair coin.
    assert mcnemar(*correct_predictions(7, 17)) == (7, 17, pytest.approx(2 * stats.binom.cdf(7, 24, 0.5)))


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_as_statsmodels(only_first: int, only_second: int) -> None:
    *found, p = mcnemar(*correct_predictions(only_first, only_second))
    assert found == [only_first, only_second]
    assert 0 <= p <= 1
    if only_first + only_second:
        exact = only_first + only_second < 25
        table = [[3, only_first], [only_second, 0]]
        assert p == pytest.approx(statsmodels_mcnemar(table, exact=exact, correction=True).pvalue)


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([0.1] * 5, (0.025**0.2, 1)),
        ([-0.1] * 5, (0, 1 - 0.025**0.2)),
        ([0.1, 0.2, 0.1, -0.1, 0.3], (stats.beta.ppf(0.025, 4, 2), stats.beta.ppf(0.975, 5, 1))),
        ([0.1, 0.0], (stats.beta.ppf(0.025, 1.5, 1.5), stats.beta.ppf(0.975, 2.5, 0.5))),  # a tie counts one half
        ([0.1], (0.025, 1)),
        ([], (0, 1)),
    ],
)
def test_win_interval_by_hand(differences, expected) -> None:
    assert win_interval(np.array(differences)) == pytest.approx(expected)


def test_win_interval_is_as_clopper_and_pearson() -> None:
    for wins in range(8):
        expected = stats.binomtest(wins, 7).proportion_ci(method="exact")
        found = win_interval(np.where(np.arange(7) < wins, 0.1, -0.1))
        assert found == pytest.approx((expected.low, expected.high))


def test_win_interval_is_averaged_over_the_shared_error() -> None:
    differences, rng = np.array([0.01, 0.02, 0.015, -0.001, 0.03]), np.random.default_rng(0)
    wins = (differences + 0.01 * rng.standard_normal((200_000, 1)) > 0).sum(axis=1)
    low, high = win_interval(differences, shared_variance=1e-4)
    # A beta distribution with a parameter of 0 is a point.
    assert low == pytest.approx(
        np.quantile(np.where(wins, rng.beta(np.maximum(wins, 1), 6 - wins), 0), 0.025), abs=0.01
    )
    of_upper = np.where(wins < 5, rng.beta(wins + 1, np.maximum(5 - wins, 1)), 1)
    assert high == pytest.approx(np.quantile(of_upper, 0.975), abs=0.01)
    assert win_interval(differences, shared_variance=1.0)[0] < low < win_interval(differences)[0]


@pytest.mark.parametrize(("seeds", "shared_std"), [(5, 0.0), (10, 0.0), (5, 0.5), (10, 0.5)])
def test_win_interval_contains_the_true_probability(seeds, shared_std) -> None:
    rng, true = np.random.default_rng(seeds), 0.95
    differences = rng.normal(stats.norm.ppf(true), 1, (1_000, seeds)) + shared_std * rng.standard_normal((1_000, 1))
    intervals = np.array([win_interval(row, shared_variance=shared_std**2) for row in differences])
    assert 0.93 <= np.mean((intervals[:, 0] <= true) & (true <= intervals[:, 1])) <= 1.0
    assert (intervals[:, 1] - intervals[:, 0]).min() > 0.2
