"""Tests of predictions on groups of reviews, compared with hand computation, statsmodels and simulation."""

import numpy as np
import pytest
from scipy import stats

from tasks.evaluation.grouping import ReviewGroups, make_groups
from tasks.statistics.grouped_tests import grouped_cochran, grouped_mcnemar


def singletons(count: int) -> ReviewGroups:
    """Return groups of one review each, which `make_groups` leaves out."""
    return ReviewGroups(np.arange(count), np.arange(count), np.ones(count, int))


def test_groups_of_one_review_give_the_mcnemar_test() -> None:
    for only_first, only_second in ((3, 9), (30, 50)):
        first = np.arange(100) < only_first
        second = (np.arange(100) >= only_first) & (np.arange(100) < only_first + only_second)
        found = grouped_mcnemar(first, second, singletons(100))
        assert (found.only_first, found.only_second) == (only_first, only_second)
        if only_first + only_second < 16:
            assert found.p_value == pytest.approx(stats.binomtest(only_first, only_first + only_second).pvalue)
        else:
            assert found.p_value == pytest.approx(stats.chi2.sf(20**2 / 80, 1))


def test_three_groups_that_all_favor_one_model_prove_little() -> None:
    first, second, groups = np.ones(300, bool), np.zeros(300, bool), make_groups(np.repeat(np.arange(3), 100))
    assert grouped_mcnemar(first, second, groups).p_value == 0.25
    assert grouped_mcnemar(first, first, groups).p_value == 1


def correct_predictions(rng, *, models, groups, size):
    """Draw correct predictions of equally accurate models that are good at different groups."""
    shares = rng.beta(4, 1, (models, groups)).repeat(size, axis=1)
    return rng.random(shares.shape) < shares


def test_equal_models_differ_in_five_percent() -> None:
    rng, groups = np.random.default_rng(0), make_groups(np.repeat(np.arange(60), 10))
    mcnemar, cochran = [], []
    for _ in range(600):
        correct = correct_predictions(rng, models=3, groups=60, size=10)
        mcnemar.append(grouped_mcnemar(correct[0], correct[1], groups).p_value)
        cochran.append(grouped_cochran(correct, groups)[1])
    for p_values in (mcnemar, cochran):
        assert 0.03 <= np.mean(np.array(p_values) <= 0.05) <= 0.07


def test_cochran_of_two_models_is_the_t_test_of_the_groups() -> None:
    correct = correct_predictions(np.random.default_rng(1), models=2, groups=20, size=5)
    differences = (correct[0].astype(int) - correct[1]).reshape(20, 5).sum(axis=1)
    statistic, p = grouped_cochran(correct, make_groups(np.repeat(np.arange(20), 5)))
    expected = stats.ttest_1samp(differences, 0)
    assert (statistic, p) == (pytest.approx(expected.statistic**2), pytest.approx(expected.pvalue))


def test_too_few_groups_are_not_tested() -> None:
    correct = correct_predictions(np.random.default_rng(1), models=4, groups=3, size=5)
    assert grouped_cochran(correct, make_groups(np.repeat(np.arange(3), 5))) is None
    assert grouped_cochran(correct, make_groups(np.zeros(15, int))) is None
