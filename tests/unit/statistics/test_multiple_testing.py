"""Holm's procedure, compared with hand computation and statsmodels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from tasks.statistics.multiple_testing import holm_adjust, holm_level
from tests.helpers.examples import examples


def test_holm_by_hand() -> None:
    # Sorted, 0.01, 0.03, 0.04 times 3, 2, 1: 0.03, 0.06, 0.04; the last is raised to the one before.
    np.testing.assert_allclose(holm_adjust(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm_adjust(np.array([0.6, 0.7])), [1, 1])
    assert len(holm_adjust(np.array([]))) == 0


def test_holm_does_not_count_missing_p_values() -> None:
    np.testing.assert_allclose(holm_adjust(np.array([[0.01, np.nan], [0.04, 0.03]])), [[0.03, np.nan], [0.06, 0.06]])
    assert np.isnan(holm_adjust(np.array([np.nan]))).all()


@examples(20, thorough=40)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_increases_p_values_and_keeps_their_order(p_values: list[float]) -> None:
    given = np.array(p_values)
    found = holm_adjust(given)
    np.testing.assert_allclose(found, multipletests(given, method="holm")[1], atol=1e-12)
    assert ((given <= found + 1e-15) & (found <= np.minimum(given * len(given), 1) + 1e-12) & (found <= 1)).all()
    assert (np.diff(found[np.argsort(given)]) >= -1e-15).all()


def test_level_is_that_of_the_first_hypothesis_that_is_not_rejected() -> None:
    # Two of four pairs are rejected, so the third is tested at 0.05 / 2.
    assert holm_level(np.array([0.001, 0.2, 0.03, 0.4]), 0.05) == 0.025
    assert holm_level(np.array([0.5, 0.6]), 0.05) == 0.025
    # All are rejected; the last one was tested at alpha.
    assert holm_level(np.array([0.001, 0.002]), 0.05) == 0.05
    assert holm_level(np.array([]), 0.05) == 0.05
