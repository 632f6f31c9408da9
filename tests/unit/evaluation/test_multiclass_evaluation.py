"""Evaluation of predictions of more than two classes, compared with scikit-learn and numbers computed by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import confusion_matrix, log_loss

from tasks.config.errors import UserError
from tasks.evaluation.calibration import apply_temperature, calibrate, estimate_temperature, fit_temperature
from tasks.evaluation.error_analysis import confident_errors, disagreement_matrix
from tasks.evaluation.predictions import correct_mean_predictions, predictions_of_split
from tasks.evaluation.reliability import brier_score, expected_calibration_error, reliability_table
from tasks.evaluation.scores import class_keys, classification_reports, confusion_matrices, score_trials
from tasks.evaluation.trial_evaluation import evaluate_trial
from tasks.storage.probabilities import count_classes, probability_columns, probability_table, read_probabilities


def make_predictions(classes=3, reviews=60, seeds=(0,), sharpness=2.0, split="test", architecture="lstm"):
    """Return predictions that are right more often than by chance, and the same labels for every seed."""
    labels = np.arange(reviews) % classes
    parts = []
    for seed in seeds:
        rng = np.random.default_rng(100 * seed + len(architecture))
        scores = rng.normal(size=(reviews, classes)) + sharpness * (labels[:, None] == np.arange(classes))
        columns = {"architecture": architecture, "seed": seed, "split": split, "label": labels.astype(np.int8)}
        ids = [f"{split}-{number:05d}" for number in range(reviews)]
        probabilities = softmax(scores, axis=1).astype(np.float32)
        parts.append(pd.DataFrame(columns | {"review_id": ids} | probability_table(probabilities)))
    return pd.concat(parts, ignore_index=True)


def test_columns_of_probabilities_tell_the_number_of_classes():
    assert probability_columns(2) == ["probability"]
    assert [count_classes(probability_columns(classes)) for classes in (2, 3, 100)] == [2, 3, 100]
    for names in ("", "label", "probability_0", "probability_0 probability_1", "probability probability_2"):
        with pytest.raises(ValueError, match="no columns of the probabilities"):
            count_classes(names.split())
    values = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(read_probabilities(pd.DataFrame(probability_table(values))), values)


@pytest.mark.parametrize("classes", [3, 5, 40])
def test_scores_and_matrices_agree_with_scikit_learn(classes):
    frame = make_predictions(classes, 200, seeds=(0, 1))
    for seed in (0, 1):
        rows = frame[frame["seed"] == seed]
        labels, probabilities = rows["label"].to_numpy(), read_probabilities(rows)
        found = score_trials(rows).set_index("metric")["value"]
        assert found["accuracy"] == np.mean(labels == probabilities.argmax(axis=1))
        exact = probabilities / probabilities.sum(axis=1, keepdims=True, dtype=np.float64)
        assert found["log_loss"] == pytest.approx(log_loss(labels, exact), rel=1e-5)
        table = np.zeros((classes, classes), int)
        counts = confusion_matrices(frame).query("seed == @seed")
        table[counts["label"], counts["predicted"]] = counts["count"]
        np.testing.assert_array_equal(table, confusion_matrix(labels, probabilities.argmax(axis=1)))
    reports = classification_reports(frame)
    assert reports["class"].unique().tolist() == list(class_keys(classes))
    assert reports["support"].sum() == 400


def test_arrays_have_an_axis_of_classes_and_a_missing_trial_is_nan():
    frame = pd.concat([make_predictions(seeds=(0, 1)), make_predictions(seeds=(0,), architecture="gru")])
    found = predictions_of_split(frame, "test")
    assert (found.probabilities.shape, found.classes) == ((2, 2, 60, 3), 3)
    assert np.isnan(found.probabilities[1, 1]).all()
    mean = found.probabilities[0].mean(axis=0)
    np.testing.assert_array_equal(correct_mean_predictions(found)[0], mean.argmax(axis=1) == found.labels)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [("probability_1", 1.5, "not a number in"), ("label", 3, "label that is not in 0")],
)
def test_impossible_predictions_are_refused(column, value, said):
    frame = make_predictions()
    frame.loc[3, column] = value
    with pytest.raises(UserError, match=said):
        predictions_of_split(frame, "test")


def test_disagreement_and_confident_errors_by_hand():
    # The mean of the last one is highest for its true class, although both trials predict others.
    rows = [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.4, 0.5, 0.1]]
    probabilities, ids = np.array(rows, np.float32), list("abcd")
    base = {"seed": 0, "split": "test", "review_id": ids, "label": np.array([1, 1, 0, 0], np.int8)}
    frames = [
        pd.DataFrame({"architecture": name, **base, **probability_table(each)})
        for name, each in (("lstm", probabilities), ("gru", probabilities[:, [0, 2, 1]]))
    ]
    found = predictions_of_split(pd.concat(frames), "test")
    assert disagreement_matrix(found).loc["lstm", "gru"] == 3 / 4  # the same label of "a" only
    texts = pd.DataFrame({"review_id": ids, "split": "test", "text": list("wxyz")})
    errors = confident_errors(found, texts)
    columns = ["review_id", "label", "predicted", "text"]
    assert errors[columns].to_numpy().tolist() == [["a", 1, 0, "w"], ["c", 0, 1, "y"], ["d", 0, 1, "z"]]
    assert errors["probability"].tolist() == pytest.approx([0.7, 0.4, 0.3])


def test_brier_and_calibration_error_of_the_top_label_by_hand():
    labels = np.array([0, 1], np.int8)
    probabilities = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    assert brier_score(labels, probabilities) == pytest.approx((0.25 + 0.09 + 0.04 + 0.25 + 0.49 + 0.04) / 2)
    # The top label is right in one of two reviews, as predicted.
    assert expected_calibration_error(labels, probabilities) == pytest.approx(0)


def test_one_temperature_is_recovered_from_overconfident_probabilities():
    rng = np.random.default_rng(0)
    true = softmax(1.5 * rng.normal(size=(6_000, 4)), axis=1)
    labels = np.array([rng.choice(4, p=row) for row in true]).astype(np.int8)
    overconfident = apply_temperature(true, 0.5)
    assert fit_temperature(labels, overconfident) == pytest.approx(2, abs=0.15)
    np.testing.assert_allclose(apply_temperature(overconfident, 2), true, atol=1e-3)  # of clipping


@settings(max_examples=30)
@given(st.integers(3, 8), st.floats(0.1, 10), st.integers(0, 99))
def test_temperature_keeps_order_and_sum_of_probabilities(classes, temperature, seed):
    probabilities = softmax(3 * np.random.default_rng(seed).normal(size=(5, classes)), axis=1)
    scaled = apply_temperature(probabilities, temperature)
    np.testing.assert_allclose(scaled.sum(axis=1), 1)
    np.testing.assert_array_equal(scaled.argmax(axis=1), probabilities.argmax(axis=1))


def test_two_classes_as_two_columns_have_nearly_the_same_temperature():
    rng = np.random.default_rng(1)
    positive = rng.uniform(0.02, 0.98, 5_000)
    labels = (rng.random(5_000) < positive).astype(np.int8)
    overconfident = apply_temperature(positive, 0.6)
    two = estimate_temperature(labels, np.column_stack([1 - overconfident, overconfident]))
    assert two == pytest.approx(estimate_temperature(labels, overconfident), rel=0.01)


@pytest.mark.parametrize("classes", [3, 40])
def test_evaluation_of_a_trial_has_no_threshold_and_can_be_stored(classes):
    frame = pd.concat([make_predictions(classes, 240, split=split) for split in ("validation", "test")])
    evaluation = evaluate_trial("lstm", 0, frame)
    assert type(evaluation).model_validate_json(evaluation.model_dump_json()).scores == evaluation.scores
    (row,) = calibrate(frame).to_dict("records")
    assert np.isnan(row["threshold"])
    assert np.isnan(row["accuracy_threshold"])
    assert row["log_loss_scaled"] <= row["log_loss"] * 1.05
    bins = reliability_table(frame)
    assert bins["reviews"].sum() == 240
    assert (bins["predicted"] >= 1 / classes).all()
