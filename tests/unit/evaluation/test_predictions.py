"""Prediction arrays and contributions to metrics, compared with numbers computed by hand and with scikit-learn."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, log_loss, roc_auc_score

from tasks.config.errors import UserError
from tasks.evaluation.metrics import (
    METRICS,
    accuracy_contributions,
    auc_contributions,
    average_precision_contributions,
    balanced_accuracy_contributions,
    f1_contributions,
    log_loss_contributions,
)
from tasks.evaluation.predictions import (
    Predictions,
    correct_mean_predictions,
    correct_predictions,
    metric_contributions,
    predictions_of_split,
)
from tests.helpers.simulated_predictions import simulate_predictions, to_frame

# Three positive and two negative reviews; one negative ties with two of the positive.
LABELS = np.array([1, 0, 1, 0, 1], np.int8)
SCORES = np.array([0.9, 0.5, 0.5, 0.1, 0.5])


def small(accuracies=(0.8, 0.85), *, seeds=5, reviews=60):
    return simulate_predictions(list(accuracies), seeds=seeds, reviews=reviews, seed=3)


def uneven() -> Predictions:
    """Return two architectures, three seeds and two positive reviews; the second seed of the first one is missing."""
    probabilities = np.array(
        [[[0.9, 0.2], [np.nan, np.nan], [0.3, 0.4]], [[0.4, 0.9], [0.4, 0.9], [0.9, 0.1]]], np.float32
    )
    present = np.array([[True, False, True], [True, True, True]])
    return Predictions(
        ["a", "b"], [0, 1, 2], np.array(["r1", "r2"], object), np.ones(2, np.int8), probabilities, present
    )


def test_predictions_are_arranged_by_architecture_seed_and_review() -> None:
    rows = [
        ("b", 7, "z", 1, 0.1), ("b", 7, "a", 0, 0.2), ("a", 3, "a", 0, 0.3), ("a", 3, "z", 1, 0.4),
        ("a", 7, "z", 1, np.nan), ("a", 7, "a", 0, np.nan),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["architecture", "seed", "review_id", "label", "probability"])
    found = predictions_of_split(frame.assign(split="test"), "test")
    assert (found.architectures, found.seeds, found.review_ids.tolist()) == (["b", "a"], [3, 7], ["a", "z"])
    assert found.labels.tolist() == [0, 1]
    assert found.present.tolist() == [[False, True], [True, False]]
    np.testing.assert_allclose(found.probabilities[0, 1], [0.2, 0.1])
    np.testing.assert_allclose(found.probabilities[1, 0], [0.3, 0.4])
    assert np.isnan(found.probabilities[0, 0]).all()


def test_all_problems_are_reported_at_once() -> None:
    predictions = to_frame(small())
    predictions.loc[len(predictions) - 1, "probability"] = 1.5
    with pytest.raises(UserError, match=r"1 rows .* \[0, 1\].*1 trials"):
        predictions_of_split(predictions.drop(index=len(predictions) - 2), "test")
    with pytest.raises(UserError, match="validation"):
        predictions_of_split(predictions.query("split == 'test'"), "validation")


def test_each_kind_of_problem_is_reported() -> None:
    predictions = to_frame(small(seeds=2)).query("split == 'test'")
    first = predictions.index[0]
    for column, value, reason in (
        ("label", 2, "not 0 or 1"),
        ("label", 1 - predictions["label"].loc[first], "differs"),
    ):
        wrong = predictions.copy()
        wrong.loc[first, column] = value
        with pytest.raises(UserError, match=reason):
            predictions_of_split(wrong, "test")
    with pytest.raises(UserError, match="second prediction"):
        predictions_of_split(pd.concat([predictions, predictions.iloc[[0]]]), "test")


def test_probabilities_are_averaged_over_seeds() -> None:
    # By hand: a has means 0.6 and 0.3 over its two seeds; b has 0.567 and 0.633 over three.
    np.testing.assert_array_equal(correct_mean_predictions(uneven()), [[True, False], [True, True]])


def test_missing_trial_has_no_correct_prediction() -> None:
    assert not correct_predictions(replace(uneven(), labels=np.zeros(2, np.int8)))[0, 1].any()
    found = correct_predictions(uneven())
    assert not found[0, 1].any()
    np.testing.assert_array_equal(found[1], [[False, True], [False, True], [True, False]])


def test_mean_of_the_contributions_is_the_score() -> None:
    data = small()["test"]
    given = metric_contributions(data)
    scores = data.probabilities[1, 2].astype(float)
    assert given["auc"][1, 2].mean() == pytest.approx(roc_auc_score(data.labels, scores))
    assert given["f1"][1, 2].mean() == pytest.approx(f1_score(data.labels, scores > 0.5))
    assert given["log_loss"][1, 2].mean() == pytest.approx(log_loss(data.labels, scores))
    assert given["accuracy"][1, 2].mean() == pytest.approx(np.mean((scores > 0.5) == data.labels))


def test_accuracy_and_log_loss_by_hand() -> None:
    labels, scores = np.array([1, 1, 0], np.int8), np.array([[0.5, 0.75, 0.0], [1.0, 0.0, 1.0]])
    # A probability of exactly 0.5 is predicted as negative.
    np.testing.assert_array_equal(accuracy_contributions(labels, scores), [[0, 1, 1], [1, 0, 0]])
    found = log_loss_contributions(labels, scores)
    np.testing.assert_allclose(found[0], [np.log(2), np.log(4 / 3), 1e-7], atol=1e-9)
    np.testing.assert_allclose(found[1], [1e-7, 7 * np.log(10), 7 * np.log(10)], atol=1e-6)


def test_f1_by_hand() -> None:
    # One true positive, one false negative, one false positive: F1 = 2 / 4; predicted + label is 2, 1, 1, 0, mean 1.
    labels, scores = np.array([1, 1, 0, 0], np.int8), np.array([0.9, 0.2, 0.8, 0.1])
    np.testing.assert_allclose(f1_contributions(labels, scores), [1.5, 0, 0, 0.5])
    np.testing.assert_array_equal(f1_contributions(np.zeros(3, np.int8), np.full((2, 3), 0.1)), np.zeros((2, 3)))


def test_auc_by_hand() -> None:
    # Negatives below each positive: 1, 3/4, 3/4; positives above each negative: 2/3, 1. AUC 5/6.
    expected = 5 / 6 + np.array([1 / 6 / 0.6, -1 / 6 / 0.4, -1 / 12 / 0.6, 1 / 6 / 0.4, -1 / 12 / 0.6])
    np.testing.assert_allclose(auc_contributions(LABELS, SCORES), expected)


def delong_variance(labels: np.ndarray, scores: np.ndarray) -> float:
    """Compute the variance of one AUC as DeLong et al. 1988 write it, with sums over all pairs, divided by counts."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    wins = np.array([[float(x > y) + 0.5 * float(x == y) for y in negative] for x in positive])
    of_positive, of_negative = wins.mean(axis=1), wins.mean(axis=0)
    return of_positive.var() / len(positive) + of_negative.var() / len(negative)


