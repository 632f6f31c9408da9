"""Networks as ONNX models: a runtime that knows nothing of this project gives the probabilities that Keras gives."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from tasks.config.errors import UserError
from tasks.config.recipe import Recipe
from tasks.evaluation.calibration import scaled
from tasks.inference import exported_model
from tasks.inference.onnx import onnx_model
from tasks.models.registry import ARCHITECTURES

TINY = Recipe(vocabulary_size=11, embedding_size=5, units=3)
TEMPERATURE = 1.3
# All but one word is padding in the second row, and all of it in the last.
WORDS = np.array([[5, 6, 7, 8, 9, 10, 2], [0, 0, 0, 0, 0, 0, 4], [0, 0, 4, 1, 10, 2, 3], [0] * 7])

every_architecture = pytest.mark.parametrize("name", list(ARCHITECTURES))


def random_network(name: str):
    """Build a network whose weights are all random: untrained biases are zero, which would hide a wrong order."""
    rng, model = np.random.default_rng(0), ARCHITECTURES[name](TINY)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    return model


def answered(content: bytes | str, words: np.ndarray) -> np.ndarray:
    """Answer with an ONNX model."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probability"], {"words": words.astype(np.int64)})
    return probabilities


def expected(model, words: np.ndarray) -> np.ndarray:
    """Answer with the network itself, calibrated."""
    logits = np.asarray(model(words.astype(np.int32)), np.float64)[:, 0]
    return scaled(1 / (1 + np.exp(-logits)), TEMPERATURE)


def random_words(reviews: int, width: int) -> np.ndarray:
    """Make reviews of any length from none to the whole width, padded on the left."""
    rng = np.random.default_rng(width)
    words = rng.integers(1, TINY.vocabulary_size, (reviews, width))
    words[np.arange(width) < rng.integers(0, width + 1, (reviews, 1))] = 0
    return words


@every_architecture
def test_a_runtime_gives_the_probabilities_of_keras(name):
    model = random_network(name)
    content = onnx_model(model, TEMPERATURE)
    for words in (WORDS, WORDS[::-1], WORDS[:1], WORDS[-1:], *(random_words(9, width) for width in (1, 7, 50))):
        found = answered(content, words)
        assert found.shape == (len(words),)
        np.testing.assert_allclose(found, expected(model, words), atol=1e-5)
    assert np.ptp(answered(content, WORDS)) > 0.01


@every_architecture
def test_the_model_holds_to_the_format_and_is_the_same_each_time(name):
    model = random_network(name)
    content = onnx_model(model, TEMPERATURE)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    assert onnx_model(model, TEMPERATURE) == content


def test_padding_changes_nothing():
    content = onnx_model(random_network("bidirectional_lstm"), TEMPERATURE)
    wider = np.pad(WORDS, ((0, 0), (4, 0)))
    np.testing.assert_allclose(answered(content, wider), answered(content, WORDS), atol=1e-6)


def test_an_answer_is_no_surer_than_predictions_are():
    model = random_network("lstm")
    model.layers[-1].bias.assign([100.0])
    np.testing.assert_allclose(answered(onnx_model(model, 5.0), WORDS), scaled(np.ones(4), 5.0), atol=1e-5)


def test_a_layer_that_is_not_known_is_named():
    from tests.helpers.own_models import cnn

    with pytest.raises(ValueError, match=r"is a Conv1D\. Known are: .*LongShortTermMemory"):
        onnx_model(cnn(TINY), TEMPERATURE)


@pytest.mark.parametrize("name", ["majority", "tfidf_logistic", "nb_svm", "my_models:attention_lstm"])
def test_what_is_no_network_of_ours_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"received {name}\. An ONNX model is written of .*: simple_rnn, gru, lstm"):
        exported_model.check(name, tmp_path / "model", onnx=True)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.inference.onnx.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install "onnx>='):
        exported_model.check("lstm", tmp_path / "model", onnx=True)
