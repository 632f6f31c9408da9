"""Scores by hand, and what they come to over the seeds."""

import numpy as np
import pandas as pd
import pytest

from tasks.evaluation import metrics, scores
from tasks.evaluation.metrics import METRICS
from tests.helpers import synthetic

# By hand: 2 true positives, 1 false positive, 1 false negative, 3 true negatives.
LABELS = np.array([1, 1, 1, 0, 0, 0, 0], dtype=np.int8)
PROBABILITIES = np.array([0.9, 0.8, 0.3, 0.6, 0.2, 0.1, 0.4], dtype=np.float32)


def predictions(architecture: str = "lstm", seed: int = 0, split: str = "test", **changed: object) -> pd.DataFrame:
    ids = [str(number) for number in range(len(LABELS))]
    own = {"architecture": architecture, "seed": seed, "split": split, "review_id": ids}
    return pd.DataFrame(own | {"label": LABELS, "probability": PROBABILITIES} | changed)


def test_metrics_by_hand():
    expected = {"accuracy": 5 / 7, "precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "auc": 10 / 12}
    chances = [0.9, 0.8, 0.3, 0.4, 0.8, 0.9, 0.6]
    expected["log_loss"] = -np.mean(np.log(chances))
    expected["balanced_accuracy"] = (2 / 3 + 3 / 4) / 2
    expected["average_precision"] = (1 + 1 + 3 / 5) / 3  # the positives stand first, second and fifth
    found = {name: metric.score(LABELS, PROBABILITIES) for name, metric in METRICS.items()}
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_weighted_loss_counts_a_review_as_often_as_its_weight_says():
    thrice = metrics.log_loss(np.array([1, 1, 1, 0]), np.array([0.3, 0.3, 0.3, 0.2]))
    found = metrics.log_loss(np.array([1, 0]), np.array([0.3, 0.2]), np.array([3.0, 1.0]))
    assert found == pytest.approx(thrice)


def test_knowing_nothing_is_one_half_of_balanced_accuracy_and_the_share_of_average_precision():
    labels = np.array([1, 0, 0, 0], dtype=np.int8)
    assert metrics.balanced_accuracy(labels, np.zeros(4)) == 0.5
    assert metrics.average_precision(labels, np.full(4, 0.25)) == 0.25
    assert np.isnan(metrics.average_precision(np.zeros(4, dtype=np.int8), np.full(4, 0.25)))


def test_certain_and_wrong_costs_a_finite_loss():
    assert metrics.log_loss(np.array([1, 0]), np.array([0.0, 0.0])) == pytest.approx(-np.log(1e-7) / 2, abs=1e-3)


def test_one_class_has_no_auc_but_an_accuracy():
    found = scores.evaluate(predictions(label=np.ones(7, dtype=np.int8))).set_index("metric")["value"]
    assert np.isnan(found["auc"])
    assert found["accuracy"] == pytest.approx(3 / 7)


def test_probabilities_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"7 probabilities .* lstm/0/test"):
        scores.evaluate(predictions(probability=np.full(7, np.nan)))


def test_confusion_counts_also_what_never_happened():
    found = scores.confusion_matrices(predictions())
    assert found[["label", "predicted", "count"]].to_numpy().tolist() == [[0, 0, 3], [0, 1, 1], [1, 0, 1], [1, 1, 2]]
    silent = scores.confusion_matrices(predictions(probability=np.zeros(7)))
    assert silent["count"].tolist() == [4, 0, 3, 0]


def test_report_per_class_by_hand():
    found = scores.classification_reports(predictions()).set_index("class")
    assert found.loc["negative", ["precision", "recall", "support"]].tolist() == pytest.approx([3 / 4, 3 / 4, 4])
    assert found.loc["positive", ["precision", "recall", "support"]].tolist() == pytest.approx([2 / 3, 2 / 3, 3])


def test_gap_is_taken_at_the_epoch_whose_weights_are_kept():
    history = pd.DataFrame(
        [("lstm", 3, epoch, split, 0.1 * epoch, 0.5 + 0.1 * epoch * (2 if split == "train" else 1))
         for epoch in (1, 2) for split in ("train", "validation")],
        columns=["architecture", "seed", "epoch", "split", "loss", "accuracy"],
    )  # fmt: skip
    trials = pd.DataFrame({"architecture": ["lstm"], "seed": [3], "best_epoch": [2]})
    gap = scores.generalisation_gaps(history, trials).iloc[0]
    assert [gap["train_accuracy"], gap["validation_accuracy"], gap["accuracy_gap"]] == pytest.approx([0.9, 0.7, 0.2])


def test_best_is_by_validation_and_then_by_size():
    rows = [
        ("big", 0, "validation", 0.9), ("small", 0, "validation", 0.9), ("tester", 0, "validation", 0.8),
        ("tester", 0, "test", 0.99), ("big", 0, "test", 0.5), ("small", 0, "test", 0.4),
    ]  # fmt: skip
    given = pd.DataFrame(rows, columns=["architecture", "seed", "split", "value"]).assign(metric="accuracy")
    trials = pd.DataFrame({"architecture": ["big", "small", "tester"], "parameters": [9, 2, 1]})
    assert scores.rank_by_validation(given, trials)["architecture"].tolist() == ["small", "big", "tester"]
    assert scores.rank_by_validation(given[given["split"] == "test"], trials).empty


def test_every_trial_split_and_metric_has_one_score():
    frames = synthetic.frames(reviews=40, seeds=2)
    expected = 5 * 2 * 2 * len(METRICS)
    assert len(frames["scores"].drop_duplicates(["architecture", "seed", "split", "metric"])) == expected
