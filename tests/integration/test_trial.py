"""Training of a trial on tiny data: same result in each process, complete cache key, damaged files never used."""

import hashlib
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.config.recipe import Recipe
from tasks.models.baselines import BASELINES, nb_svm
from tasks.models.registry import ARCHITECTURES
from tasks.storage import fingerprint, store
from tasks.storage.layout import history_file, predictions_file, weights_file
from tasks.storage.trial_records import TrainedTrial, TrialSpec
from tasks.storage.trials import RESULT_KEY, find_trial, read_result, read_trial, store_trial
from tasks.training import trial
from tasks.training.cached_trial import load_or_train
from tasks.training.trial import code_roots, train_baseline, train_network, trial_name
from tests.conftest import ROOT
from tests.helpers.encoded_reviews import RECIPE, encoded_reviews
from tests.helpers.trial_records import make_trial
from tests.helpers.warnings_logged import warnings_logged


@pytest.fixture(scope="module")
def trained() -> TrainedTrial:
    from tasks.models.registry import lstm

    return train_network("lstm", 4, RECIPE, encoded_reviews(), build=lstm)


def test_trial_has_history_predictions_and_facts(trained: TrainedTrial) -> None:
    history, predictions, facts = trained.history, trained.predictions, trained.facts
    assert list(history)[:4] == ["architecture", "seed", "epoch", "split"]
    assert history.groupby("split").size().to_dict() == {"train": 2, "validation": 2}
    assert predictions.groupby("split").size().to_dict() == {"test": 13, "validation": 17}
    assert predictions["probability"].dtype == np.float32
    assert predictions["probability"].between(0, 1).all()
    # embedding 11·5, LSTM 4·(5·3 + 3·3 + 3), classifier 2·3 + 1
    assert facts.parameters == 55 + 108 + 7 == sum(weight.size for weight in trained.weights.values())
    assert (facts.architecture, facts.seed, facts.status, facts.train_reviews) == ("lstm", 4, "finished", 30)
    assert facts.latency_ms > 0
    assert facts.batch_ms > 0


def test_stored_trial_is_read_again(trained: TrainedTrial, tmp_path: Path) -> None:
    result = store_trial(tmp_path, "lstm-seed-4-x", trained, train_fraction=0.5, probe_seconds=0.1, cpu_seconds=3.5)
    assert read_trial(tmp_path, "lstm-seed-4-x") == read_result(tmp_path, "lstm-seed-4-x") == result
    assert (result.name, result.train_fraction) == ("lstm-seed-4-x", 0.5)
    assert (result.probe_seconds, result.cpu_seconds) == (0.1, 3.5)
    assert result.model_dump().items() >= trained.facts.model_dump().items()
    assert read_trial(tmp_path, "lstm-seed-5-x") is None
    content = weights_file(tmp_path, "lstm-seed-4-x").read_bytes()
    assert hashlib.sha256(content).hexdigest() == result.weights_sha256


def test_measurements_that_are_nan_survive_storage(tmp_path: Path) -> None:
    stored = store_trial(tmp_path, "x", make_trial())
    assert np.isnan([stored.train_flops, stored.latency_ms]).all()
    assert np.isnan([read_trial(tmp_path, "x").train_flops, read_trial(tmp_path, "x").latency_ms]).all()


def test_trial_of_an_earlier_version_has_no_cpu_time(tmp_path: Path) -> None:
    result = store_trial(tmp_path, "x", make_trial(), cpu_seconds=3.5)
    content = json.dumps({name: value for name, value in result.model_dump().items() if name != "cpu_seconds"}).encode()
    history = store.table(history_file(tmp_path, "x")).replace_schema_metadata({RESULT_KEY: content})
    store.write(history_file(tmp_path, "x"), history)
    read = read_trial(tmp_path, "x")
    assert np.isnan(read.cpu_seconds)
    assert read.model_copy(update={"cpu_seconds": 3.5}).model_dump_json() == result.model_dump_json()


