"""Predictions and word influence of a predictor that can be computed by hand."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.inference.predictor import CalibratedModel, Predictor, RawPrediction, split_text
from tests.helpers.predictors import COUNTING_PREDICTOR, predict_by_counting


def test_word_influence_matches_hand_computation() -> None:
    influence = COUNTING_PREDICTOR.word_influence("Good, fine GOOD film!", 3)
    assert [word for word, _ in influence] == ["fine", "good", "good"]
    assert [change for _, change in influence] == pytest.approx([0.2, 0.1, 0.1])


def test_words_without_influence_are_left_out() -> None:
    assert COUNTING_PREDICTOR.word_influence("", 3) == []
    assert COUNTING_PREDICTOR.word_influence("film", 3) == []


def test_word_influence_returns_at_most_count_words() -> None:
    assert [word for word, _ in COUNTING_PREDICTOR.word_influence("good fine good", 1)] == ["fine"]


def test_only_the_last_words_of_a_long_text_are_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.inference.predictor.MAX_EXAMINED_WORDS", 2)
    assert COUNTING_PREDICTOR.word_influence("fine good film", 3) == [("good", pytest.approx(0.1))]


def test_label_is_positive_only_above_the_threshold() -> None:
    texts = ["good good"]  # probability 0.5
    assert COUNTING_PREDICTOR.predict(texts)["label"].tolist() == ["bad"]
    assert replace(COUNTING_PREDICTOR, threshold=0.4).predict(texts)["label"].tolist() == ["good"]


def test_temperature_divides_the_log_odds() -> None:
    predictor = Predictor([CalibratedModel("x", predict_by_counting, 2.0)], ("bad", "good"))
    log_odds = np.log(0.3 / 0.7)
    expected = 1 / (1 + np.exp(-log_odds / 2))
    assert predictor.predict(["film"])["probability"].tolist() == pytest.approx([expected])


def test_several_models_are_averaged_after_calibration() -> None:
    def predict_half(texts):
        return RawPrediction(np.full(len(texts), 0.5), np.ones(len(texts)))

    models = [CalibratedModel("a", predict_by_counting, 1.0), CalibratedModel("b", predict_half, 3.0)]
    predicted = Predictor(models, ("bad", "good")).predict(["good good good good", "film"])
    assert predicted["probability"].tolist() == pytest.approx([0.6, 0.4])
    assert predicted["label"].tolist() == ["good", "bad"]


@pytest.mark.parametrize(
    ("text", "tokenizer", "words"),
    [("Good, film", "words", ["good", "film"]), ("", "words", []), ("a b", "characters", ["a", "b"])],
)
def test_text_is_split_as_for_training(text: str, tokenizer: str, words: list[str]) -> None:
    assert split_text(text, tokenizer) == words
