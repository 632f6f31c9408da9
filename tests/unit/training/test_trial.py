"""A trial on tiny data: the same in every process, named by all that it is made of, never used when damaged."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tasks.config.recipe import Recipe
from tasks.models.baselines import nb_svm
from tasks.storage import store, trials
from tasks.storage.trials import stored_trial
from tasks.training import trial
from tasks.training.trial import make_baseline, make_trial, trial_name
from tests.conftest import ROOT

RECIPE = Recipe(vocabulary_size=11, max_tokens=7, embedding_size=5, units=3, batch_size=8, epochs=2, learning_rate=0.01)


def encoded(seed: int = 0) -> pa.Table:
    """Make 60 encoded reviews of 1 to 9 tokens; token 5 tells the class."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([0, 1], 30)).astype(np.int8)
    tokens = [[*rng.integers(6, 11, rng.integers(1, 9)), 5 - label] for label in labels]
    splits = ["train"] * 30 + ["validation"] * 17 + ["test"] * 13
    return pa.table(
        {
            "review_id": [f"r{number}" for number in range(60)],
            "split": splits,
            "label": labels,
            "tokens": pa.array(tokens, pa.large_list(pa.uint16())),
            "length": [len(each) for each in tokens],
        }
    )


@pytest.fixture(scope="module")
def made() -> tuple[pd.DataFrame, pd.DataFrame, dict]:
    from tasks.models.registry import lstm

    return make_trial("lstm", 4, RECIPE, encoded(), build=lstm)


def test_a_trial_has_history_predictions_and_facts(made: tuple) -> None:
    history, predictions, weights = made
    assert list(history)[:4] == ["architecture", "seed", "epoch", "split"]
    assert history.groupby("split").size().to_dict() == {"train": 2, "validation": 2}
    assert predictions.groupby("split").size().to_dict() == {"test": 13, "validation": 17}
    assert predictions["probability"].dtype == np.float32
    assert predictions["probability"].between(0, 1).all()
    # embedding 11·5, LSTM 4·(5·3 + 3·3 + 3), head 2·3 + 1
    assert history.attrs["parameters"] == 55 + 108 + 7 == sum(weight.size for weight in weights.values())
    assert history.attrs["seed"] == 4


def test_what_was_stored_is_found(made: tuple, tmp_path: Path) -> None:
    facts = trials.store_trial(tmp_path, "lstm-seed-4-x", *made)
    assert stored_trial(tmp_path, "lstm-seed-4-x") == facts
    assert stored_trial(tmp_path, "lstm-seed-5-x") is None
    weights = trials.weights_file(tmp_path, "lstm-seed-4-x")
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == facts["weights_sha256"]


@pytest.mark.fault(9)
@pytest.mark.parametrize("ending", ["", ".sha256"])
@pytest.mark.parametrize("file", [trials.history_file, trials.predictions_file, trials.weights_file])
@pytest.mark.parametrize("at", [0, 0.5, 0.99])
def test_a_trial_with_a_harmed_file_is_never_used(made: tuple, tmp_path: Path, file, ending: str, at: float) -> None:
    trials.store_trial(tmp_path, "x", *made)
    path = file(tmp_path, "x")
    path = path.with_name(path.name + ending)
    content = path.read_bytes()
    position = int(at * (64 if ending else len(content)))
    for harmed in (content[:position], content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]):
        path.write_bytes(harmed)
        with pytest.raises(store.DamagedFileError, match=r"x\..* does not match its checksum"):
            stored_trial(tmp_path, "x")
    path.unlink()
    assert stored_trial(tmp_path, "x") is None


@pytest.mark.fault(22)
def test_weights_of_another_trial_are_refused(made: tuple, tmp_path: Path) -> None:
    trials.store_trial(tmp_path, "a", *made)
    store.write(trials.weights_file(tmp_path, "a"), b"something else, with a checksum of its own")
    with pytest.raises(store.DamagedFileError, match="not of this trial"):
        stored_trial(tmp_path, "a")


@pytest.mark.fault(34)
def test_the_name_covers_what_a_trial_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    name = trial_name("lstm", 0, RECIPE, "data")
    others = [
        trial_name("lstm", 1, RECIPE, "data"),
        trial_name("lstm", 0, RECIPE.model_copy(update={"dropout": 0.1}), "data"),
        trial_name("lstm", 0, RECIPE, "other data"),
        trial_name("simple_rnn", 0, RECIPE, "data"),
    ]
    monkeypatch.setattr(trial, "version", lambda _: "0.0")
    others.append(trial_name("lstm", 0, RECIPE, "data"))
    keys = {each.rsplit("-", 1)[1] for each in [name, *others]}
    assert len(keys) == 6


def test_the_name_of_a_baseline_covers_what_it_reads_of_the_recipe_and_no_more() -> None:
    changes = [{}, {"dropout": 0.1}, {"max_tokens": 3}, {"tokenizer": "characters"}, {"class_weights": True}]
    names = [trial_name("nb_svm", 0, RECIPE.model_copy(update=change), "data") for change in changes]
    assert names[0] == names[1] == names[2]
    assert len(set(names)) == 3


@pytest.mark.parametrize("tokenizer", ["words", "characters"])
def test_a_baseline_learns_from_japanese(tokenizer: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], 100)
    fill = ["".join(rng.choice([*"映画監督俳優物語音楽"], rng.integers(4, 9))) for _ in labels]
    texts = [f"{start}が{'素晴らしい' if label else 'つまらない'}。" for start, label in zip(fill, labels, strict=True)]
    splits = np.repeat(["train", "validation", "test"], [120, 40, 40])
    ids = [f"r{number}" for number in range(200)]
    reviews = pa.table({"review_id": ids, "split": splits, "label": labels.astype(np.int8), "text": texts})
    recipe = RECIPE.model_copy(update={"tokenizer": tokenizer})
    _, predictions, _ = make_baseline("nb_svm", reviews, recipe, learn=nb_svm)
    assert ((predictions["probability"] > 0.5) == predictions["label"]).all()


@pytest.mark.slow
@pytest.mark.fault(33)
def test_the_same_seed_gives_the_same_weights_in_fresh_processes_alone_and_behind_another(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from tasks.execution.local import start_worker; import os; start_worker(os.getppid())\n"
        "from tests.unit.training.test_trial import RECIPE, encoded\n"
        "from tasks.models.registry import lstm; from tasks.training.trial import make_trial, store_trial\n"
        "folder, *seeds = sys.argv[1:]\n"
        "for seed in seeds:\n"
        "    made = make_trial('lstm', int(seed), RECIPE, encoded(), build=lstm)\n"
        "print(store_trial(Path(folder), 'x', *made)['weights_sha256'])"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / str(number)), *seeds],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )
        for number, seeds in enumerate([["4"], ["7", "4"]])
    ]  # fmt: skip
    hashes = {process.communicate(timeout=240)[0].strip() for process in running}
    assert len(hashes) == 1
    assert len(hashes.pop()) == 64


@pytest.mark.fault(16)
def test_a_trial_that_diverges_says_so_and_predicts_nothing(tmp_path: Path) -> None:
    from tasks.models.registry import simple_rnn

    reckless = RECIPE.model_copy(update={"learning_rate": 1e38})
    history, predictions, weights = make_trial("simple_rnn", 0, reckless, encoded(), build=simple_rnn)
    assert history.attrs["status"] == "diverged"
    assert predictions.empty
    facts = trials.store_trial(tmp_path, "x", history, predictions, weights)
    assert json.loads(json.dumps(facts))["status"] == "diverged"
    assert stored_trial(tmp_path, "x") == facts