def test_variance_of_the_auc_is_that_of_delong() -> None:
    rng = np.random.default_rng(0)
    for labels, scores in ((LABELS, SCORES), (np.arange(40) % 3 == 0, rng.integers(0, 9, 40) / 9)):
        given = auc_contributions(labels.astype(np.int8), scores)
        ours = np.square(given - given.mean()).sum() / len(labels) ** 2
        assert ours == pytest.approx(delong_variance(labels.astype(int), scores))


@pytest.mark.parametrize(
    ("contribute", "metric"),
    [(f1_contributions, lambda y, p, w: f1_score(y, p > 0.5, sample_weight=w)),
     (auc_contributions, lambda y, p, w: roc_auc_score(y, p, sample_weight=w)),
     (balanced_accuracy_contributions, lambda y, p, w: balanced_accuracy_score(y, p > 0.5, sample_weight=w)),
     (average_precision_contributions, lambda y, p, w: average_precision_score(y, p, sample_weight=w))],
)  # fmt: skip
def test_influence_is_the_derivative_by_the_weight_of_a_review(contribute, metric) -> None:
    rng = np.random.default_rng(1)
    labels, scores = rng.integers(0, 2, 30).astype(np.int8), rng.integers(0, 8, 30) / 8
    found, step = contribute(labels, scores), 1e-6
    for review in range(30):
        weights = np.ones(30)
        weights[review] += step
        slope = (metric(labels, scores, weights) - metric(labels, scores, None)) / step
        assert found[review] - found.mean() == pytest.approx(30 * slope, abs=1e-4)


