"""Scores on slices in any metric: counted by hand, and the same as those of scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, roc_auc_score

from tasks.config.metric_names import METRIC_NAMES
from tasks.evaluation.error_analysis import score_slices
from tasks.evaluation.metrics import METRICS
from tasks.evaluation.predictions import Predictions, predictions_of_split
from tasks.statistics.slice_scores import slice_scores


def make_predictions(reviews: int = 400, *, groups: bool = False, seed: int = 0) -> Predictions:
    """Return two seeds of an architecture that is right on three of four reviews, a quarter of which are positive."""
    rng = np.random.default_rng(seed)
    labels, tables = (np.arange(reviews) % 4 == 0).astype(int), []
    for number in range(2):
        chance = 1 / (1 + np.exp(-(2 * labels - 1) - rng.standard_normal(reviews)))
        columns = {"review_id": [f"t{each:04d}" for each in range(reviews)], "label": labels, "probability": chance}
        tables.append(pd.DataFrame({"architecture": "lstm", "seed": number, "split": "test"} | columns))
    frame = pd.concat(tables)
    clusters = np.tile(np.arange(reviews) // 8, 2)
    return predictions_of_split(frame.assign(cluster=clusters) if groups else frame, "test")


def make_slice(predictions: Predictions, inside: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"own": inside}, index=predictions.review_ids)


@pytest.mark.parametrize(
    ("metric", "score"),
    [
        ("balanced_accuracy", lambda y, p: balanced_accuracy_score(y, p > 0.5)),
        ("f1", lambda y, p: f1_score(y, p > 0.5)),
        ("auc", roc_auc_score),
        ("log_loss", log_loss),
    ],
)
def test_score_of_a_slice_is_that_of_its_reviews(metric: str, score) -> None:
    predictions = make_predictions()
    inside, means = np.arange(400) < 120, predictions.probabilities[0].mean(axis=0, dtype=float)
    row = slice_scores(predictions, make_slice(predictions, inside), METRICS[metric]).iloc[0]
    assert row["score"] == pytest.approx(score(predictions.labels[inside], means[inside]))
    assert row["rest_score"] == pytest.approx(score(predictions.labels[~inside], means[~inside]))
    assert 0 <= row["low"] < row["score"] < row["high"]
    assert (row["reviews"], row["note"]) == (120, "")
    assert 0 < row["p"] == row["p_adjusted"] <= 1


def test_accuracy_agrees_with_counted_proportions() -> None:
    predictions = make_predictions()
    slices = make_slice(predictions, np.arange(400) < 120)
    found = slice_scores(predictions, slices, METRICS["accuracy"]).iloc[0]
    counted = score_slices(predictions, slices).iloc[0]
    assert (found["score"], found["rest_score"]) == pytest.approx((counted["accuracy"], counted["rest_accuracy"]))
    assert (found["low"], found["high"]) == pytest.approx((counted["low"], counted["high"]), abs=0.005)


@pytest.mark.parametrize("metric", METRIC_NAMES)
@pytest.mark.parametrize("groups", [False, True])
def test_slices_without_a_comparison_have_a_note(metric: str, groups: bool) -> None:
    predictions = make_predictions(groups=groups)
    everything = np.ones(400, dtype=bool)
    slices = pd.DataFrame(
        {"empty": ~everything, "all": everything, "negative": predictions.labels == 0}, index=predictions.review_ids
    )
    found = slice_scores(predictions, slices, METRICS[metric]).set_index("slice")
    assert (found.loc[["empty", "all"], "note"] != "").all()
    assert found.loc[["empty", "all"], "p"].isna().all()
    assert np.isnan(found.loc["empty", "score"])
    assert np.isfinite(found.loc["all", "score"])
    assert np.isnan(found.loc["negative", "score"]) == METRICS[metric].needs_both_classes
    assert np.isnan(found.loc["negative", "p"]) == (found.loc["negative", "note"] != "")


def test_equal_parts_are_rarely_different_and_a_worse_part_is() -> None:
    p_values = []
    for seed in range(60):
        predictions = make_predictions(seed=seed)
        inside = np.random.default_rng(seed).permutation(400) < 120
        p_values.append(slice_scores(predictions, make_slice(predictions, inside), METRICS["auc"])["p"].iloc[0])
    assert np.mean(np.array(p_values) < 0.05) <= 0.12
    predictions.probabilities[..., inside] = 1 - predictions.probabilities[..., inside]
    row = slice_scores(predictions, make_slice(predictions, inside), METRICS["auc"]).iloc[0]
    assert row["score"] < row["rest_score"]
    assert row["p"] < 1e-6
