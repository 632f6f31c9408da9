"""Scores of trials, compared with numbers computed by hand."""

import numpy as np
import pandas as pd
import pytest

from tasks.evaluation import metrics, scores
from tasks.evaluation.metrics import METRICS
from tests.helpers import synthetic

# By hand: 2 true positives, 1 false positive, 1 false negative, 3 true negatives.
LABELS = np.array([1, 1, 1, 0, 0, 0, 0], dtype=np.int8)
PROBABILITIES = np.array([0.9, 0.8, 0.3, 0.6, 0.2, 0.1, 0.4], dtype=np.float32)


def predictions(architecture: str = "lstm", seed: int = 0, split: str = "test", **columns: object) -> pd.DataFrame:
    ids = [str(number) for number in range(len(LABELS))]
    trial = {"architecture": architecture, "seed": seed, "split": split, "review_id": ids}
    return pd.DataFrame(trial | {"label": LABELS, "probability": PROBABILITIES} | columns)


def test_metrics_by_hand():
    expected = {"accuracy": 5 / 7, "precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "auc": 10 / 12}
    true_class_probabilities = [0.9, 0.8, 0.3, 0.4, 0.8, 0.9, 0.6]
    expected["log_loss"] = -np.mean(np.log(true_class_probabilities))
    expected["balanced_accuracy"] = (2 / 3 + 3 / 4) / 2
    expected["average_precision"] = (1 + 1 + 3 / 5) / 3  # the positive reviews rank first, second and fifth
    found = {name: metric.score(LABELS, PROBABILITIES) for name, metric in METRICS.items()}
    assert found == pytest.approx(expected, abs=1e-6)


def test_weight_of_a_review_equals_its_repetition_in_the_loss():
    repeated = metrics.log_loss(np.array([1, 1, 1, 0]), np.array([0.3, 0.3, 0.3, 0.2]))
    weighted = metrics.log_loss(np.array([1, 0]), np.array([0.3, 0.2]), np.array([3.0, 1.0]))
    assert weighted == pytest.approx(repeated)


def test_constant_prediction_has_chance_level_scores():
    labels = np.array([1, 0, 0, 0], dtype=np.int8)
    assert metrics.balanced_accuracy(labels, np.zeros(4)) == 0.5
    assert metrics.average_precision(labels, np.full(4, 0.25)) == 0.25
    assert np.isnan(metrics.average_precision(np.zeros(4, dtype=np.int8), np.full(4, 0.25)))


def test_loss_of_a_certain_wrong_prediction_is_finite():
    assert metrics.log_loss(np.array([1, 0]), np.array([0.0, 0.0])) == pytest.approx(-np.log(1e-7) / 2, abs=1e-3)


def test_auc_is_nan_if_all_labels_are_equal():
    found = scores.score_trials(predictions(label=np.ones(7, dtype=np.int8))).set_index("metric")["value"]
    assert np.isnan(found["auc"])
    assert found["accuracy"] == pytest.approx(3 / 7)


def test_nan_probabilities_raise_with_the_trial():
    with pytest.raises(ValueError, match=r"7 probabilities .* lstm/0/test"):
        scores.score_trials(predictions(probability=np.full(7, np.nan)))


def test_confusion_matrix_contains_zero_counts():
    found = scores.confusion_matrices(predictions())
    assert found[["label", "predicted", "count"]].to_numpy().tolist() == [[0, 0, 3], [0, 1, 1], [1, 0, 1], [1, 1, 2]]
    never_positive = scores.confusion_matrices(predictions(probability=np.zeros(7)))
    assert never_positive["count"].tolist() == [4, 0, 3, 0]


def test_scores_per_class_by_hand():
    found = scores.classification_reports(predictions()).set_index("class")
    assert found.loc["negative", ["precision", "recall", "support"]].tolist() == pytest.approx([3 / 4, 3 / 4, 4])
    assert found.loc["positive", ["precision", "recall", "support"]].tolist() == pytest.approx([2 / 3, 2 / 3, 3])


def test_number_of_reviews_of_a_class_is_an_integer_if_no_prediction_is_correct():
    found = scores.classification_reports(predictions(probability=1 - LABELS.astype(float)))
    assert found["support"].dtype == np.int64
    assert found["support"].tolist() == [4, 3]


def test_gap_is_that_of_the_best_epoch():
    history = pd.DataFrame(
        [("lstm", 3, epoch, split, 0.1 * epoch, 0.5 + 0.1 * epoch * (2 if split == "train" else 1))
         for epoch in (1, 2) for split in ("train", "validation")],
        columns=["architecture", "seed", "epoch", "split", "loss", "accuracy"],
    )  # fmt: skip
    trials = pd.DataFrame({"architecture": ["lstm"], "seed": [3], "best_epoch": [2]})
    gap = scores.generalization_gaps(history, trials).iloc[0]
    assert [gap["train_accuracy"], gap["validation_accuracy"], gap["accuracy_gap"]] == pytest.approx([0.9, 0.7, 0.2])


def test_ranking_is_by_validation_then_by_parameters():
    rows = [
        ("big", 0, "validation", 0.9), ("small", 0, "validation", 0.9), ("tester", 0, "validation", 0.8),
        ("tester", 0, "test", 0.99), ("big", 0, "test", 0.5), ("small", 0, "test", 0.4),
    ]  # fmt: skip
    given = pd.DataFrame(rows, columns=["architecture", "seed", "split", "value"]).assign(metric="accuracy")
    trials = pd.DataFrame({"architecture": ["big", "small", "tester"], "parameters": [9, 2, 1]})
    assert scores.rank_by_validation(given, trials)["architecture"].tolist() == ["small", "big", "tester"]
    assert scores.rank_by_validation(given[given["split"] == "test"], trials).empty


def test_every_trial_split_and_metric_has_one_score():
    frames = synthetic.make_frames(reviews=40, seeds=2)
    expected = 5 * 2 * 2 * len(METRICS)
    assert len(frames["scores"].drop_duplicates(["architecture", "seed", "split", "metric"])) == expected
