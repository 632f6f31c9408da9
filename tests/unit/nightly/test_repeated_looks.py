"""The significance level of repeated looks."""

import numpy as np
import pytest
from scipy.stats import t as student_t

from tasks.nightly.repeated_looks import level_of_look


def test_levels_sum_to_half_over_the_first_sixty_looks_and_never_exceed_the_level() -> None:
    levels = np.array([level_of_look(look) for look in range(1, 100_001)])
    assert levels[0] == pytest.approx(0.05 / 120)
    assert levels[:60].sum() == pytest.approx(0.025)
    assert levels[60] == pytest.approx(0.05 / 360)
    assert 0.049 < levels.sum() < 0.05
    assert (np.diff(levels) <= 0).all()


def test_false_claims_over_sixty_looks_at_growing_seeds() -> None:
    """Equal models are compared with 5 seeds, then with 6, up to 64."""
    differences = np.random.default_rng(0).standard_normal((2_000, 64))
    single, repeated = np.zeros(2_000, dtype=bool), np.zeros(2_000, dtype=bool)
    for look in range(1, 61):
        seen = differences[:, : look + 4]
        t = seen.mean(1) / (seen.std(1, ddof=1) / np.sqrt(seen.shape[1]))
        p = 2 * student_t.sf(np.abs(t), seen.shape[1] - 1)
        single |= p <= 0.05
        repeated |= p <= level_of_look(look)
    assert single.mean() > 0.2
    assert repeated.mean() <= 0.05