def test_contributions_to_balanced_accuracy_match_hand_computation() -> None:
    # Recalls 1/3 and 1 (0.5 is negative). A positive review is 3/5 of the reviews: its influence is (correct - 1/3) / 2
    # / (3/5); negative reviews are all correct and have none.
    expected = 2 / 3 + np.array([(2 / 3) / 1.2, 0, (-1 / 3) / 1.2, 0, (-1 / 3) / 1.2])
    np.testing.assert_allclose(balanced_accuracy_contributions(LABELS, SCORES), expected)


def test_contributions_to_average_precision_match_hand_computation() -> None:
    # Precision 1 at the first review, 3/4 at the three that tie; AP = (1 + 2 * 3/4) / 3 = 5/6. The influence is 5/3 of:
    # the own precision minus AP (positive reviews only), plus the change of the precision of every positive review with
    # at most this probability: two of them with (label - 3/4) / 4, and the first review's own, (1 - 1) / 1.
    tied = 2 * (1 - 3 / 4) / 4
    expected = 5 / 6 + 5 / 3 * np.array(
        [1 - 5 / 6 + tied, 2 * (0 - 3 / 4) / 4, 3 / 4 - 5 / 6 + tied, 0, 3 / 4 - 5 / 6 + tied]
    )
    found = average_precision_contributions(LABELS, SCORES)
    np.testing.assert_allclose(found, expected)
    assert found.mean() == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ("contribute", "metric"),
    [(balanced_accuracy_contributions, lambda y, p: balanced_accuracy_score(y, p > 0.5)),
     (average_precision_contributions, average_precision_score)],
)  # fmt: skip
def test_variance_of_contributions_is_close_to_that_of_the_delete_one_jackknife(contribute, metric) -> None:
    rng = np.random.default_rng(2)
    labels = (np.arange(300) % 4 == 0).astype(np.int8)
    scores = np.round(1 / (1 + np.exp(-rng.normal(2 * labels - 1, 1.5))), 2)  # with ties
    found = contribute(labels, scores)
    kept = ~np.eye(300, dtype=bool)
    without = np.array([metric(labels[keep], scores[keep]) for keep in kept])
    jackknife = 299 / 300 * np.square(without - without.mean()).sum()
    assert np.square(found - found.mean()).sum() / 300**2 == pytest.approx(jackknife, rel=0.06)


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1, width=32)), min_size=1, max_size=30))
def test_contributions_of_arbitrary_predictions_average_to_the_score(rows: list[tuple[int, float]]) -> None:
    labels, scores = np.array([row[0] for row in rows], np.int8), np.array([row[1] for row in rows])
    defined = [m for m in METRICS.values() if m.contributions and (len(set(labels)) == 2 or not m.needs_both_classes)]
    for metric in defined:
        assert metric.contributions(labels, scores).mean() == pytest.approx(metric.score(labels, scores), abs=1e-9)


def test_only_requested_and_defined_metrics_are_computed() -> None:
    data = small(reviews=9)["test"]
    compared = ["accuracy", "f1", "auc", "balanced_accuracy", "average_precision", "log_loss"]
    assert list(metric_contributions(data)) == compared
    assert list(metric_contributions(data, ["auc"])) == ["auc"]
    one_class = replace(data, labels=np.ones_like(data.labels))
    assert list(metric_contributions(one_class)) == ["accuracy", "log_loss"]
    assert np.isnan(metric_contributions(uneven())["accuracy"][0, 1]).all()
