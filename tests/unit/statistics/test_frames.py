"""Cache of evaluations: an evaluation is reused only for the same trials, files and code."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.statistics import comparison
from tasks.statistics import frames as module
from tasks.statistics.frames import compute_frames, load_or_compute_frames
from tasks.statistics.options import ComparisonOptions
from tasks.storage import cache, store
from tasks.storage.archives import unpack_files
from tasks.storage.layout import predictions_file, reviews_file
from tasks.storage.trial_records import TrainedTrial, TrainingFacts, TrialResult
from tasks.storage.trials import store_trial
from tests.helpers import synthetic
from tests.helpers.warnings_logged import warnings_logged

REVIEWS = "reviews-x.parquet"


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw 50 resamples instead of 10,000, which would take most of the time."""
    monkeypatch.setattr(module, "ComparisonOptions", partial(ComparisonOptions, draws=50))


@pytest.fixture
def trials(tmp_path: Path) -> list[TrialResult]:
    """Store four trials and their reviews in `tmp_path`, and return the results of the trials."""
    frames = synthetic.select_architectures(synthetic.make_frames(reviews=40, seeds=2), "lstm", "simple_rnn")
    store.write(reviews_file(tmp_path, REVIEWS), synthetic.make_texts(frames["predictions"]))
    return [store_synthetic_trial(tmp_path, frames, row) for row in frames["trials"].to_dict("records")]


def store_synthetic_trial(folder: Path, frames: dict[str, pd.DataFrame], row: dict[Any, Any]) -> TrialResult:
    """Store one trial of `synthetic.make_frames`, and return its result."""

    def select(frame: pd.DataFrame) -> pd.DataFrame:
        own = (frame["architecture"] == row["architecture"]) & (frame["seed"] == row["seed"])
        return frame[own].reset_index(drop=True)

    facts = TrainingFacts(**{name: value for name, value in row.items() if name in TrainingFacts.model_fields})
    history, predictions = select(frames["history"]), select(frames["predictions"])
    trained = TrainedTrial(history, predictions, {"w": np.zeros(1, np.float32)}, facts)
    return store_trial(folder, f"{row['architecture']}-seed-{row['seed']}-0", trained)


class CountedResampling:
    """Counts how often reviews are resampled: once per split in every evaluation."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.resample_reviews = 0, comparison.resample_reviews
        monkeypatch.setattr(comparison, "resample_reviews", self)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.count += 1
        return self.resample_reviews(*arguments, **options)


def test_same_trials_are_evaluated_once(
    trials: list[TrialResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resampling = CountedResampling(monkeypatch)
    first, second = (load_or_compute_frames(trials, REVIEWS, tmp_path) for _ in range(2))
    assert resampling.count == 2  # validation and test
    expected = compute_frames(trials, REVIEWS, tmp_path)
    assert list(first) == list(second) == list(expected)
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(first[name], frame, check_exact=True, obj=name)
        pd.testing.assert_frame_equal(second[name], frame, check_exact=True, obj=name)


def test_predictions_are_stored_with_the_trials_only(trials: list[TrialResult], tmp_path: Path) -> None:
    frames = load_or_compute_frames(trials, REVIEWS, tmp_path)
    (archive,) = (tmp_path / "evaluations").glob("*.zip")
    assert set(unpack_files(archive.read_bytes(), archive)) == set(frames) - {"predictions"}


def test_other_trials_or_files_are_evaluated_again(
    trials: list[TrialResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resampling = CountedResampling(monkeypatch)

    def count_resampling(trials: list[TrialResult]) -> int:
        before = resampling.count
        load_or_compute_frames(trials, REVIEWS, tmp_path)
        return resampling.count - before

    assert [count_resampling(trials), count_resampling(trials), count_resampling(trials[:3])] == [2, 0, 2]
    slower = [trials[0].model_copy(update={"train_seconds": 99.0}), *trials[1:]]
    assert [count_resampling(slower), count_resampling(trials)] == [2, 0]
    path = predictions_file(tmp_path, trials[0].name)
    predictions = store.frame(path)
    store.write(path, predictions.assign(probability=1 - predictions["probability"]))
    assert count_resampling(trials) == 2  # the result of the trial is the same, but its file is not


def test_evaluation_of_other_code_is_not_reused(
    trials: list[TrialResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resampling = CountedResampling(monkeypatch)
    for version in ("a", "a", "b"):
        monkeypatch.setattr(cache, "code_version", lambda *_, version=version: version)
        load_or_compute_frames(trials, REVIEWS, tmp_path)
    assert resampling.count == 4


def test_damaged_evaluation_is_computed_again_with_a_warning(trials: list[TrialResult], tmp_path: Path) -> None:
    first = load_or_compute_frames(trials, REVIEWS, tmp_path)
    (archive,) = (tmp_path / "evaluations").glob("*.zip")
    content = bytearray(archive.read_bytes())
    content[len(content) // 3] ^= 1
    archive.write_bytes(content)
    with warnings_logged("tasks") as messages:
        again = load_or_compute_frames(trials, REVIEWS, tmp_path)
    pd.testing.assert_frame_equal(again["pairs"], first["pairs"], check_exact=True)
    assert len(messages) == 1


def test_groups_of_the_reviews_reach_every_table(trials: list[TrialResult], tmp_path: Path) -> None:
    path = reviews_file(tmp_path, REVIEWS)
    alone, texts = compute_frames(trials, REVIEWS, tmp_path), store.frame(path)
    own = texts.assign(cluster=np.arange(len(texts)))
    store.write(path, own)
    for name, frame in compute_frames(trials, REVIEWS, tmp_path).items():
        pd.testing.assert_frame_equal(alone[name], frame, check_exact=True, obj=name)
    other = "reviews-in-groups"  # the name of stored reviews covers their content
    store.write(reviews_file(tmp_path, other), own.assign(cluster=np.arange(len(texts)) // 4, group="film"))
    grouped = load_or_compute_frames(trials, other, tmp_path)
    setup = grouped["setup"].iloc[0]
    assert (setup["test_groups"], setup["validation_groups"], bool(setup["groups_known"])) == (10, 10, True)
    for name in (
        "summary",
        "pairs",
        "reliability",
        "slices",
        "calibration",
    ):  # two seeds have no power, with and without groups
        assert not alone[name].equals(grouped[name]), name
    for name in ("scores", "disagreement", "expected"):
        pd.testing.assert_frame_equal(alone[name], grouped[name], check_exact=True, obj=name)
