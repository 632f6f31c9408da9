"""Metrics of more than two classes, compared with scikit-learn and with changes of the weight of a review."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from tasks.config.metric_names import DEFAULT_METRIC, IMBALANCED_METRIC, METRIC_NAMES
from tasks.evaluation.metrics import METRICS, predicted_labels
from tasks.evaluation.predictions import Predictions, correct_mean_predictions, metric_contributions

# Warnings of scikit-learn about classes that do not occur, and about clipped probabilities.
pytestmark = pytest.mark.filterwarnings(
    "ignore:y_pred contains classes not in y_true", "ignore:A single label was found", "ignore:The y_prob values"
)
COMPARED = {name: metric for name, metric in METRICS.items() if metric.contributions}


def sklearn_score(name: str, labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Compute a score by the multi-class or multi-label functions of scikit-learn, over the classes that occur."""
    present, predicted = np.unique(labels), probabilities.argmax(axis=1)
    one_hot, own = (labels[:, None] == present).astype(int), probabilities[:, present]
    macro = {"labels": present, "average": "macro", "zero_division": 0, "sample_weight": weights}
    clipped = np.clip(probabilities, 1e-7, 1 - 1e-7)
    return {
        "accuracy": lambda: accuracy_score(labels, predicted, sample_weight=weights),
        "balanced_accuracy": lambda: balanced_accuracy_score(labels, predicted, sample_weight=weights),
        "precision": lambda: precision_score(labels, predicted, **macro),
        "recall": lambda: recall_score(labels, predicted, **macro),
        "f1": lambda: f1_score(labels, predicted, **macro),
        "auc": lambda: roc_auc_score(one_hot, own, average="macro", sample_weight=weights),
        "average_precision": lambda: average_precision_score(one_hot, own, average="macro", sample_weight=weights),
        "log_loss": lambda: log_loss(labels, clipped, labels=range(probabilities.shape[1]), sample_weight=weights),
    }[name]()


@st.composite
def classified(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and probabilities with ties, absent classes, and now and then constant or certain predictions."""
    classes, reviews = draw(st.integers(3, 7)), draw(st.integers(2, 25))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=reviews, max_size=reviews))
    rows = 1 if draw(st.booleans()) and draw(st.booleans()) else reviews
    weights = st.lists(st.integers(0, 4), min_size=classes, max_size=classes).filter(any)
    table = np.array(draw(st.lists(weights, min_size=rows, max_size=rows)), float)
    table = np.broadcast_to(table / table.sum(axis=1, keepdims=True), (reviews, classes))
    return np.array(labels, np.int8), np.ascontiguousarray(table)


def example(classes: int, reviews: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of unequal frequency and probabilities with ties; the last class does not occur."""
    rng = np.random.default_rng(seed)
    labels = np.minimum(rng.geometric(0.4, reviews) - 1, classes - 2).astype(np.int8)
    weights = (
        rng.integers(1, 6, (reviews, classes)) + 6.0 * rng.integers(0, 2, reviews)[:, None] * np.eye(classes)[labels]
    )
    return labels, weights / weights.sum(axis=1, keepdims=True)


@given(classified())
def test_scores_are_those_of_scikit_learn(data: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = data
    several = len(np.unique(labels)) > 1
    for name, metric in METRICS.items():
        if several or name != "auc":
            found = metric.score(labels, probabilities, classes=probabilities.shape[1])
            # The clipped probabilities of certain predictions do not add up to 1.
            tolerance = 1e-12 if name != "log_loss" or (probabilities > 0).all() else 1e-6
            assert found == pytest.approx(sklearn_score(name, labels, probabilities), abs=tolerance)


@given(classified())
def test_contributions_have_one_value_for_each_review_and_average_to_the_score(
    data: tuple[np.ndarray, np.ndarray],
) -> None:
    labels, probabilities = data
    classes = probabilities.shape[1]
    trials = np.stack([probabilities, probabilities[::-1]])[None]
    for metric in COMPARED.values():
        if metric.is_defined(labels):
            found = metric.contributions(labels, trials, classes=classes)
            assert found.shape == (1, 2, len(labels))
            expected = [metric.score(labels, trial, classes=classes) for trial in trials[0]]
            assert found.mean(axis=-1)[0] == pytest.approx(expected, abs=1e-12)


@given(classified(), st.randoms(use_true_random=False))
def test_order_of_the_classes_does_not_matter(data: tuple[np.ndarray, np.ndarray], random) -> None:
    labels, probabilities = data
    ties = np.arange(probabilities.shape[1]) * 1e-9  # of equal ones, the first class is predicted
    probabilities = (probabilities + ties) / (1 + ties.sum())
    order = list(range(probabilities.shape[1]))
    random.shuffle(order)
    renamed = np.array([order.index(value) for value in labels])
    for metric in METRICS.values():
        if metric.is_defined(labels):
            before = metric.score(labels, probabilities, classes=len(order))
            assert metric.score(renamed, probabilities[:, order], classes=len(order)) == pytest.approx(before)


@pytest.mark.parametrize("name", COMPARED)
def test_influence_is_the_derivative_by_the_weight_of_a_review(name: str) -> None:
    labels, probabilities = example(5, 40)
    found, step = COMPARED[name].contributions(labels, probabilities, classes=5), 1e-6
    before = sklearn_score(name, labels, probabilities, np.ones(40))
    for review in range(40):
        weights = np.ones(40)
        weights[review] += step
        slope = (sklearn_score(name, labels, probabilities, weights) - before) / step
        assert found[review] - found.mean() == pytest.approx(40 * slope, abs=1e-4)


@pytest.mark.parametrize("name", COMPARED)
def test_variance_of_contributions_is_close_to_that_of_the_delete_one_jackknife(name: str) -> None:
    labels, probabilities = example(4, 400)
    found, kept = COMPARED[name].contributions(labels, probabilities, classes=4), ~np.eye(400, dtype=bool)
    without = np.array([COMPARED[name].score(labels[keep], probabilities[keep], classes=4) for keep in kept])
    jackknife = 399 / 400 * np.square(without - without.mean()).sum()
    assert np.square(found - found.mean()).sum() / 400**2 == pytest.approx(jackknife, rel=0.06)


def test_macro_scores_match_hand_computation() -> None:
    # The predictions are 0, 1, 1, 0 for the labels 0, 0, 1, 2; of equal probabilities the first class counts.
    labels = np.array([0, 0, 1, 2])
    probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.2, 0.4, 0.4], [0.5, 0.1, 0.4]])
    assert predicted_labels(probabilities, classes=3).tolist() == [0, 1, 1, 0]
    expected = {
        "accuracy": 2 / 4,
        "balanced_accuracy": (1 / 2 + 1 + 0) / 3,
        "precision": (1 / 2 + 1 / 2 + 0) / 3,
        "recall": (1 / 2 + 1 + 0) / 3,
        "f1": (1 / 2 + 2 / 3 + 0) / 3,
        # Class 0: of 2 * 2 pairs 1.0 + 0.5 (against 0.2, 0.5) and 0.5 + 0; class 1: 2 of 3; class 2: 2.5 of 3.
        "auc": (2.5 / 4 + 2 / 3 + 2.5 / 3) / 3,
        # Class 0: precision 1 at 0.6, then 2 / 4 at 0.2; class 1: 1 / 2 at 0.4; class 2: 1 / 2 at 0.4.
        "average_precision": (3 / 4 + 1 / 2 + 1 / 2) / 3,
        "log_loss": -np.log([0.6, 0.2, 0.4, 0.4]).mean(),
    }
    found = {name: metric.score(labels, probabilities, classes=3) for name, metric in METRICS.items()}
    assert found == pytest.approx(expected)


