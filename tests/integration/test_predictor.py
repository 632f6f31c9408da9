"""Answers of trained models: as they were at evaluation, one by one as in a batch, and moved by words as by hand."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.config.errors import UserError
from tasks.evaluation.calibration import scaled
from tasks.inference.predictor import Member, Predictor, Reading, load_predictor
from tasks.inference.selection import Wanted, chosen
from tasks.storage import store
from tasks.storage.runs import open_run
from tasks.storage.trials import predictions_file, weights_file
from tests.unit.training.test_trained_models import ODD_TEXTS

pytestmark = pytest.mark.usefixtures("with_tensorflow")

KINDS = ("simple_rnn", "tfidf_logistic", "nb_svm", "majority")


def loaded(past: Path, **wanted: object) -> Predictor:
    return load_predictor(Wanted(results=str(past), **wanted), lambda _: None)


@pytest.mark.parametrize("architecture", KINDS)
def test_answers_are_those_of_the_evaluation(past: Path, architecture: str) -> None:
    run = open_run(past, None)
    predictor = loaded(past, architecture=architecture)
    recorded = store.frame(predictions_file(run.cache, predictor.members[0].name))
    reviews = store.frame(next((run.cache / "reviews").glob("*.parquet"))).set_index("review_id")
    texts = reviews.loc[recorded["review_id"], "text"].tolist()
    np.testing.assert_allclose(predictor.members[0].read(texts).probability, recorded["probability"], atol=1e-6)
    temperature = predictor.members[0].temperature
    calibrated = scaled(recorded["probability"].to_numpy(), temperature)
    # A temperature below 1 stretches the log-odds, and what float32 rounds with them.
    np.testing.assert_allclose(predictor.predict(texts)["probability"], calibrated, atol=1e-6 / min(temperature, 1))


@pytest.fixture(scope="module")
def predictors(past: Path, with_tensorflow: None) -> list[Predictor]:
    return [loaded(past, architecture=architecture) for architecture in KINDS]


@settings(max_examples=25)
@given(texts=st.lists(st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=60)), min_size=1, max_size=6))
def test_one_by_one_equals_together(predictors: list[Predictor], texts: list[str]) -> None:
    for predictor in predictors:
        together = predictor.predict(texts)
        alone = pd.concat([predictor.predict([text]) for text in texts], ignore_index=True)
        np.testing.assert_allclose(together["probability"], alone["probability"], atol=1e-6)
        assert together["unknown"].tolist() == alone["unknown"].tolist()
        assert together["probability"].between(0, 1).all()
        assert together["unknown"].between(0, 1).all()
        assert set(together["label"]) <= {"negative", "positive"}


def test_the_word_that_tells_the_class_moves_the_answer_most(past: Path) -> None:
    predictor = loaded(past, architecture="nb_svm")
    assert predictor.predict(["a film with good", "a film with bad"])["label"].tolist() == ["positive", "negative"]
    for word, sign in (("good", 1), ("bad", -1)):
        moved = predictor.moved(f"a film, with {word} plot", 2)
        assert moved[0][0] == word
        assert moved[0][1] * sign > 0.05
        assert len(moved) <= 2


def counting(texts: list[str]) -> Reading:
    """Give 0.1 for each `good` and 0.2 for each `fine`, beside 0.3."""
    chances = [0.3 + sum({"good": 0.1, "fine": 0.2}.get(word, 0) for word in text.split()) for text in texts]
    return Reading(np.array(chances), np.zeros(len(texts)))


def test_moves_by_hand() -> None:
    predictor = Predictor([Member("made-up", counting, 1.0)], ("bad", "good"))
    moved = predictor.moved("Good, fine GOOD film!", 3)
    assert [word for word, _ in moved] == ["fine", "good", "good"]
    assert [move for _, move in moved] == pytest.approx([0.2, 0.1, 0.1])
    assert predictor.moved("", 3) == []
    assert predictor.moved("film", 3) == []  # nothing changes without it
    assert predictor.predict(["good good"])["label"].tolist() == ["bad"]  # 0.5 is not above the threshold
    assert predictor._replace(threshold=0.4).predict(["good good"])["label"].tolist() == ["good"]


def test_an_ensemble_is_the_mean_of_what_its_seeds_say(past: Path) -> None:
    texts = ["a good film", "bad"]
    seeds = [loaded(past, architecture="simple_rnn", seed=seed).predict(texts)["probability"] for seed in (0, 1)]
    together = loaded(past, architecture="simple_rnn", ensemble=True)
    np.testing.assert_allclose(together.predict(texts)["probability"], np.mean(seeds, axis=0), atol=1e-9)


def test_the_best_on_validation_is_the_default(past: Path) -> None:
    run = open_run(past, "first")
    best = run.trials.groupby("architecture")["accuracy"].mean()
    default = chosen(run, Wanted())
    assert best[default["architecture"].iloc[0]] == best.max()
    of_rnn = run.trials[run.trials["architecture"] == "simple_rnn"]
    best_seed = chosen(run, Wanted(architecture="simple_rnn"))
    assert best_seed["accuracy"].tolist() == [of_rnn["accuracy"].max()]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"architecture": "gru2"}, "Choose from: .*simple_rnn.*nb_svm"),
        ({"architecture": "simple_rnn", "seed": 9}, "Choose from: 0, 1"),
        ({"seed": 0, "ensemble": True}, "Leave one out"),
    ],
)
def test_what_a_run_has_not_is_refused(past: Path, wanted: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        chosen(open_run(past, None), Wanted(**wanted))


def test_a_run_that_is_not_there_or_too_old_is_refused(past: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no finished run 'other'\. Runs in it: first\."):
        open_run(past, "other")
    with pytest.raises(UserError, match="has no finished run"):
        open_run(tmp_path, None)
    shutil.copytree(past, tmp_path / "old", symlinks=True)
    facts = tmp_path / "old" / "runs" / "first" / "run.json"
    facts.write_text(json.dumps({k: v for k, v in json.loads(facts.read_text()).items() if k != "vocabulary"}))
    with pytest.raises(UserError, match=r"earlier version.*python -m flows.imdb_compare"):
        open_run(tmp_path / "old", None)


@pytest.mark.fault(22)
@pytest.mark.parametrize("architecture", ["simple_rnn", "nb_svm"])
def test_weights_that_were_changed_are_never_used(past: Path, tmp_path: Path, architecture: str) -> None:
    shutil.copytree(past, tmp_path / "copy", symlinks=True)
    run = open_run(tmp_path / "copy", None)
    path = weights_file(run.cache, chosen(run, Wanted(architecture=architecture))["name"].iloc[0])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(store.DamagedFileError, match="checksum"):
        loaded(tmp_path / "copy", architecture=architecture)