def test_cpu_time_is_that_of_all_threads_of_the_process(tmp_path: Path) -> None:
    reviews = tmp_path / "reviews.parquet"
    store.write(reviews, encoded_reviews())
    spec = TrialSpec("lstm", 4, RECIPE, reviews, 1.0, "lstm-seed-4", "lstm-seed-4-x", tmp_path)
    before = time.process_time()
    result = load_or_train(spec)
    assert 0 < result.cpu_seconds < time.process_time() - before
    assert load_or_train(spec).model_dump_json() == result.model_dump_json()


def test_trial_of_a_search_reads_no_test_reviews(tmp_path: Path) -> None:
    reviews, hashes = encoded_reviews(), set()
    first = reviews["split"].to_pylist().index("test")  # the test reviews come last
    tokens = [*reviews["tokens"].to_pylist()[:first], *[[5] * 9] * (len(reviews) - first)]
    labels = [*reviews["label"].to_pylist()[:first], *(1 - label for label in reviews["label"].to_pylist()[first:])]
    changed = reviews.set_column(2, "label", pa.array(labels, pa.int8()))
    changed = changed.set_column(3, "tokens", pa.array(tokens, reviews["tokens"].type))
    for name, each in {"as-they-are": reviews, "changed": changed}.items():
        folder = tmp_path / name
        store.write(folder / "reviews.parquet", each)
        spec = TrialSpec(
            "lstm", 4, RECIPE, folder / "reviews.parquet", 1.0, "x", "lstm-seed-4-a", folder, configuration=3
        )
        result = load_or_train(spec)
        predictions = store.frame(predictions_file(folder, spec.name))
        assert set(predictions["split"]) == {"validation"}
        assert read_trial(folder, spec.name).configuration == 3
        hashes.add((result.weights_sha256, hashlib.sha256(predictions.to_json().encode()).hexdigest()))
    assert len(hashes) == 1
    ordinary = load_or_train(replace(spec, configuration=0, name="lstm-seed-4-b"))
    assert ordinary.weights_sha256 == result.weights_sha256


@pytest.mark.failure_mode("damaged-file")
@pytest.mark.parametrize("suffix", ["", ".sha256"])
@pytest.mark.parametrize("file", [history_file, predictions_file, weights_file])
@pytest.mark.parametrize("at", [0, 0.5, 0.99])
def test_trial_with_a_damaged_file_is_not_used(trained: TrainedTrial, tmp_path: Path, file, suffix, at) -> None:
    store_trial(tmp_path, "x", trained)
    path = file(tmp_path, "x")
    path = path.with_name(path.name + suffix)
    content = path.read_bytes()
    position = int(at * (64 if suffix else len(content)))
    for damaged in (content[:position], content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]):
        path.write_bytes(damaged)
        with pytest.raises(store.DamagedFileError, match=r"x\..* does not match its checksum"):
            read_trial(tmp_path, "x")
        with warnings_logged() as warnings:
            assert find_trial(tmp_path, "x") is None
        assert len(warnings) == 1
    path.unlink()
    assert read_trial(tmp_path, "x") is None


@pytest.mark.failure_mode("malicious-model-file")
def test_weights_of_another_trial_are_refused(trained: TrainedTrial, tmp_path: Path) -> None:
    store_trial(tmp_path, "a", trained)
    store.write(weights_file(tmp_path, "a"), b"something else, with a checksum of its own")
    with pytest.raises(store.DamagedFileError, match=r"a\.safetensors"):
        read_trial(tmp_path, "a")


@pytest.mark.failure_mode("malicious-model-file")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("parameters", -1), ("epochs", 1.5), ("status", "great"), ("weights_sha256", "x"), ("weights", "other"),
        ("architecture", "\x1b]0;OWNED"), ("train_seconds", "fast"), ("train_fraction", 2.0), ("unknown", 1),
    ],
)  # fmt: skip
def test_invalid_results_are_refused(trained: TrainedTrial, tmp_path: Path, field: str, value: object) -> None:
    result = store_trial(tmp_path, "a", trained)
    content = json.dumps({**result.model_dump(), field: value}).encode()
    history = store.table(history_file(tmp_path, "a")).replace_schema_metadata({RESULT_KEY: content})
    store.write(history_file(tmp_path, "a"), history)
    with pytest.raises(store.DamagedFileError) as refused:
        read_trial(tmp_path, "a")
    assert str(refused.value).isprintable()