def test_constant_predictions_have_the_scores_of_chance() -> None:
    labels, constant = np.array([0, 0, 0, 1, 2, 2], np.int8), np.tile([0.5, 0.2, 0.3], (6, 1))
    fixed = {name for name, metric in METRICS.items() if metric.is_fixed_if_constant}
    scores = {name: METRICS[name].score(labels, constant, classes=3) for name in fixed}
    assert scores == pytest.approx({"auc": 1 / 2, "balanced_accuracy": 1 / 3})
    for name in fixed:
        assert METRICS[name].contributions(labels, constant, classes=3).mean() == pytest.approx(scores[name])


def test_a_hundred_classes_are_scored() -> None:
    labels, probabilities = example(100, 600)
    for name, metric in COMPARED.items():
        found = metric.contributions(labels, probabilities, classes=100).mean()
        assert found == pytest.approx(sklearn_score(name, labels, probabilities), abs=1e-12)


def test_arrays_of_several_classes_are_scored_by_trial() -> None:
    labels, probabilities = example(3, 30)
    trials = np.stack([probabilities, probabilities[::-1]])[None].astype(np.float32)
    trials = np.concatenate([trials, np.full_like(trials, np.nan)])
    trials[1, 1] = probabilities
    present = np.array([[True, True], [False, True]])
    data = Predictions(["a", "b"], [0, 1], np.arange(30).astype(str).astype(object), labels, trials, present)
    assert data.classes == 3
    found = metric_contributions(data)
    assert list(found) == list(COMPARED)
    for name, values in found.items():
        assert values.shape == (2, 2, 30)
        assert np.isnan(values[1, 0]).all()
        expected = METRICS[name].score(labels, trials[0, 1].astype(float), classes=3)
        assert values[0, 1].mean() == pytest.approx(expected)
    expected = (trials[0].mean(axis=0).argmax(axis=1), trials[1, 1].argmax(axis=1))
    np.testing.assert_array_equal(correct_mean_predictions(data), np.array(expected) == labels)


def test_every_metric_that_can_be_selected_is_registered_with_contributions() -> None:
    assert set(METRIC_NAMES) == set(COMPARED)
    assert {DEFAULT_METRIC, IMBALANCED_METRIC} <= set(METRIC_NAMES)
    assert all(metric.name == name and metric.label for name, metric in METRICS.items())
