"""Planned seeds and test reviews, compared with hand computation and with simulated comparisons."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tasks.config.recipe import DEFAULT_ARCHITECTURES
from tasks.evaluation.grouping import make_groups
from tasks.evaluation.predictions import metric_contributions
from tasks.statistics.confidence_intervals import estimate_variance
from tasks.statistics.pairs import p_value
from tasks.statistics.planning import (
    MAX_REVIEWS,
    Goal,
    PairVariance,
    detectable_difference,
    failed_architectures,
    measure_pairs,
    pair_needs,
    planned_level,
    planned_power,
    relevant_pairs,
    typical_and_noisiest,
)
from tests.helpers.examples import examples
from tests.helpers.simulated_predictions import simulate_predictions

PAIR = PairVariance("a", "b", seed_variance=1e-5, shared_variance=0.02, rest_variance=0.05, df=4)
GOAL = Goal(difference=0.01, power=0.8, level=0.05, reviews=5_000)


def test_variance_for_other_seeds_and_reviews_by_hand() -> None:
    variance = PAIR.at(seeds=5, reviews=5_000)
    # 1e-5 + 0.05 / 5000 = 2e-5 per seed; 0.02 / 5000 = 4e-6 that all seeds share.
    assert variance.variance_per_seed == pytest.approx(2e-5)
    assert variance.estimated_variance == pytest.approx(4e-6)
    assert variance.known_variance == pytest.approx(4e-6 + 1 / 5_002**2)
    assert (variance.df, variance.known_df) == (4, math.inf)
    assert replace(PAIR, groups_per_review=0.01).at(5, 5_000).known_df == pytest.approx(49)


@pytest.mark.parametrize("group_size", [1, 5])
def test_measured_variance_is_that_of_the_comparison(group_size: int) -> None:
    test = simulate_predictions([0.87, 0.86], seeds=6, reviews=900, seed=3, group_size=group_size)["test"]
    (pair,) = measure_pairs(test)
    values = metric_contributions(test, ["accuracy"])["accuracy"]
    expected = estimate_variance(values[0] - values[1], bounded=True, groups=test.groups)
    found = pair.at(6, 900)
    # 0.9515 is the mean of a standard deviation of six seeds divided by the true one (tables of c4).
    assert found.estimated_variance == pytest.approx(expected.estimated_variance / 0.9515**2, rel=1e-4)
    assert found.known_variance == pytest.approx(expected.known_variance, rel=1e-9)
    assert (found.df, found.known_df) == (expected.df, pytest.approx(expected.known_df))
    assert pair.p == pytest.approx(p_value(float((values[0] - values[1]).mean()), expected))


def test_pairs_with_one_seed_or_the_majority_class_are_not_measured() -> None:
    test = simulate_predictions([0.9, 0.88, 0.87, 0.5], seeds=3, reviews=300, seed=1)["test"]
    present = test.present.copy()
    present[1, 1:] = present[2, 1:] = present[3, 1:] = False
    names = ["lstm", "gru", "nb_svm", "majority"]
    found = [pair.names for pair in measure_pairs(replace(test, architectures=names, present=present))]
    # The only run of a baseline is paired with every seed of a network.
    assert found == [("lstm", "nb_svm")]


def test_architecture_with_a_failed_seed_is_found() -> None:
    test = simulate_predictions([0.9, 0.88], seeds=5, reviews=500, seed=1)["test"]
    probabilities = test.probabilities.copy()
    probabilities[1, 2] = np.random.default_rng(0).random(500)
    assert failed_architectures(test) == []
    assert failed_architectures(replace(test, probabilities=probabilities)) == [test.architectures[1]]


def test_needed_seeds_are_the_first_that_reach_the_power() -> None:
    needs = pair_needs(replace(PAIR, seed_variance=1e-4), GOAL)
    needed = int(needs.seeds.point)
    assert needed > 5
    assert planned_power(needs.pair, needed, GOAL) >= 0.8 > planned_power(needs.pair, needed - 1, GOAL)
    assert detectable_difference(needs.pair, needed, GOAL) <= 0.01 < detectable_difference(needs.pair, needed - 1, GOAL)
    assert needs.seeds.low <= needs.seeds.point <= needs.seeds.high
    assert needs.reviews is None


def test_seeds_without_test_reviews_by_statsmodels_table() -> None:
    # 1e8 reviews leave the seed variance only: a paired t test with an effect of 1 needs 10 pairs (Cohen 1988).
    pair = PairVariance("a", "b", seed_variance=1e-4, shared_variance=0.0, rest_variance=0.0, df=9)
    assert pair_needs(pair, replace(GOAL, reviews=10**8)).seeds.point == 10


def test_fewer_than_five_seeds_detect_nothing() -> None:
    quiet = PairVariance("a", "b", 1e-9, 1e-9, 1e-9, 4)
    assert planned_power(quiet, 4, GOAL) == 0
    assert math.isnan(detectable_difference(quiet, 4, GOAL))
    assert pair_needs(quiet, GOAL).seeds.point == 5


def test_test_reviews_limit_what_seeds_can_detect() -> None:
    goal = replace(GOAL, reviews=500)
    needs = pair_needs(PAIR, goal, min_seeds=20)
    # 0.02 / 500 is a standard deviation of 0.632 points; times 1.960 + 0.842.
    by_hand = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * (0.02 / 500 + 1 / 502**2) ** 0.5
    assert needs.limit == pytest.approx(by_hand, rel=1e-3)
    assert needs.limit > goal.difference
    assert (needs.seeds.point, needs.reviews_seeds) == (math.inf, 20)
    assert needs.reviews is not None
    assert planned_power(PAIR, 20, replace(goal, reviews=needs.reviews)) >= 0.8
    assert planned_power(PAIR, 20, replace(goal, reviews=needs.reviews - 1)) < 0.8


def test_no_number_of_reviews_suffices_for_a_tiny_difference() -> None:
    needs = pair_needs(replace(PAIR, seed_variance=1.0), replace(GOAL, difference=1e-4))
    assert (needs.seeds.point, needs.reviews) == (math.inf, None)
    assert detectable_difference(PAIR, 1_000, replace(GOAL, reviews=MAX_REVIEWS)) > 0


def test_level_is_that_of_the_pairs_that_may_be_equal() -> None:
    # Five networks and three baselines are 28 pairs.
    assert planned_level([], DEFAULT_ARCHITECTURES) == (pytest.approx(0.05 / 28), 28)
    assert planned_level([], ["lstm"]) == (pytest.approx(0.05 / 6), 6)
    baselines = ("nb_svm", "tfidf_logistic", "averaged_embeddings")
    decided = [replace(PAIR, first="lstm", second=name, p=1e-9) for name in baselines]
    assert planned_level(decided, ["lstm"]) == (pytest.approx(0.05 / 3), 3)
    assert planned_level([replace(decided[0], p=0.03)], ["lstm"]) == (pytest.approx(0.05 / 6), 6)


def test_pairs_of_a_plan() -> None:
    def pair(first: str, second: str) -> PairVariance:
        return replace(PAIR, first=first, second=second)

    known = [pair("simple_rnn", "lstm"), pair("lstm", "gru"), pair("lstm", "nb_svm"), pair("gru", "nb_svm")]
    assert relevant_pairs(known, ["lstm", "gru", "m:f"]) == [known[1]]
    assert relevant_pairs(known, ["lstm"]) == [known[2]]
    assert relevant_pairs(known, ["m:f"]) == known[:2]
    # Pairs with a baseline say nothing about two networks.
    assert relevant_pairs(known, ["lstm", "m:f"]) == known[:2]
    assert relevant_pairs(known[2:], ["lstm", "m:f"]) == known[2:]


def test_typical_pair_is_the_median() -> None:
    pairs = [replace(PAIR, first=str(order), seed_variance=order * 1e-5) for order in (3, 1, 5, 2, 4)]
    assert [pair.first for pair in typical_and_noisiest(pairs, GOAL)] == ["3", "5"]
    assert typical_and_noisiest(pairs[:1], GOAL) == pairs[:1]


@examples(10, thorough=30)
@given(
    st.floats(0, 1e-2), st.floats(0, 0.3), st.floats(0, 0.5), st.integers(2, 10**6), st.floats(1e-4, 1),
    st.floats(1e-4, 0.05), st.integers(1, 30),
)  # fmt: skip
def test_plan_of_any_pair_keeps_its_promise(seed, shared, rest, reviews, difference, level, df) -> None:
    pair = PairVariance("a", "b", seed, shared, rest, df)
    goal = Goal(difference, 0.8, level, reviews)
    needs = pair_needs(pair, goal)
    assert needs.seeds.low <= needs.seeds.point <= needs.seeds.high
    if math.isfinite(needs.seeds.point):
        assert planned_power(pair, int(needs.seeds.point), goal) >= 0.8
    elif needs.reviews is not None:
        assert planned_power(pair, needs.reviews_seeds, replace(goal, reviews=needs.reviews)) >= 0.8


@pytest.mark.parametrize(("seeds", "reviews", "group_size"), [(6, 1_500, 1), (12, 800, 1), (8, 1_500, 6)])
def test_planned_power_is_found_by_simulated_comparisons(seeds: int, reviews: int, group_size: int) -> None:
    def simulate(accuracies: list[float], **sizes: object) -> PairVariance:
        models = {"seed_std": 0.006, "architecture_std": 0.3, "group_size": group_size, "validation_reviews": 2}
        (pair,) = measure_pairs(simulate_predictions(accuracies, **models, **sizes)["test"])
        return pair

    # Planned from earlier runs that are large enough to know the variances.
    earlier = [simulate([0.88, 0.88], seeds=100, reviews=6_000, seed=[1, number]) for number in range(10)]
    parts = ("seed_variance", "shared_variance", "rest_variance")
    known = replace(earlier[0], **{part: np.mean([getattr(pair, part) for pair in earlier]) for part in parts})
    goal = Goal(0.02, 0.8, 0.02, reviews)
    planned = planned_power(known, seeds, goal)
    later = [simulate([0.89, 0.87], seeds=seeds, reviews=reviews, seed=[2, number]) for number in range(300)]
    assert 0.5 < planned < 0.9
    # Three standard errors of 300 simulations.
    assert np.mean([pair.p <= goal.level for pair in later]) == pytest.approx(planned, abs=3 * (0.25 / 300) ** 0.5)


def test_groups_are_scaled_with_the_reviews() -> None:
    groups = make_groups(np.arange(900) // 3)
    test = simulate_predictions([0.87, 0.86], seeds=6, reviews=900, seed=3)["test"]
    (pair,) = measure_pairs(replace(test, groups=groups))
    now = pair.at(6, 900).known_df
    assert 150 < now < 300  # most differences are 0, which is fewer than the number of groups
    assert pair.at(6, 1_800).known_df == pytest.approx(2 * (now + 1) - 1)
