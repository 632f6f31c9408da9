"""Power and the number of seeds, compared with statsmodels, scipy, hand computation and brute force."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from tasks.statistics.confidence_intervals import VarianceComponents, estimate_variance, margin_of_error
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.power import (
    POWER_COLUMNS,
    estimate_power,
    minimum_detectable_difference,
    power,
    power_table,
    seeds_for_exact_test,
    seeds_needed,
    std_bias_factor,
)
from tests.helpers.examples import examples

TEST = {"estimated_variance": 4e-6, "df": 6.0, "alpha": 0.01}


def components(variance_per_seed: float, known_variance: float, seeds: int) -> VarianceComponents:
    """Make the variance of a difference from its two parts."""
    estimated = variance_per_seed / seeds
    return VarianceComponents(
        variance_per_seed, known_variance, estimated, seeds - 1, known_variance, variance_per_seed
    )


@pytest.mark.parametrize(("seeds", "effect", "alpha"), [(5, 1.2, 0.05), (10, 0.7, 0.05), (5, 3.0, 0.005), (2, 1, 0.1)])
def test_power_as_statsmodels(seeds, effect, alpha) -> None:
    expected = TTestPower().power(effect_size=effect, nobs=seeds, alpha=alpha, alternative="two-sided")
    found = power(0.01, estimated_variance=(0.01 / effect) ** 2 / seeds, df=seeds - 1, alpha=alpha)
    assert found == pytest.approx(expected, abs=2e-3)


def test_power_at_the_minimum_detectable_difference() -> None:
    assert power(minimum_detectable_difference(**TEST), **TEST) == pytest.approx(0.8, abs=1e-6)
    assert power(minimum_detectable_difference(**TEST, target_power=0.5), **TEST) == pytest.approx(0.5, abs=1e-6)
    assert power(0.0, **TEST) == pytest.approx(0.01, abs=1e-3)
    assert power(0.004, **TEST) == pytest.approx(stats.nct.sf(stats.t.ppf(0.995, 6), 6, 2), abs=2e-3)
    assert power(-0.004, **TEST) == power(0.004, **TEST)


@pytest.mark.parametrize(("df", "alpha"), [(4, 0.05), (4, 0.005), (9, 0.005)])
def test_power_with_known_variance_is_that_of_the_test(df, alpha) -> None:
    ratios = stats.chi2.ppf((np.arange(200) + 0.5) / 200, df) / df
    for known_variance in (0.1, 1.0, 5.0):
        variances = [VarianceComponents(0, 0, ratio, df, known_variance, 0) for ratio in ratios]
        critical = [margin_of_error(variance, level=1 - alpha) for variance in variances]
        for shift in (2, 4):
            difference = shift * (1 + known_variance) ** 0.5
            expected = stats.norm.sf((np.array(critical) - difference) / (1 + known_variance) ** 0.5).mean()
            found = power(difference, estimated_variance=1.0, known_variance=known_variance, df=df, alpha=alpha)
            assert found == pytest.approx(expected, abs=0.02)


def test_every_difference_is_detected_without_variance() -> None:
    no_variance = {"estimated_variance": 0.0, "df": 4.0, "alpha": 0.05}
    assert (power(0.001, **no_variance), power(0.0, **no_variance), minimum_detectable_difference(**no_variance)) == (
        1,
        0,
        0,
    )
    assert estimate_power(0.01, **no_variance) == (1, 1, 1)


def average_over_estimates(compute, df: float, points: int = 60) -> float:
    """Average over equally probable estimates of a variance of 1."""
    return float(np.mean([compute(v) for v in stats.chi2.ppf((np.arange(points) + 0.5) / points, df) / df]))


@pytest.mark.parametrize(
    ("df", "alpha"),
    [(4, 0.05), (9, 0.005), *(pytest.param(*each, marks=pytest.mark.slow) for each in [(9, 0.05), (4, 0.005)])],
)
def test_estimated_power_is_correct_on_average(df, alpha) -> None:
    test = {"df": df, "alpha": alpha}
    for shift in (1, 2, 3, 4, 6):
        true = power(shift, estimated_variance=1.0, **test)
        found = average_over_estimates(
            lambda v, at=shift: estimate_power(at, estimated_variance=v, **test)[1], df, points=40
        )
        assert found == pytest.approx(true, abs=0.03)


def test_power_at_the_estimated_variance_is_too_large_on_average() -> None:
    plain = average_over_estimates(lambda v: power(2, estimated_variance=v, df=4, alpha=0.05), 4)
    assert power(2, estimated_variance=1.0, df=4, alpha=0.05) == pytest.approx(0.336, abs=2e-3)
    assert plain == pytest.approx(0.447, abs=5e-3)


def test_bounds_of_power_follow_from_the_bounds_of_the_variance() -> None:
    low, point, high = estimate_power(0.004, **TEST)
    lowest, highest = 6 * 4e-6 / stats.chi2.ppf([0.975, 0.025], 6)
    assert low == pytest.approx(power(0.004, estimated_variance=highest, df=6, alpha=0.01))
    assert high == pytest.approx(power(0.004, estimated_variance=lowest, df=6, alpha=0.01))
    assert low < point < high
    # With many degrees of df the variance is practically known.
    assert estimate_power(0.004, estimated_variance=4e-6, df=1e6, alpha=0.01) == pytest.approx(
        [power(0.004, estimated_variance=4e-6, df=1e6, alpha=0.01)] * 3, abs=2e-3
    )


@examples(20, thorough=50)
@given(st.floats(0, 0.1), st.floats(1e-9, 1e-2), st.floats(0, 1e-2), st.floats(1, 1e6), st.floats(1e-4, 0.2))
def test_estimated_power_is_within_its_bounds(difference, variance, known_variance, df, alpha) -> None:
    test = {"estimated_variance": variance, "known_variance": known_variance, "df": df, "alpha": alpha}
    low, point, high = estimate_power(difference, **test)
    assert 0 <= low <= point <= high <= 1
    # With two seeds the correction for bias decreases by a point near a difference of 0.
    slack = 1e-3 if df >= 3 else 2e-2
    assert estimate_power(difference + 0.01, **test)[1] >= point - slack


def test_bias_factor_of_the_standard_deviation_as_in_tables() -> None:
    # c4 of quality control charts, for samples of 2, 5 and 10.
    assert [std_bias_factor(df) for df in (1, 4, 9)] == pytest.approx([0.7979, 0.9400, 0.9727], abs=1e-4)
    assert std_bias_factor(1e6) == pytest.approx(1, abs=1e-6)


def test_detectable_difference_is_correct_on_average() -> None:
    test = {"df": 4.0, "alpha": 0.05}
    found = average_over_estimates(lambda v: minimum_detectable_difference(estimated_variance=v, **test), 4)
    assert found / std_bias_factor(4) == pytest.approx(
        minimum_detectable_difference(estimated_variance=1.0, **test), rel=0.01
    )


@pytest.mark.parametrize(
    ("variance_per_seed", "known_variance"), [(5e-5, 0.0), (5e-5, 2e-6), (1e-6, 1e-6), (2e-4, 0.0)]
)
def test_seeds_needed_by_brute_force(variance_per_seed, known_variance) -> None:
    variance = components(variance_per_seed, known_variance, 5)

    def power_with(seeds: int) -> float:
        estimated = variance_per_seed / seeds
        return power(0.006, estimated_variance=estimated, known_variance=known_variance, df=seeds - 1, alpha=0.01)

    powers = [power_with(seeds) for seeds in range(2, 200)]
    assert (np.diff(powers) > -1e-6).all()
    expected = max(next(seeds for seeds, found in enumerate(powers, start=2) if found >= 0.8), 5)
    assert seeds_needed(variance, difference=0.006, alpha=0.01, min_seeds=5) == expected


def test_seeds_needed_is_none_if_no_number_suffices() -> None:
    variance = components(1e-5, 2e-5, 5)
    assert seeds_needed(variance, difference=0.005, alpha=0.05, min_seeds=5) is None
    assert seeds_needed(estimate_variance(np.eye(7)[:1]), difference=0.5, alpha=0.05, min_seeds=5) is None
    # A deterministic architecture has review variance only, which more seeds do not reduce.
    deterministic = estimate_variance(np.eye(7)[:1], deterministic=True)
    assert seeds_needed(deterministic, difference=0.1, alpha=0.05, min_seeds=5) is None
    assert seeds_needed(deterministic, difference=0.9, alpha=0.05, min_seeds=5) == 5
    assert seeds_needed(components(0.0, 0.0, 5), difference=0.005, alpha=0.05, min_seeds=5) == 5


def test_smaller_differences_and_levels_need_more_seeds() -> None:
    variance = components(1e-4, 1e-6, 5)
    needed = [
        seeds_needed(variance, difference=difference, alpha=0.05, min_seeds=2)
        for difference in (0.02, 0.01, 0.007, 0.005)
    ]
    assert needed == sorted(needed)
    assert len(set(needed)) == 4
    assert seeds_needed(variance, difference=0.01, alpha=0.005, min_seeds=2) > needed[1]


def test_seeds_for_the_exact_test_by_hand() -> None:
    # The first value below 0.005 is 2 / 2^9 = 0.0039, and the first below 0.05 is 2 / 2^6 = 0.031.
    assert (seeds_for_exact_test(0.005), seeds_for_exact_test(0.05), seeds_for_exact_test(1.0)) == (9, 6, 1)


def test_power_table() -> None:
    pairs = pd.DataFrame(
        {"first": ["a", "a", "b"], "second": ["b", "c", "c"], "seeds": [5, 5, 1], "difference": [0.001, -0.02, 0.1],
         "p_holm": [0.9, 0.4, 0.001], "verdict": ["not separable"] * 2 + ["too few seeds"]}
    )  # fmt: skip
    variances = [components(5e-5, 0.0, 5), components(5e-5, 0.0, 5), estimate_variance(np.eye(7)[:1])]
    found = power_table(pairs, variances, ComparisonOptions(margin=0.005, alpha=0.05))
    assert list(found) == POWER_COLUMNS
    assert found[:2].notna().all(axis=None)
    assert found["level"].tolist() == [0.025] * 3
    assert found["target_difference"].tolist() == [0.005, 0.02, 0.1]
    test = {"estimated_variance": 1e-5, "df": 4, "alpha": 0.025}
    assert found["minimum_detectable_difference"][0] == pytest.approx(
        minimum_detectable_difference(**test) / 0.9400, rel=1e-4
    )
    assert tuple(found.loc[0, ["power_low", "power_one_point", "power_high"]]) == estimate_power(0.01, **test)
    assert found["seeds_needed"][0] > found["seeds_needed"][1] >= 5
    assert found["seeds_needed"][2] == -1
    # With too few seeds nothing can be claimed, so nothing can be detected.
    assert found.loc[2, ["power_low", "power_one_point", "power_high"]].tolist() == [0, 0, 0]
    assert np.isnan(found["minimum_detectable_difference"][2])
    assert power_table(pairs[:0], [], ComparisonOptions()).empty
