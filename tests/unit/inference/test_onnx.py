"""ONNX models: a runtime without this project computes the same probabilities as Keras."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tasks.config.errors import UserError
from tasks.config.recipe import Recipe
from tasks.evaluation.calibration import apply_temperature
from tasks.inference.exported_model import check_export
from tasks.inference.onnx import onnx_model
from tasks.models.registry import ARCHITECTURES
from tests.helpers.predictors import run_onnx_model

if TYPE_CHECKING:  # importing Keras takes seconds, also in processes that run none of these tests
    import keras

TINY = Recipe(vocabulary_size=11, embedding_size=5, units=3)
TEMPERATURE = 1.3
# The second row has one token and the last row has none; the others are padding.
TOKEN_IDS = np.array([[5, 6, 7, 8, 9, 10, 2], [4, 0, 0, 0, 0, 0, 0], [4, 1, 10, 2, 3, 0, 0], [0] * 7])

each_architecture = pytest.mark.parametrize("name", list(ARCHITECTURES))


def make_network(name: str) -> "keras.Model":
    """Build a network with random weights: untrained biases are zero, which would hide a wrong order."""
    rng, model = np.random.default_rng(0), ARCHITECTURES[name](TINY)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    return model


def predict_with_keras(model: "keras.Model", token_ids: np.ndarray) -> np.ndarray:
    logits = np.asarray(model(token_ids.astype(np.int32)), np.float64)[:, 0]
    return apply_temperature(1 / (1 + np.exp(-logits)), TEMPERATURE)


def make_token_ids(reviews: int, width: int) -> np.ndarray:
    """Make reviews of 0 to `width` tokens, padded on the right."""
    rng = np.random.default_rng(width)
    token_ids = rng.integers(1, TINY.vocabulary_size, (reviews, width))
    token_ids[np.arange(width) >= rng.integers(0, width + 1, (reviews, 1))] = 0
    return token_ids


@each_architecture
def test_probabilities_equal_those_of_keras(name: str) -> None:
    model = make_network(name)
    content = onnx_model(model, TEMPERATURE)
    random = [make_token_ids(9, width) for width in (1, 7, 50)]
    for token_ids in (TOKEN_IDS, TOKEN_IDS[::-1], TOKEN_IDS[:1], TOKEN_IDS[-1:], *random):
        probabilities = run_onnx_model(content, token_ids)
        assert probabilities.shape == (len(token_ids),)
        np.testing.assert_allclose(probabilities, predict_with_keras(model, token_ids), atol=1e-5)
    assert np.ptp(run_onnx_model(content, TOKEN_IDS)) > 0.01


@each_architecture
def test_model_is_valid_and_reproducible(name: str) -> None:
    import onnx

    model = make_network(name)
    content = onnx_model(model, TEMPERATURE)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    assert onnx_model(model, TEMPERATURE) == content


@each_architecture
def test_models_trained_on_a_gpu_give_the_same_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = onnx_model(make_network(name), TEMPERATURE)
    monkeypatch.setattr("tasks.models.registry.on_gpu", lambda: True)
    assert onnx_model(make_network(name), TEMPERATURE) == content


def test_padding_has_no_effect() -> None:
    content = onnx_model(make_network("bidirectional_lstm"), TEMPERATURE)
    wider = np.pad(TOKEN_IDS, ((0, 0), (0, 4)))
    np.testing.assert_allclose(run_onnx_model(content, wider), run_onnx_model(content, TOKEN_IDS), atol=1e-6)


def test_probabilities_are_clipped_like_predictions() -> None:
    model = make_network("lstm")
    model.layers[-1].bias.assign([100.0])
    probabilities = run_onnx_model(onnx_model(model, 5.0), TOKEN_IDS)
    np.testing.assert_allclose(probabilities, apply_temperature(np.ones(4), 5.0), atol=1e-5)


def test_logit_is_the_log_odds_before_calibration() -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx_model(make_network("lstm"), TEMPERATURE))
    logits, probabilities = session.run(["logit", "probability"], {"token_ids": TOKEN_IDS})
    np.testing.assert_allclose(1 / (1 + np.exp(-logits / TEMPERATURE)), probabilities, atol=1e-6)
    assert np.ptp(logits) > 0.01


def test_unsupported_layer_is_named() -> None:
    from tests.helpers.own_models import cnn

    with pytest.raises(ValueError, match=r"Conv1D.*FastLSTM"):
        onnx_model(cnn(TINY), TEMPERATURE)


@pytest.mark.parametrize(
    "name", ["majority", "tfidf_logistic", "nb_svm", "averaged_embeddings", "my_models:attention_lstm"]
)
def test_onnx_export_of_anything_but_a_network_is_a_user_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"onnx: received {name}\..*: simple_rnn, cnn, gru, lstm"):
        check_export(name, tmp_path / "model", onnx=True)


def test_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.inference.onnx.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install "onnx>='):
        check_export("lstm", tmp_path / "model", onnx=True)
