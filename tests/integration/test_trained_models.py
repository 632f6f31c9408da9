"""Trained models from the cache: loaded unchanged or not at all, and no file that can run code is loaded."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import load

from tasks.config.errors import MissingFileError
from tasks.data.tokenization import build_vocabulary, text_array, tokenize
from tasks.models.registry import ARCHITECTURES
from tasks.storage import store
from tasks.storage.layout import history_file, predictions_file, weights_file
from tasks.storage.trials import canonical_weight_names, read_result, store_trial, with_result
from tasks.training.batches import Split
from tasks.training.prediction import predict
from tasks.training.trained_models import load_network
from tasks.training.trial import train_network
from tests.helpers.encoded_reviews import RECIPE, encoded_reviews
from tests.helpers.malicious_weights import CHANGED_FILES, MALICIOUS_FILES, lambda_model
from tests.helpers.odd_texts import ODD_TEXTS

NAME = "stacked_lstm-seed-4-x"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a trial after another model was built in this process, and return the cache folder."""
    from tasks.models.registry import stacked_lstm

    stacked_lstm(RECIPE)  # so that Keras numbers the layers of the next model from 2
    folder = tmp_path_factory.mktemp("cache")
    store_trial(folder, NAME, train_network("stacked_lstm", 4, RECIPE, encoded_reviews(), build=stacked_lstm))
    return folder


@pytest.fixture
def folder(cache: Path, tmp_path: Path) -> Path:
    """Return a copy of the cache that a test may change."""
    for path in (cache / "trials").iterdir():
        (tmp_path / "trials").mkdir(exist_ok=True)
        (tmp_path / "trials" / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture
def canary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("canary") / "ran"


def test_loaded_model_gives_the_stored_predictions(cache: Path) -> None:
    model = load_network(cache, NAME, RECIPE)
    stored = store.frame(predictions_file(cache, NAME))
    for split in ("validation", "test"):
        rows = encoded_reviews().filter([each == split for each in encoded_reviews()["split"].to_pylist()])
        given = predict(model, Split.from_table(rows), max_tokens=RECIPE.max_tokens)
        np.testing.assert_array_equal(given, stored.loc[stored["split"] == split, "probability"])


@pytest.mark.failure_mode("same-seed-twice")
def test_weight_names_do_not_depend_on_models_built_before(cache: Path) -> None:
    layers = {name.split("/")[0] for name in load(weights_file(cache, NAME).read_bytes())}
    assert layers == {"embedding", "long_short_term_memory", "long_short_term_memory_1", "logit"}
    weights = {"lstm_10/kernel": 10, "lstm_9/kernel": 9, "lstm_9/lstm_cell/bias": 8, "logit/bias": 1, "vocabulary": 0}
    assert canonical_weight_names(weights) == {
        "lstm_1/kernel": 10, "lstm/kernel": 9, "lstm/bias": 8, "logit/bias": 1, "vocabulary": 0,
    }  # fmt: skip
    assert canonical_weight_names(canonical_weight_names(weights)) == canonical_weight_names(weights)


@pytest.mark.failure_mode("unusual-text")
def test_any_text_has_a_probability_that_does_not_depend_on_its_batch(cache: Path) -> None:
    model, count = load_network(cache, NAME, RECIPE), len(ODD_TEXTS)
    vocabulary = build_vocabulary([text_array(["good bad a film"])], vocabulary_size=RECIPE.vocabulary_size)

    def chances(texts: list[str]) -> np.ndarray:
        tokens = tokenize(text_array(texts), vocabulary, max_tokens=RECIPE.max_tokens)
        table = pa.table({"tokens": tokens, "label": np.zeros(len(texts), np.int8)})
        return predict(model, Split.from_table(table), max_tokens=RECIPE.max_tokens)

    together = chances(ODD_TEXTS)
    assert together.shape == (count,)
    assert ((together >= 0) & (together <= 1)).all()
    np.testing.assert_allclose(together, [chances([text])[0] for text in ODD_TEXTS], atol=1e-6)


def replace_weights(folder: Path, content: bytes, *, with_result_too: bool) -> None:
    """Replace the weights and their checksum, and optionally the checksum in the trial's result."""
    sha256 = store.write(weights_file(folder, NAME), content)
    if with_result_too:
        result = read_result(folder, NAME).model_copy(update={"weights_sha256": sha256})
        store.write(history_file(folder, NAME), with_result(store.table(history_file(folder, NAME)), result))


@pytest.mark.failure_mode("malicious-model-file")
@pytest.mark.parametrize("with_result_too", [False, True], ids=["weights", "weights and result"])
@pytest.mark.parametrize("kind", [*MALICIOUS_FILES, *CHANGED_FILES])
def test_malicious_weights_are_refused_and_no_code_runs(
    folder: Path, canary: Path, kind: str, with_result_too: bool
) -> None:
    original = weights_file(folder, NAME).read_bytes()
    content = MALICIOUS_FILES[kind](canary) if kind in MALICIOUS_FILES else CHANGED_FILES[kind](original)
    replace_weights(folder, content, with_result_too=with_result_too)
    with pytest.raises(store.DamagedFileError, match=NAME):
        load_network(folder, NAME, RECIPE)
    assert not canary.exists()


@pytest.mark.failure_mode("malicious-model-file")
def test_malicious_files_would_run_code_if_they_were_loaded(canary: Path) -> None:
    import keras

    pickle.loads(MALICIOUS_FILES["a pickle"](canary))
    assert canary.exists()
    (path := canary.with_suffix(".keras")).write_bytes(lambda_model(canary))
    assert not canary.exists()
    keras.models.load_model(path, safe_mode=False)
    assert canary.exists()


@pytest.mark.failure_mode("malicious-model-file")
def test_file_of_a_terabyte_is_not_read(folder: Path) -> None:
    with weights_file(folder, NAME).open("ab") as file:
        file.truncate(2**40)  # a sparse file, which takes no disk space
    with pytest.raises(store.DamagedFileError, match="larger than"):
        load_network(folder, NAME, RECIPE)


@pytest.mark.parametrize("architecture", ["cnn", "lstm_attention", "bidirectional_gru"])
def test_network_with_many_units_and_a_small_embedding_is_loaded(tmp_path: Path, architecture: str) -> None:
    """A CNN has fewer weights than recurrent layers: its units are not connected with each other."""
    recipe = RECIPE.model_copy(update={"units": 60, "embedding_size": 2, "epochs": 1})
    trial = train_network(architecture, 4, recipe, encoded_reviews(), build=ARCHITECTURES[architecture])
    store_trial(tmp_path, f"{architecture}-seed-4-x", trial)
    model = load_network(tmp_path, f"{architecture}-seed-4-x", recipe)
    for loaded, trained in zip(model.weights, trial.weights.values(), strict=True):
        np.testing.assert_array_equal(loaded, trained)


@pytest.mark.failure_mode("malicious-model-file")
@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "os.system-seed-0-x", "hf://evil/model", "majority-seed-0-x", "", "keras-seed-1"]
)
def test_names_other_than_of_networks_are_refused(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match="Networks: simple_rnn"):
        load_network(folder, name, RECIPE)


def test_missing_model_and_other_recipe_are_refused(folder: Path) -> None:
    with pytest.raises(MissingFileError):
        load_network(folder, "lstm-seed-0-x", RECIPE)
    with pytest.raises(store.DamagedFileError, match="the model has"):
        load_network(folder, NAME, RECIPE.model_copy(update={"units": 4}))
