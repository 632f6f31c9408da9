"""Planned resamples of the training reviews, compared with simulated tests."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.statistics.planned_resamples import TrainingVariance, resample_needs, resample_power
from tasks.statistics.planning import Goal, PairVariance, planned_power
from tasks.statistics.training_sample import TotalVariance, two_sided_p_value

PAIR = PairVariance("a", "b", seed_variance=1e-5, shared_variance=0.003, rest_variance=0.05, df=4)
GOAL = Goal(difference=0.015, power=0.8, level=0.05, reviews=5_000)
TRAINING = TrainingVariance(4e-6, 5)


@pytest.mark.parametrize(("seeds", "resamples", "training"), [(5, 5, 4e-6), (5, 20, 4e-5), (10, 10, 0.0)])
def test_power_is_that_of_simulated_tests(seeds: int, resamples: int, training: float) -> None:
    rng, count = np.random.default_rng(0), 1_000
    at = PAIR.at(seeds, GOAL.reviews)
    per_seed, test = at.variance_per_seed, at.known_variance
    differences = rng.normal(GOAL.difference, (training + per_seed / seeds + test) ** 0.5, count)
    run = (training + per_seed) * rng.chisquare(resamples - 1, count) / (resamples - 1)
    from_seeds = per_seed * rng.chisquare(seeds - 1, count) / (seeds - 1)
    significant = [
        two_sided_p_value(abs(difference), TotalVariance(a, resamples - 1, b, seeds - 1, seeds, test, np.inf)) <= 0.05
        for difference, a, b in zip(differences, run, from_seeds, strict=True)
    ]
    assert resample_power(PAIR, training, seeds, resamples, GOAL) == pytest.approx(np.mean(significant), abs=0.04)


def test_needed_resamples_are_the_fewest_that_suffice() -> None:
    found = resample_needs(PAIR, TRAINING, 8, GOAL)
    assert found.resamples is not None
    assert found.seeds >= 8
    assert resample_power(PAIR, TRAINING.variance, found.seeds, found.resamples, GOAL) >= 0.8
    assert resample_power(PAIR, TRAINING.variance, found.seeds, found.resamples - 1, GOAL) < 0.8
    assert found.detectable < GOAL.difference
    # A training sample that varies more needs more resamples or seeds, and a result for others needs more than one.
    more = resample_needs(PAIR, TrainingVariance(8e-6, 5), 8, GOAL)
    assert more.seeds + (more.resamples or np.inf) > found.seeds + found.resamples
    assert resample_power(PAIR, 0.0, 8, 100, GOAL) <= planned_power(PAIR, 8, GOAL)


def test_no_number_of_resamples_makes_up_for_a_training_sample_that_varies_too_much() -> None:
    found = resample_needs(PAIR, TrainingVariance(1e-4, 5), 8, GOAL)
    assert found.resamples is None
    # At a standard deviation of one point, 80% power needs at least 1.96 + 0.84 points.
    assert found.detectable > 0.028
    reached = replace(GOAL, difference=found.detectable)
    assert resample_power(PAIR, 1e-4, found.seeds, 100, reached) == pytest.approx(0.8, abs=1e-6)


def test_groups_of_test_reviews_make_the_test_less_powerful() -> None:
    grouped = replace(PAIR, groups_per_review=0.002)  # ten groups
    assert resample_power(grouped, 4e-6, 8, 10, GOAL) < resample_power(PAIR, 4e-6, 8, 10, GOAL)
