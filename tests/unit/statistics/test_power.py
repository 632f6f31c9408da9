"""Power and what follows from it, against statsmodels, scipy, hand-worked numbers and brute force."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from tasks.statistics.power import (
    POWER_COLUMNS,
    bias_of_deviation,
    estimated_power,
    minimum_detectable,
    open_level,
    power,
    power_frame,
    seeds_for_exact_test,
    seeds_needed,
)
from tasks.statistics.resampling import Noise, noise, reach

KNOWN = {"variance": 4e-6, "freedom": 6.0, "alpha": 0.01}


def of_pair(per_seed: float, lasting: float, seeds: int) -> Noise:
    """Make the noise of a difference that varies so much from seed to seed, and so much for good."""
    return Noise(per_seed, lasting, per_seed / seeds, seeds - 1, lasting, per_seed)


@pytest.mark.parametrize(("seeds", "effect", "alpha"), [(5, 1.2, 0.05), (10, 0.7, 0.05), (5, 3.0, 0.005), (2, 1, 0.1)])
def test_power_as_statsmodels(seeds, effect, alpha) -> None:
    expected = TTestPower().power(effect_size=effect, nobs=seeds, alpha=alpha, alternative="two-sided")
    found = power(0.01, variance=(0.01 / effect) ** 2 / seeds, freedom=seeds - 1, alpha=alpha)
    assert found == pytest.approx(expected, abs=2e-3)


def test_power_at_the_minimum_detectable_difference() -> None:
    assert power(minimum_detectable(**KNOWN), **KNOWN) == pytest.approx(0.8, abs=1e-6)
    assert power(minimum_detectable(**KNOWN, wanted=0.5), **KNOWN) == pytest.approx(0.5, abs=1e-6)
    assert power(0.0, **KNOWN) == pytest.approx(0.01, abs=1e-3)
    assert power(0.004, **KNOWN) == pytest.approx(stats.nct.sf(stats.t.ppf(0.995, 6), 6, 2), abs=2e-3)
    assert power(-0.004, **KNOWN) == power(0.004, **KNOWN)


@pytest.mark.parametrize(("freedom", "alpha"), [(4, 0.05), (4, 0.005), (9, 0.005)])
def test_power_with_lasting_noise_is_that_of_the_test(freedom, alpha) -> None:
    ratios = stats.chi2.ppf((np.arange(200) + 0.5) / 200, freedom) / freedom
    for lasting in (0.1, 1.0, 5.0):
        bars = [reach(Noise(0, 0, ratio, freedom, lasting, 0), level=1 - alpha) for ratio in ratios]
        for shift in (2, 4):
            difference = shift * (1 + lasting) ** 0.5
            expected = stats.norm.sf((np.array(bars) - difference) / (1 + lasting) ** 0.5).mean()
            found = power(difference, variance=1.0, lasting=lasting, freedom=freedom, alpha=alpha)
            assert found == pytest.approx(expected, abs=0.02)


def test_without_any_noise_all_is_found() -> None:
    nothing = {"variance": 0.0, "freedom": 4.0, "alpha": 0.05}
    assert (power(0.001, **nothing), power(0.0, **nothing), minimum_detectable(**nothing)) == (1, 0, 0)
    assert estimated_power(0.01, **nothing) == (1, 1, 1)


def average_over_estimates(compute, freedom: float, points: int = 60) -> float:
    """Average over the variances, equally probable, that so many degrees of freedom estimate where the truth is 1."""
    return float(np.mean([compute(v) for v in stats.chi2.ppf((np.arange(points) + 0.5) / points, freedom) / freedom]))


@pytest.mark.parametrize(("freedom", "alpha"), [(4, 0.05), (9, 0.05), (4, 0.01), (9, 0.005)])
def test_the_estimated_power_is_right_on_average(freedom, alpha) -> None:
    test = {"freedom": freedom, "alpha": alpha}
    for shift in (1, 2, 3, 4, 6):
        true = power(shift, variance=1.0, **test)
        # 20 points are within 0.005 of 60, and cost a third.
        found = average_over_estimates(
            lambda v, at=shift: estimated_power(at, variance=v, **test)[1], freedom, points=20
        )
        assert found == pytest.approx(true, abs=0.05)


def test_the_power_at_the_estimated_variance_would_flatter() -> None:
    plain = average_over_estimates(lambda v: power(2, variance=v, freedom=4, alpha=0.05), 4)
    assert power(2, variance=1.0, freedom=4, alpha=0.05) == pytest.approx(0.336, abs=2e-3)
    assert plain == pytest.approx(0.447, abs=5e-3)


def test_bounds_of_power_are_those_of_the_variance() -> None:
    low, point, high = estimated_power(0.004, **KNOWN)
    least, most = 6 * 4e-6 / stats.chi2.ppf([0.975, 0.025], 6)
    assert low == pytest.approx(power(0.004, variance=most, freedom=6, alpha=0.01))
    assert high == pytest.approx(power(0.004, variance=least, freedom=6, alpha=0.01))
    assert low < point < high
    # With many degrees of freedom the variance is as good as known.
    assert estimated_power(0.004, variance=4e-6, freedom=1e6, alpha=0.01) == pytest.approx(
        [power(0.004, variance=4e-6, freedom=1e6, alpha=0.01)] * 3, abs=2e-3
    )


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 0.1), st.floats(1e-9, 1e-2), st.floats(0, 1e-2), st.floats(1, 1e6), st.floats(1e-4, 0.2))
def test_estimated_power_lies_in_its_bounds(difference, variance, lasting, freedom, alpha) -> None:
    known = {"variance": variance, "lasting": lasting, "freedom": freedom, "alpha": alpha}
    low, point, high = estimated_power(difference, **known)
    assert 0 <= low <= point <= high <= 1
    # With one degree of freedom, two seeds, the correction for bias falls by a point near a difference of 0.
    slack = 1e-3 if freedom >= 3 else 2e-2
    assert estimated_power(difference + 0.01, **known)[1] >= point - slack


def test_the_bias_of_a_standard_deviation_as_in_the_tables() -> None:
    # c4 of quality control charts, for samples of 2, 5 and 10.
    assert [bias_of_deviation(each) for each in (1, 4, 9)] == pytest.approx([0.7979, 0.9400, 0.9727], abs=1e-4)
    assert bias_of_deviation(1e6) == pytest.approx(1, abs=1e-6)


def test_the_detectable_difference_is_right_on_average() -> None:
    test = {"freedom": 4.0, "alpha": 0.05}
    found = average_over_estimates(lambda v: minimum_detectable(variance=v, **test), 4)
    assert found / bias_of_deviation(4) == pytest.approx(minimum_detectable(variance=1.0, **test), rel=0.01)


@pytest.mark.parametrize(("per_seed", "lasting"), [(5e-5, 0.0), (5e-5, 2e-6), (1e-6, 1e-6), (2e-4, 0.0)])
def test_seeds_needed_by_brute_force(per_seed, lasting) -> None:
    of = of_pair(per_seed, lasting, 5)

    def reached(seeds: int) -> float:
        return power(0.006, variance=per_seed / seeds, lasting=lasting, freedom=seeds - 1, alpha=0.01)

    tried = [reached(seeds) for seeds in range(2, 200)]
    assert (np.diff(tried) > -1e-6).all()
    expected = max(next(seeds for seeds, found in enumerate(tried, start=2) if found >= 0.8), 5)
    assert seeds_needed(of, difference=0.006, alpha=0.01, least=5) == expected


def test_what_no_number_of_seeds_can_settle() -> None:
    of = of_pair(1e-5, 2e-5, 5)
    assert seeds_needed(of, difference=0.005, alpha=0.05, least=5) is None
    assert seeds_needed(noise(np.eye(7)[:1]), difference=0.5, alpha=0.05, least=5) is None
    # Without randomness the reviews' noise is all there is, and no run takes it away.
    fixed = noise(np.eye(7)[:1], fixed_seeds=True)
    assert seeds_needed(fixed, difference=0.1, alpha=0.05, least=5) is None
    assert seeds_needed(fixed, difference=0.9, alpha=0.05, least=5) == 5
    assert seeds_needed(of_pair(0.0, 0.0, 5), difference=0.005, alpha=0.05, least=5) == 5


def test_more_is_needed_for_less() -> None:
    of = of_pair(1e-4, 1e-6, 5)
    needed = [seeds_needed(of, difference=each, alpha=0.05, least=2) for each in (0.02, 0.01, 0.007, 0.005)]
    assert needed == sorted(needed)
    assert len(set(needed)) == 4
    assert seeds_needed(of, difference=0.01, alpha=0.005, least=2) > needed[1]


def test_seeds_of_the_exact_test_by_hand() -> None:
    # 2 / 2^9 = 0.0039 is the first below 0.005, and 2 / 2^6 = 0.031 the first below 0.05.
    assert (seeds_for_exact_test(0.005), seeds_for_exact_test(0.05), seeds_for_exact_test(1.0)) == (9, 6, 1)


def test_the_open_level_is_where_holm_stopped() -> None:
    # Of four pairs two are rejected: the third is held against 0.05 / 2.
    assert open_level(np.array([0.001, 0.2, 0.03, 0.4]), 0.05) == 0.025
    assert open_level(np.array([0.5, 0.6]), 0.05) == 0.025
    # All rejected: the last was held against alpha itself.
    assert open_level(np.array([0.001, 0.002]), 0.05) == 0.05
    assert open_level(np.array([]), 0.05) == 0.05


def test_the_frame_of_power() -> None:
    pairs = pd.DataFrame(
        {"first": ["a", "a", "b"], "second": ["b", "c", "c"], "seeds": [5, 5, 1], "difference": [0.001, -0.02, 0.1],
         "p_holm": [0.9, 0.4, 0.001]}
    )  # fmt: skip
    noises = [of_pair(5e-5, 0.0, 5), of_pair(5e-5, 0.0, 5), noise(np.eye(7)[:1])]
    found = power_frame(pairs, noises, margin=0.005, alpha=0.05, least_seeds=5)
    assert list(found) == POWER_COLUMNS
    assert found.notna().all(axis=None)
    assert found["level"].tolist() == [0.025] * 3
    assert found["target"].tolist() == [0.005, 0.02, 0.1]
    known = {"variance": 1e-5, "freedom": 4, "alpha": 0.025}
    assert found["minimum_detectable"][0] == pytest.approx(minimum_detectable(**known) / 0.9400, rel=1e-4)
    assert tuple(found.loc[0, ["power_low", "power_one_point", "power_high"]]) == estimated_power(0.01, **known)
    assert found["seeds_needed"][0] > found["seeds_needed"][1] >= 5
    assert found["seeds_needed"][2] == -1
    assert power_frame(pairs[:0], [], margin=0.005, alpha=0.05, least_seeds=5).empty
