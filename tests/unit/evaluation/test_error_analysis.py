"""Slices, disagreement and confident errors, counted by hand."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from tasks.evaluation.error_analysis import assign_slices, confident_errors, disagreement_matrix, score_slices
from tasks.evaluation.predictions import predictions_of_split

LABELS = {"t1": 1, "t2": 0, "t3": 1, "t4": 0}
REVIEWS = pd.DataFrame(
    {
        "review_id": [*LABELS, "r1"],
        "split": ["test"] * 4 + ["train"],
        "text": ["fine", "not fine", "word " * 150, "<b>isn't</b> good", "fine"],
        "label": [1, 0, 1, 0, 1],
    }
)


@pytest.fixture
def two_architectures():
    """Return two architectures with one seed: a is wrong on t2 and t4, b on t4 only, with a high probability."""
    probabilities = {"a": [0.9, 0.6, 0.8, 0.7], "b": [0.6, 0.2, 0.9, 0.99]}
    rows = [
        {
            "architecture": name,
            "seed": 0,
            "split": "test",
            "review_id": id_,
            "label": LABELS[id_],
            "probability": p,
        }
        for name, values in probabilities.items()
        for id_, p in zip(LABELS, values, strict=True)
    ]
    return predictions_of_split(pd.DataFrame(rows), "test")


def test_reviews_are_assigned_to_slices() -> None:
    slices = assign_slices(REVIEWS)
    assert slices.sum().to_dict() == {
        "1 to 100 words": 3, "101 to 200 words": 1, "201 to 400 words": 0, "over 400 words": 0,
        "with negation": 2, "without negation": 2, "not in training": 3,
    }  # fmt: skip
    assert not slices.loc["t1", "not in training"]


def test_slices_are_scored_and_an_empty_slice_has_a_note(two_architectures) -> None:
    scores = score_slices(two_architectures, assign_slices(REVIEWS)).set_index(["architecture", "slice"])
    negated = scores.loc[("a", "with negation")]
    assert (negated["accuracy"], negated["reviews"], negated["rest_accuracy"]) == (0.0, 2, 1.0)
    assert (negated["low"], negated["high"]) == pytest.approx(proportion_confint(0, 2, method="wilson"))
    assert scores.loc[("b", "over 400 words"), "note"] != ""
    assert np.isnan(scores.loc[("b", "over 400 words"), "p"])
    assert np.isnan(scores.loc[("b", "over 400 words"), "accuracy"])


def test_disagreement_is_the_share_of_reviews_with_one_correct_architecture(two_architectures) -> None:
    shares = disagreement_matrix(two_architectures)
    assert shares.loc["a", "b"] == shares.loc["b", "a"] == 0.25
    assert shares.loc["a", "a"] == 0


def test_confident_errors_contain_the_text_without_escaping(two_architectures) -> None:
    found = confident_errors(two_architectures, REVIEWS)
    assert found["review_id"].tolist() == ["t4"]
    assert found["text"].tolist() == ["<b>isn't</b> good"]
    assert found["probability"].tolist() == pytest.approx([0.845])


def test_slices_are_scored_by_group() -> None:
    rng = np.random.default_rng(0)
    correct = (rng.random(400) < np.repeat(rng.beta(2, 1, 40), 10)).astype(np.float32)
    ids, slices = [f"t{number:03d}" for number in range(400)], pd.DataFrame({"first half": np.arange(400) < 200})
    rows = {"architecture": "a", "seed": 0, "split": "test", "review_id": ids, "label": 1, "probability": correct}
    slices.index, frame = ids, pd.DataFrame(rows)
    alone, grouped = (
        score_slices(predictions_of_split(table, "test"), slices).iloc[0]
        for table in (frame, frame.assign(cluster=np.arange(400) // 10))
    )
    assert alone["accuracy"] == grouped["accuracy"] == pytest.approx(correct[:200].mean())
    assert grouped["low"] < alone["low"] < alone["high"] < grouped["high"]
    assert alone["p"] < grouped["p"] <= 1


def test_slice_of_one_group_is_not_tested() -> None:
    ids = ["t0", "t1", "t2", "t3"]
    rows = {"architecture": "a", "seed": 0, "split": "test", "review_id": ids, "label": 1, "probability": [0, 1, 1, 1]}
    frame = pd.DataFrame(rows).assign(cluster=[0, 0, 1, 2])
    slices = pd.DataFrame({"one group": [True, True, False, False]}, index=ids)
    found = score_slices(predictions_of_split(frame, "test"), slices).iloc[0]
    assert (found["low"], found["high"], found["accuracy"]) == (0, 1, 0.5)
    assert np.isnan(found["p"]) == (found["note"] != "")
