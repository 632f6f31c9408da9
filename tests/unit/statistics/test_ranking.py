"""Omnibus tests, rank groups and expected best scores, compared with hand computation, statsmodels and scipy."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import cochrans_q

from tasks.evaluation.predictions import Predictions
from tasks.statistics.ranking import (
    PairDifference,
    differences_to,
    expected_best_validation,
    expected_maximum,
    omnibus_tests,
    rank_groups,
)

# Seven reviews, three architectures: 1 for a correct prediction.
CORRECT = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 0, 1], [0, 0, 0], [1, 1, 0], [1, 0, 0]])


def predictions_from(correct: np.ndarray, *, seeds: int = 1) -> Predictions:
    """Make predictions, the same for every seed, from (reviews, architectures); all labels are positive."""
    probabilities = np.repeat(np.where(correct.T == 1, 0.8, 0.3)[:, None], seeds, axis=1).astype(np.float32)
    architectures, _, reviews = probabilities.shape
    ids = np.array([f"r{number}" for number in range(reviews)], object)
    present = np.ones((architectures, seeds), bool)
    names = list("abcdef"[:architectures])
    return Predictions(names, list(range(seeds)), ids, np.ones(reviews, np.int8), probabilities, present)


def contributions_from(scores: list[list[float]]) -> np.ndarray:
    """Make contributions (architectures, seeds, one review) that average to the scores."""
    return np.array(scores)[..., None]


def test_cochrans_q_by_hand() -> None:
    # Correct predictions: 6, 3, 2 by architecture; 2, 1, 3, 2, 0, 2, 1 by review.
    # Q = 2 (3 (36 + 9 + 4) - 121) / (3 * 11 - (4 + 1 + 9 + 4 + 0 + 4 + 1)) = 2 * 26 / 10.
    found = omnibus_tests(predictions_from(CORRECT), np.ones((3, 1, 7)), "accuracy").iloc[0]
    assert (found["test"], found["observations"], found["note"]) == ("Cochran's Q", 7, "")
    assert found["statistic"] == pytest.approx(5.2)
    assert found["p"] == pytest.approx(stats.chi2.sf(5.2, 2))
    assert found["statistic"] == pytest.approx(cochrans_q(CORRECT).statistic)


def test_cochrans_q_is_without_the_majority_class() -> None:
    data = predictions_from(np.column_stack([CORRECT, np.arange(7) < 3]))
    data.architectures[3] = "majority"
    found = omnibus_tests(data, np.ones((4, 1, 7)), "accuracy").iloc[0]
    assert found["statistic"] == pytest.approx(5.2)
    data = predictions_from(CORRECT[:, :2])
    data.architectures[1] = "majority"
    found = omnibus_tests(data, np.ones((2, 1, 7)), "accuracy").iloc[0]
    assert (found["statistic"], found["p"]) == (0, 1)
    assert found["note"] == "nothing to test: fewer than two architectures"


def test_friedman_by_hand() -> None:
    # Over four seeds ranks 1 2 3, 1 2 3, 1 3 2, 2 1 3: sums 5, 8, 11; 12 / (4 * 3 * 4) * 210 - 3 * 4 * 4 = 4.5.
    scores = [[0.80, 0.81, 0.80, 0.83], [0.82, 0.83, 0.86, 0.81], [0.84, 0.85, 0.84, 0.88]]
    found = omnibus_tests(predictions_from(CORRECT, seeds=4), contributions_from(scores), "accuracy").iloc[1]
    assert (found["test"], found["observations"], found["note"]) == ("Friedman", 4, "")
    assert found["statistic"] == pytest.approx(4.5)
    assert found["p"] == pytest.approx(stats.chi2.sf(4.5, 2))


def test_friedman_uses_the_shared_seeds() -> None:
    data = predictions_from(CORRECT, seeds=3)
    data.present[0, 1] = False
    scores = [[0.80, np.nan, 0.81], [0.82, 0.9, 0.83], [0.84, 0.1, 0.85]]
    found = omnibus_tests(data, contributions_from(scores), "accuracy").iloc[1]
    assert found["observations"] == 2
    assert found["statistic"] == pytest.approx(stats.friedmanchisquare([0.80, 0.81], [0.82, 0.83], [0.84, 0.85])[0])


def test_scores_that_differ_in_the_last_bits_are_tied() -> None:
    scores = np.array([[0.8, 0.9, 0.7, 0.8], [0.3, 0.1, 0.2, 0.6], [0.3, 0.2, 0.1, 0.5]])
    noisy = scores + np.array([[0.0], [6e-17], [0.0]])
    assert (noisy != scores).any()
    found = omnibus_tests(predictions_from(CORRECT, seeds=4), contributions_from(noisy.tolist()), "accuracy").iloc[1]
    assert found["statistic"] == pytest.approx(stats.friedmanchisquare(*scores).statistic)


@pytest.mark.parametrize(
    ("correct", "scores"),
    [(np.ones((7, 3), int), [[0.8, 0.9]] * 3),  # all equal
     (CORRECT[:, :2], [[0.8, 0.9], [0.7, 0.7]]),  # two architectures
     (CORRECT, [[0.8], [0.9], [0.7]]),  # one seed
     (CORRECT[:, :1], [[0.8]])],  # one architecture
)  # fmt: skip
def test_nothing_to_test_has_a_note(correct, scores) -> None:
    found = omnibus_tests(predictions_from(correct, seeds=len(scores[0])), contributions_from(scores), "accuracy")
    assert found[["statistic", "p"]].notna().all(axis=None)
    assert (found["note"].ne("") | found["statistic"].ne(0)).all()
    assert found["note"].iloc[1].startswith("nothing to test")


def test_expected_maximum_by_hand() -> None:
    assert expected_maximum(np.array([0.0, 1.0]), 2) == pytest.approx(1)
    assert expected_maximum(np.array([0.0, 1.0]), 2, lower_is_better=True) == pytest.approx(0)
    assert expected_maximum(np.array([0.5, 0.2, 0.8]), 1) == pytest.approx(0.5)
    # The maxima of the pairs are 0.5, 0.8 and 0.8.
    assert expected_maximum(np.array([0.5, 0.2, 0.8]), 2) == pytest.approx(0.7)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=6), st.integers(1, 6), st.booleans())
def test_expected_maximum_as_the_mean_over_all_subsets(scores: list[int], runs: int, lower: bool) -> None:
    best, runs = min if lower else max, min(runs, len(scores))
    maxima = [best(drawn) for drawn in itertools.combinations(scores, runs)]
    found = expected_maximum(np.array(scores, float), runs, lower_is_better=lower)
    assert found == pytest.approx(np.mean(maxima), abs=1e-9)


def test_expected_maximum_is_unbiased_for_normal_scores() -> None:
    scores = np.random.default_rng(0).standard_normal((4_000, 5))
    # The expected maximum of three standard normal values is 3 / (2 sqrt(pi)) = 0.846.
    assert np.mean([expected_maximum(row, 3) for row in scores]) == pytest.approx(1.5 / np.pi**0.5, abs=0.03)
    assert np.mean([expected_maximum(row, 3) for row in scores[:, :3]]) == pytest.approx(1.5 / np.pi**0.5, abs=0.03)


def test_expected_best_validation_and_its_cost() -> None:
    data, trials = (
        predictions_from(CORRECT[:, :2], seeds=3),
        pd.DataFrame({"architecture": ["a", "a"], "train_seconds": [2, 4], "cpu_seconds": [5, 7]}),
    )
    data.present[1, 0] = False
    scores = contributions_from([[0.1, 0.2, 0.3], [np.nan, 0.5, 0.7]])
    found = expected_best_validation(data, scores, trials, metric="accuracy").set_index(["architecture", "runs"])
    assert found["expected"].tolist() == pytest.approx([0.2, 0.8 / 3, 0.3, 0.6, 0.7])
    assert found.loc["a", "train_seconds"].tolist() == [3, 6, 9]
    assert found.loc["a", "cpu_seconds"].tolist() == [6, 12, 18]
    assert found.loc["b", ["train_seconds", "cpu_seconds"]].isna().all(axis=None)
    lowest = expected_best_validation(data, scores, trials, metric="log_loss")["expected"]
    assert lowest.tolist() == pytest.approx([0.2, 0.4 / 3, 0.1, 0.6, 0.5])


def tables(validation: dict[str, float], verdicts: dict[tuple[str, str], str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make a summary with the reverse order on test, and pairs with verdicts, by default "not separable"."""
    summary = pd.DataFrame(
        [{"architecture": name, "metric": "accuracy", "split": split,
          "mean": mean if split == "validation" else 1 - mean}
         for name, mean in validation.items() for split in ("validation", "test")]
    )  # fmt: skip
    pairs = pd.DataFrame(
        [{"first": a, "second": b, "metric": "accuracy", "difference": 0.1, "low": 0.05, "high": 0.2,
          "verdict": verdicts.get((a, b), "not separable")}
         for a, b in itertools.combinations(validation, 2)]
    )  # fmt: skip
    return summary, pairs