@pytest.mark.failure_mode("changed-input")
def test_trial_name_covers_seed_recipe_data_code_and_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        trial_name("lstm", 0, RECIPE, "data"),
        trial_name("lstm", 1, RECIPE, "data"),
        trial_name("lstm", 0, RECIPE.model_copy(update={"dropout": 0.1}), "data"),
        trial_name("lstm", 0, RECIPE, "other data"),
        trial_name("simple_rnn", 0, RECIPE, "data"),
    ]
    monkeypatch.setattr(trial, "library_version", lambda _: "0.0")
    names.append(trial_name("lstm", 0, RECIPE, "data"))
    assert len({name.rsplit("-", 1)[1] for name in names}) == 6


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, *BASELINES])
def test_key_does_not_depend_on_how_costs_are_measured_and_stored(architecture: str) -> None:
    used = fingerprint.reached(*code_roots(architecture))
    assert {"tasks.training.cached_trial", "tasks.training.probe"}.isdisjoint(place.module for place in used)
    assert {"TrialResult", "store_trial", "TrialSpec"}.isdisjoint(place.name for place in used)
    assert "TrainingFacts" in {place.name for place in used}


def test_baseline_key_covers_only_its_part_of_the_recipe() -> None:
    changes = [{}, {"dropout": 0.1}, {"max_tokens": 3}, {"tokenizer": "characters"}, {"class_weights": True}]
    names = [trial_name("nb_svm", 0, RECIPE.model_copy(update=change), "data") for change in changes]
    assert names[0] == names[1] == names[2]
    assert len(set(names)) == 3


def test_code_of_a_network_and_of_a_baseline_share_no_root() -> None:
    assert not set(code_roots("lstm")) & set(code_roots("nb_svm"))
    assert train_network in code_roots("lstm")
    assert train_baseline in code_roots("nb_svm")


@pytest.mark.parametrize("tokenizer", ["words", "characters"])
def test_baseline_learns_from_japanese(tokenizer: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], 100)
    starts = ["".join(rng.choice([*"映画監督俳優物語音楽"], rng.integers(4, 9))) for _ in labels]
    ends = ["素晴らしい" if label else "つまらない" for label in labels]
    reviews = pa.table(
        {
            "review_id": [f"r{number}" for number in range(200)],
            "split": np.repeat(["train", "validation", "test"], [120, 40, 40]),
            "label": labels.astype(np.int8),
            "text": [f"{start}が{end}。" for start, end in zip(starts, ends, strict=True)],
        }
    )
    recipe: Recipe = RECIPE.model_copy(update={"tokenizer": tokenizer})
    predictions = train_baseline("nb_svm", reviews, recipe, learn=nb_svm).predictions
    assert ((predictions["probability"] > 0.5) == predictions["label"]).all()


@pytest.mark.slow
@pytest.mark.failure_mode("same-seed-twice")
def test_same_seed_gives_same_weights_in_fresh_and_in_used_processes(tmp_path: Path) -> None:
    program = ROOT / "tests/helpers/programs/weights_hash.py"
    running = [
        subprocess.Popen(
            [sys.executable, program, tmp_path / str(number), *seeds],
            cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE, text=True,
        )
        for number, seeds in enumerate([["4"], ["7", "4"]])
    ]  # fmt: skip
    first, second = (process.communicate(timeout=240)[0].split() for process in running)
    assert first == second
    assert [len(sha256) for sha256 in first] == [64] * 4


@pytest.mark.failure_mode("loss-diverged")
def test_diverged_trial_has_no_predictions(tmp_path: Path) -> None:
    from tasks.models.registry import simple_rnn

    recipe = RECIPE.model_copy(update={"learning_rate": 1e38})
    diverged = train_network("simple_rnn", 0, recipe, encoded_reviews(), build=simple_rnn)
    assert diverged.facts.status == "diverged"
    assert diverged.predictions.empty
    result = store_trial(tmp_path, "x", diverged)
    assert result.status == read_trial(tmp_path, "x").status == "diverged"
