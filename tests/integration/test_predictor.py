"""Predictions of the trained models of a run: as at evaluation, alone as in a batch, and the selection of models."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config.errors import UserError
from tasks.evaluation.calibration import apply_temperature
from tasks.inference.predictor import Predictor, load_predictor
from tasks.inference.selection import ModelSelection, select_models
from tasks.storage import store
from tasks.storage.layout import predictions_file, weights_file
from tasks.storage.runs import open_run
from tests.helpers.examples import examples
from tests.helpers.odd_texts import ODD_TEXTS

pytestmark = pytest.mark.usefixtures("with_tensorflow")

ARCHITECTURES = ("simple_rnn", "tfidf_logistic", "nb_svm", "averaged_embeddings", "majority")


def load(past: Path, **selection: object) -> Predictor:
    return load_predictor(ModelSelection(results=str(past), **selection))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_predictions_equal_those_of_the_evaluation(past: Path, architecture: str) -> None:
    run = open_run(past, None)
    predictor = load(past, architecture=architecture)
    (model,) = predictor.models
    stored = store.frame(predictions_file(run.cache_dir, model.name))
    reviews = store.frame(next((run.cache_dir / "reviews").glob("*.parquet"))).set_index("review_id")
    texts = reviews.loc[stored["review_id"], "text"].tolist()
    np.testing.assert_allclose(model.predict(texts).probability, stored["probability"], atol=1e-6)
    calibrated = apply_temperature(stored["probability"].to_numpy(), model.temperature)
    # A temperature below 1 increases the log-odds and their float32 rounding errors.
    tolerance = 1e-6 / min(model.temperature, 1)
    np.testing.assert_allclose(predictor.predict(texts)["probability"], calibrated, atol=tolerance)


@pytest.fixture(scope="module")
def predictors(past: Path, with_tensorflow: None) -> list[Predictor]:
    return [load(past, architecture=architecture) for architecture in ARCHITECTURES]


@examples(10, thorough=25)
@given(texts=st.lists(st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=60)), min_size=1, max_size=6))
def test_predictions_do_not_depend_on_the_batch(predictors: list[Predictor], texts: list[str]) -> None:
    for predictor in predictors:
        together = predictor.predict(texts)
        alone = pd.concat([predictor.predict([text]) for text in texts], ignore_index=True)
        np.testing.assert_allclose(together["probability"], alone["probability"], atol=1e-6)
        assert together["unknown"].tolist() == alone["unknown"].tolist()
        assert together["probability"].between(0, 1).all()
        assert together["unknown"].between(0, 1).all()
        assert set(together["label"]) <= {"negative", "positive"}


def test_word_that_decides_the_class_has_the_largest_influence(past: Path) -> None:
    predictor = load(past, architecture="nb_svm")
    assert predictor.predict(["a film with good", "a film with bad"])["label"].tolist() == ["positive", "negative"]
    for word, sign in (("good", 1), ("bad", -1)):
        influence = predictor.word_influence(f"a film, with {word} plot", 2)
        assert influence[0][0] == word
        assert influence[0][1] * sign > 0.05
        assert len(influence) <= 2


def test_ensemble_is_the_mean_over_the_seeds(past: Path) -> None:
    texts = ["a good film", "bad"]
    seeds = [load(past, architecture="simple_rnn", seed=seed).predict(texts)["probability"] for seed in (0, 1)]
    ensemble = load(past, architecture="simple_rnn", ensemble=True)
    np.testing.assert_allclose(ensemble.predict(texts)["probability"], np.mean(seeds, axis=0), atol=1e-9)
    assert "seeds 0, 1 of run first" in ensemble.description


def test_default_model_has_the_highest_validation_accuracy(past: Path) -> None:
    run = open_run(past, "first")
    means = run.trials.groupby("architecture")["accuracy"].mean()
    (default,) = select_models(run, ModelSelection())
    assert means[default.architecture] == means.max()
    (best_seed,) = select_models(run, ModelSelection(architecture="simple_rnn"))
    assert best_seed.accuracy == run.trials[run.trials["architecture"] == "simple_rnn"]["accuracy"].max()


@pytest.mark.parametrize(
    ("selection", "named"),
    [
        ({"architecture": "gru2"}, "gru2.*simple_rnn.*nb_svm"),
        ({"architecture": "simple_rnn", "seed": 9}, "seed: received 9.*0, 1"),
        ({"seed": 0, "ensemble": True}, "seed.*ensemble"),
    ],
)
def test_selection_of_a_missing_model_is_a_user_error(past: Path, selection: dict[str, object], named: str) -> None:
    with pytest.raises(UserError, match=named):
        select_models(open_run(past, None), ModelSelection(**selection))


def test_missing_run_is_a_user_error_that_lists_the_runs(past: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'other'.*: first\."):
        open_run(past, "other")
    with pytest.raises(UserError):
        open_run(tmp_path, None)


def test_run_without_a_recorded_vocabulary_is_a_user_error_with_its_command(past: Path, tmp_path: Path) -> None:
    shutil.copytree(past, tmp_path / "old", symlinks=True)
    path = tmp_path / "old" / "runs" / "first" / "run.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in info.items() if name != "vocabulary"}))
    with pytest.raises(UserError, match="vocabulary") as error:
        open_run(tmp_path / "old", None)
    assert info["command"] in str(error.value)


@pytest.mark.failure_mode("malicious-model-file")
@pytest.mark.parametrize("architecture", ["simple_rnn", "nb_svm"])
def test_changed_weights_are_not_used(past: Path, tmp_path: Path, architecture: str) -> None:
    shutil.copytree(past, tmp_path / "copy", symlinks=True)
    run = open_run(tmp_path / "copy", None)
    (model,) = select_models(run, ModelSelection(architecture=architecture))
    path = weights_file(run.cache_dir, model.name)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(store.DamagedFileError, match="checksum"):
        load(tmp_path / "copy", architecture=architecture)