def test_rank_groups_by_hand() -> None:
    # d is best on validation; c is not significantly different from it; a and b are worse; b is worse than a.
    verdicts = {("a", "d"): "second better", ("b", "d"): "second better", ("a", "b"): "first better"}
    summary, pairs = tables({"a": 0.7, "b": 0.6, "c": 0.8, "d": 0.9}, verdicts)
    trials = pd.DataFrame({"architecture": list("aabcd"), "parameters": [5, 5, 1, 30, 40], "train_seconds": 1.0})
    found = rank_groups(summary, pairs, trials.assign(cpu_seconds=[1, 3, 5, 6, 7]), metric="accuracy")
    assert found["architecture"].tolist() == ["d", "c", "a", "b"]
    assert found["group"].tolist() == [1, 1, 2, 3]
    assert found["best"].tolist() == [True, False, False, False]
    assert found["cheapest"].tolist() == [False, True, False, False]
    assert found["verdict"].tolist() == ["best", "not separable", "worse", "worse"]
    assert found["parameters"].tolist() == [40, 30, 5, 1]
    assert found["cpu_seconds"].tolist() == [7, 6, 2, 5]
    assert found["test_mean"].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize("verdict", ["not separable", "equivalent", "too few seeds", "second better"])
def test_only_a_significantly_worse_architecture_leaves_the_group(verdict) -> None:
    summary, pairs = tables({"a": 0.9, "b": 0.8}, {("a", "b"): verdict})
    assert rank_groups(summary, pairs, None, metric="accuracy")["group"].tolist() == [1, 1]


