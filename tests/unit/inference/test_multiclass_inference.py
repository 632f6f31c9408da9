"""Predictions, files and ONNX models of more than two classes."""

import json

import numpy as np
import onnx
import pandas as pd
import pytest

from flows.cli.predict import format_json, format_text
from tasks.config.errors import UserError
from tasks.config.recipe import Recipe
from tasks.evaluation.calibration import apply_temperature
from tasks.inference.model_card import ModelCard
from tasks.inference.onnx import onnx_model
from tasks.inference.predictor import CalibratedModel, Predictor, RawPrediction, check_threshold, prediction_columns
from tasks.inference.score_files import score_file
from tasks.inference.selection import ModelSelection
from tasks.models.registry import ARCHITECTURES
from tests.helpers.predictors import run_onnx_model

TINY = Recipe(vocabulary_size=11, embedding_size=5, units=3)
CLASSES = ("bad", "good, so", "良い")
CARD = {
    "name": "lstm-seed-0-0", "architecture": "lstm", "recipe": TINY.model_dump(), "classes": CLASSES,
    "temperature": 1.0, "threshold": None, "accuracy": 0.5,
}  # fmt: skip


def count_words(texts):
    """Predict 0.4, 0.3 and 0.3, and 0.1 more of class 1 and less of class 0 for each `good`."""
    goods = np.array([min(text.split().count("good"), 4) / 10 for text in texts])
    return RawPrediction(np.column_stack([0.4 - goods, 0.3 + goods, np.full(len(texts), 0.3)]), np.zeros(len(texts)))


PREDICTOR = Predictor([CalibratedModel("counting", count_words, 1.0)], CLASSES)


@pytest.mark.parametrize("name", list(ARCHITECTURES))
@pytest.mark.parametrize("classes", [3, 40])
def test_onnx_probabilities_equal_those_of_keras(name, classes):
    rng, model = np.random.default_rng(0), ARCHITECTURES[name](TINY, classes)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    content = onnx_model(model, 1.3)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    token_ids = rng.integers(1, TINY.vocabulary_size, (6, 9))
    logits = np.asarray(model(token_ids.astype(np.int32)), np.float64)
    raw = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = apply_temperature(raw / raw.sum(axis=1, keepdims=True), 1.3)
    probabilities = run_onnx_model(content, token_ids)
    assert probabilities.shape == (6, classes)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


def test_predictions_have_a_column_for_each_class():
    found = PREDICTOR.predict(["a film", "good good film"])
    assert list(found) == prediction_columns(CLASSES)
    assert found["label"].tolist() == ["bad", "good, so"]
    assert found["probability"].tolist() == pytest.approx([0.4, 0.5])
    np.testing.assert_allclose(found.filter(like="probability_").sum(axis=1), 1)


def test_word_influence_is_on_the_predicted_label():
    assert PREDICTOR.word_influence("good good good film", 1) == [("good", pytest.approx(0.1))]


def test_json_names_the_classes():
    (row,) = PREDICTOR.predict(["good good"]).to_dict("records")
    found = json.loads(format_json("good good", row, [], CLASSES))
    assert list(found) == ["text", "label", "probability", "unknown", "probabilities"]
    assert found["probabilities"] == pytest.approx({"bad": 0.2, "good, so": 0.5, "良い": 0.3})
    assert found["probability"] == found["probabilities"][found["label"]]
    assert format_text("good good", row, [], CLASSES).startswith("good, so  P(good, so) = 0.500")
    two = json.loads(format_json("x", {"label": "a", "probability": 0.25, "unknown": 0.0}, [], ("a", "b")))
    assert two["probabilities"] == {"a": 0.75, "b": 0.25}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_file_has_a_column_for_each_class(tmp_path, ending):
    pd.DataFrame({"text": ["good good", " ", "film"]}).to_csv(tmp_path / "in.csv", index=False)
    output = tmp_path / f"out.{ending}"
    assert score_file(PREDICTOR, tmp_path / "in.csv", output) == {"good, so": 1, "no text": 1, "bad": 1}
    found = pd.read_csv(output) if ending == "csv" else pd.read_parquet(output)
    assert list(found) == ["place", "text", *prediction_columns(CLASSES)]
    np.testing.assert_allclose(found["probability_良い"], [0.3, np.nan, 0.3], atol=1e-9)
    with pytest.raises(UserError, match="probability_bad"):
        score_file(PREDICTOR, tmp_path / "in.csv", output, keep=("probability_bad",))


def test_threshold_is_refused_for_more_than_two_classes():
    check_threshold(ModelSelection(), CLASSES)
    check_threshold(ModelSelection(threshold=0.7), ("a", "b"))
    with pytest.raises(UserError, match="3 classes"):
        check_threshold(ModelSelection(threshold=0.7), CLASSES)


def test_card_of_an_older_version_has_its_accuracy_as_validation_score():
    assert ModelCard.model_validate(CARD).validation_score == 0.5
    assert ModelCard.model_validate(CARD | {"metric": "log_loss", "score": 0.0}).validation_score == 0


@pytest.mark.parametrize("changes", [{"threshold": 0.5}, {"classes": ("a", "b")}, {"classes": ("a",)}])
def test_card_has_a_threshold_for_two_classes_only(changes):
    assert ModelCard.model_validate(CARD).classes == CLASSES
    with pytest.raises(ValueError, match=r"threshold|classes"):
        ModelCard.model_validate(CARD | changes)
