"""Evaluation of single trials: equal to the evaluation of all trials at once, and stored next to each trial."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.grouping import add_groups
from tasks.evaluation.predictions import TRIAL_COLUMNS
from tasks.evaluation.trial_evaluation import (
    TRIAL_TABLES,
    TrialEvaluation,
    evaluate_trial,
    load_or_compute_evaluation,
    store_evaluation,
    trial_tables,
)
from tasks.models.registry import ARCHITECTURES
from tasks.storage import cache, store
from tasks.storage.archives import pack_files
from tasks.storage.fingerprint import reached
from tasks.storage.layout import predictions_file
from tasks.storage.trial_records import TrialResult
from tasks.storage.trials import read_trial, store_trial
from tasks.training.trial import code_roots
from tests.helpers import synthetic
from tests.helpers.examples import examples
from tests.helpers.trial_records import make_trial
from tests.helpers.warnings_logged import warnings_logged


def make_predictions(labels: Sequence[int], probabilities: Sequence[float], name: str = "lstm") -> pd.DataFrame:
    """Make the predictions of a trial, with the same labels and probabilities in both splits."""
    columns = {"architecture": name, "seed": 0, "review_id": [f"r{number}" for number in range(len(labels))]}
    values = {"label": np.array(labels, np.int8), "probability": np.array(probabilities, np.float32)}
    return pd.concat(
        [pd.DataFrame({**columns, "split": split, **values}) for split in ("validation", "test")], ignore_index=True
    )


def assert_equal_tables(found: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> None:
    assert list(found) == list(expected)
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(found[name], frame, check_exact=True, obj=name)


def stored_and_read(evaluation: TrialEvaluation) -> TrialEvaluation:
    return TrialEvaluation.model_validate_json(evaluation.model_dump_json())


def test_single_trials_have_the_rows_of_all_trials_at_once() -> None:
    predictions = synthetic.make_frames(reviews=50, seeds=2, baselines=True)["predictions"]
    trials = list(predictions.groupby(TRIAL_COLUMNS, sort=False))
    diverged = evaluate_trial("lstm", 9, predictions.head(0))
    evaluations = [stored_and_read(evaluate_trial(name, seed, rows)) for (name, seed), rows in trials]
    assert len(evaluations) == 13
    assert {name for name in TRIAL_TABLES if getattr(diverged, name)} == set()
    expected = {name: table.compute(predictions) for name, table in TRIAL_TABLES.items()}
    assert_equal_tables(trial_tables([evaluations[0], diverged, *evaluations[1:]]), expected)


@pytest.mark.parametrize(
    ("labels", "probabilities"),
    [
        pytest.param([0, 1, 1, 0], [0.25] * 4, id="constant predictions"),
        pytest.param([1, 1, 1], [0.25, 0.5, 1.0], id="one class"),
        pytest.param([0, 0], [0.0, 0.0], id="one class and constant"),
        pytest.param([1], [0.75], id="one review"),
    ],
)
def test_degenerate_trials_are_evaluated_and_stored_exactly(labels: list[int], probabilities: list[float]) -> None:
    predictions = make_predictions(labels, probabilities)
    found = trial_tables([stored_and_read(evaluate_trial("lstm", 0, predictions))])
    assert_equal_tables(found, {name: table.compute(predictions) for name, table in TRIAL_TABLES.items()})
    share = np.mean((np.array(probabilities) > 0.5) == np.array(labels))
    assert set(found["scores"].query("metric == 'accuracy'")["value"]) == {share}
    assert found["scores"].query("metric == 'auc'")["value"].isna().all() == (len(set(labels)) == 1)
    assert found["confusions"]["count"].sum() == 2 * len(labels)


@examples(5, thorough=15)
@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1, width=32)), min_size=1, max_size=12))
def test_any_predictions_are_stored_exactly(reviews: list[tuple[int, float]]) -> None:
    predictions = make_predictions([label for label, _ in reviews], [probability for _, probability in reviews])
    found = trial_tables([stored_and_read(evaluate_trial("lstm", 0, predictions))])
    assert_equal_tables(found, {name: table.compute(predictions) for name, table in TRIAL_TABLES.items()})


def test_probability_outside_of_range_is_an_error() -> None:
    with pytest.raises(ValueError, match="lstm/0/test"):
        evaluate_trial("lstm", 0, make_predictions([0, 1], [0.5, 1.5]).query("split == 'test'"))


@pytest.fixture
def trial(tmp_path: Path) -> TrialResult:
    """Store a trial in `tmp_path`, and return its result."""
    trained = make_trial(predictions=make_predictions([0, 1, 1, 0], [0.1, 0.9, 0.4, 0.2]))
    return store_trial(tmp_path, "lstm-seed-0-x", trained)


def evaluation_files(folder: Path) -> list[Path]:
    return sorted((folder / "trials").glob("*.evaluation-*.zip"))


def test_evaluation_is_stored_once(trial: TrialResult, tmp_path: Path) -> None:
    store_evaluation(trial, tmp_path)
    (file,) = evaluation_files(tmp_path)
    assert file.name.startswith(f"{trial.name}.")
    before = file.stat().st_ino, file.read_bytes()
    store_evaluation(trial, tmp_path)
    found = load_or_compute_evaluation(trial, tmp_path)
    assert (file.stat().st_ino, file.read_bytes()) == before
    assert found == evaluate_trial("lstm", 0, store.frame(predictions_file(tmp_path, trial.name)))


def test_other_predictions_are_evaluated_again(trial: TrialResult, tmp_path: Path) -> None:
    first = load_or_compute_evaluation(trial, tmp_path)
    path = predictions_file(tmp_path, trial.name)
    predictions = store.frame(path)
    store.write(path, predictions.assign(probability=1 - predictions["probability"]))
    again = load_or_compute_evaluation(trial, tmp_path)
    assert (first.scores[0][1:], again.scores[0][1:]) == (("accuracy", 0.75), ("accuracy", 0.25))


@pytest.mark.parametrize("damage", ["flipped byte", "other trial", "no evaluation"])
def test_damaged_evaluation_is_computed_again_with_a_warning(trial: TrialResult, tmp_path: Path, damage: str) -> None:
    first = load_or_compute_evaluation(trial, tmp_path)
    (file,) = evaluation_files(tmp_path)
    content = file.read_bytes()
    if damage == "flipped byte":
        file.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    else:
        other = {"evaluation.json": first.model_copy(update={"seed": 1}).model_dump_json().encode()}
        store.write(file, pack_files(other if damage == "other trial" else {}))
    with warnings_logged("tasks") as messages:
        assert load_or_compute_evaluation(trial, tmp_path) == first
        assert load_or_compute_evaluation(trial, tmp_path) == first
    assert len(messages) == 1
    assert file.read_bytes() == content


def test_other_evaluation_code_evaluates_again_but_keeps_the_trial(
    trial: TrialResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {file: file.read_bytes() for file in (tmp_path / "trials").glob("lstm*") if "evaluation" not in file.name}
    for version in ("a", "a", "b"):
        monkeypatch.setattr(cache, "code_version", lambda *_, version=version: version)
        store_evaluation(trial, tmp_path)
    assert len(evaluation_files(tmp_path)) == 2
    assert {file: file.read_bytes() for file in files} == files
    kept = read_trial(tmp_path, trial.name)
    assert kept
    assert kept.model_dump_json() == trial.model_dump_json()


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "nb_svm"])
def test_name_of_a_trial_does_not_depend_on_evaluation_code(architecture: str) -> None:
    computing = {(table.compute.__module__, table.compute.__name__) for table in TRIAL_TABLES.values()}
    assert computing <= reached(evaluate_trial).keys()
    assert not computing & reached(*code_roots(architecture)).keys()


def test_groups_of_reviews_are_part_of_the_evaluation_of_a_trial(tmp_path: Path) -> None:
    predictions = make_predictions([0, 1, 1, 0], [0.1, 0.9, 0.4, 0.2])
    predictions["review_id"] = predictions["split"] + predictions["review_id"]
    trial = store_trial(tmp_path, "lstm-seed-0-x", make_trial(predictions=predictions))
    reviews = predictions[["review_id", "split"]].assign(text="x", cluster=lambda frame: np.arange(len(frame)) // 2)
    path = tmp_path / "reviews.parquet"
    store.write(path, reviews)
    found = load_or_compute_evaluation(trial, tmp_path, path)
    expected = evaluate_trial(trial.architecture, trial.seed, add_groups(predictions, reviews))
    assert found == stored_and_read(expected)
    without = load_or_compute_evaluation(trial, tmp_path)
    assert found.scores == without.scores
    assert found.reliability != without.reliability
    assert len(evaluation_files(tmp_path)) == 2