def test_group_is_relative_to_its_first_architecture() -> None:
    # a and b, and b and c, are not significantly different, but c is worse than a and starts a new group.
    summary, pairs = tables({"a": 0.9, "b": 0.8, "c": 0.7}, {("a", "c"): "first better"})
    assert rank_groups(summary, pairs, None, metric="accuracy")["group"].tolist() == [1, 1, 2]


def test_tie_on_validation_is_broken_by_cost() -> None:
    summary, pairs = tables({"a": 0.8, "b": 0.8 + 1e-15}, {})
    trials = pd.DataFrame({"architecture": ["a", "b"], "parameters": [9, 3]})
    assert rank_groups(summary, pairs, trials, metric="accuracy")["architecture"].tolist() == ["b", "a"]
    assert rank_groups(summary, pairs, None, metric="accuracy")["architecture"].tolist() == ["a", "b"]
    lower = summary.assign(metric="log_loss", mean=[0.3, 0.3, 0.2, 0.2])
    found = rank_groups(lower, pairs.assign(metric="log_loss"), None, metric="log_loss")
    assert found["best"].tolist() == [True, False]
    assert found["architecture"][0] == "b"


def test_difference_to_the_other_architecture_is_mirrored() -> None:
    _, pairs = tables({"a": 0.7, "b": 0.6}, {("a", "b"): "first better"})
    assert differences_to(pairs, "a", "accuracy")["b"] == PairDifference(-0.1, -0.2, -0.05, "worse")
    assert differences_to(pairs, "b", "accuracy")["a"] == PairDifference(0.1, 0.05, 0.2, "better")
    assert differences_to(pairs, "a", "f1") == {}
