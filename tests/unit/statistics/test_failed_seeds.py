"""Seeds that failed: the rules by hand, and the bound of the failure rate compared with statsmodels."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from tasks.evaluation.metrics import METRICS
from tasks.evaluation.predictions import metric_contributions
from tasks.statistics.failed_seeds import (
    at_chance,
    chance_contributions,
    diverged_seeds,
    failure_rate_bound,
    far_below,
    find_failed_seeds,
)
from tests.helpers.simulated_predictions import simulate_predictions


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.87, 0.86, 0.88, 0.50, 0.87], [3]),
        ([0.87, 0.86, 0.88, 0.83, 0.87], []),  # less than five points below the median
        ([0.87, 0.80, 0.84, 0.76, 0.90], []),  # the others spread as much
        ([0.5, 0.87, 0.5, 0.86, 0.88, 0.87, 0.88, 0.87], [0, 2]),
        ([0.87, 0.5], []),  # which of two failed is not known
        ([0.87, 0.87, 0.98], []),  # far above
    ],
)
def test_scores_far_below_the_others(scores, expected) -> None:
    assert np.flatnonzero(far_below(np.array(scores))).tolist() == expected


def test_few_runs_with_normal_scores_are_flagged() -> None:
    scores = np.random.default_rng(0).normal(0.85, 0.02, (2_000, 5))
    assert np.mean([far_below(row).any() for row in scores]) < 0.02


def test_seeds_at_chance() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(2_000) < 0.02).astype(np.int8)  # a rare class: a constant prediction has an accuracy of 98%
    good = np.where(labels == 1, rng.normal(1, 1, 2_000), rng.normal(0, 1, 2_000))
    seeds = np.stack([good, rng.normal(size=2_000), np.full(2_000, 0.1), -good]).astype(np.float32)
    assert roc_auc_score(labels, good) > 0.7
    assert at_chance(labels, seeds).tolist() == [False, True, True, True]
    assert not at_chance(np.ones(2_000, np.int8), seeds).any()


def test_failed_seeds_of_missing_and_deterministic_trials() -> None:
    data = simulate_predictions([0.85, 0.85, 0.85], seeds=5, reviews=1_000, seed=0)["test"]
    data.probabilities[:, 2] = 0.5
    data.present[0, 0] = False
    data.present[1] = np.arange(5) == 2  # a single run, so that it does not depend on a seed; the third has several
    for metric in ("accuracy", "log_loss"):
        contributions = metric_contributions(data)[metric]
        found = find_failed_seeds(data, contributions, metric, ("model_1", "model_2"))
        assert np.argwhere(found).tolist() == [[0, 2], [2, 2]]


@pytest.mark.parametrize(("failed", "seeds"), [(0, 5), (1, 5), (1, 10), (4, 5)])
def test_failure_rate_bound_as_statsmodels(failed, seeds) -> None:
    expected = proportion_confint(failed, seeds, alpha=0.10, method="beta")[1]
    assert failure_rate_bound(failed, seeds) == pytest.approx(expected)


def test_failure_rate_bound_by_hand() -> None:
    assert failure_rate_bound(0, 5) == pytest.approx(0.4507, abs=1e-4)
    assert failure_rate_bound(5, 5) == 1


def test_diverged_seeds() -> None:
    trials = pd.DataFrame({"architecture": list("aab"), "seed": [3, 1, 0], "status": ["diverged"] * 2 + ["finished"]})
    assert [diverged_seeds(trials, name) for name in "abc"] == [[1, 3], [], []]
    assert diverged_seeds(None, "a") == diverged_seeds(trials.drop(columns="status"), "a") == []


def test_chance_contributions_are_those_of_a_constant() -> None:
    labels = np.array([1, 1, 1, 0], np.int8)
    for metric in ("accuracy", "f1", "auc", "log_loss"):
        expected = METRICS[metric].score(labels, np.full(4, 0.75))
        assert chance_contributions(labels, metric).mean() == pytest.approx(expected)
