"""Trials that were evaluated before are not evaluated again, unless something of them or of the code is another."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.statistics import comparison, frames
from tasks.storage import store
from tasks.storage.trials import store_trial
from tests.helpers import synthetic

Trials = list[dict[str, Any]]


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    """Store four trials and their reviews in `tmp_path`, as if they had been trained; return their facts."""
    made = synthetic.of(synthetic.frames(reviews=40, seeds=2), "lstm", "simple_rnn")
    store.write(tmp_path / "reviews" / "reviews-x.parquet", synthetic.texts(made["predictions"]))
    return [stored(tmp_path, made, trial) for trial in made["trials"].to_dict("records")]


def stored(folder: Path, made: dict[str, pd.DataFrame], trial: dict[Any, Any]) -> dict[str, Any]:
    """Store one trial of `synthetic.frames`, and return its facts."""

    def own(frame: pd.DataFrame) -> pd.DataFrame:
        chosen = (frame["architecture"] == trial["architecture"]) & (frame["seed"] == trial["seed"])
        return frame[chosen].reset_index(drop=True)

    history = own(made["history"])
    history.attrs = dict(trial)
    name = f"{trial['architecture']}-seed-{trial['seed']}-0"
    facts = store_trial(folder, name, history, own(made["predictions"]), {"w": np.zeros(1, np.float32)})
    return {**facts, "train_fraction": 1.0}


class Counted:
    """Counts how often the reviews are resampled, which every evaluation does once a split."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times, self.real = 0, comparison.item_draws
        monkeypatch.setattr(comparison, "item_draws", self)

    def __call__(self, *values: Any, **named: Any) -> Any:
        self.times += 1
        return self.real(*values, **named)


def test_the_same_trials_are_evaluated_once(trials: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resampled = Counted(monkeypatch)
    first, second = (frames.kept_frames(trials, "reviews-x.parquet", tmp_path, pytest.fail) for _ in range(2))
    assert resampled.times == 2  # validation and test
    made = frames.all_frames(trials, "reviews-x.parquet", tmp_path)
    assert list(first) == list(second) == list(made)
    for name, frame in made.items():
        pd.testing.assert_frame_equal(first[name], frame, check_exact=True, obj=name)
        pd.testing.assert_frame_equal(second[name], frame, check_exact=True, obj=name)


def test_other_trials_are_evaluated_anew(trials: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resampled = Counted(monkeypatch)

    def evaluated(which: Trials) -> int:
        before = resampled.times
        frames.kept_frames(which, "reviews-x.parquet", tmp_path, pytest.fail)
        return resampled.times - before

    assert [evaluated(trials), evaluated(trials), evaluated(trials[:3])] == [2, 0, 2]
    slower = [{**trials[0], "train_seconds": 99.0}, *trials[1:]]
    assert [evaluated(slower), evaluated(trials)] == [2, 0]
    path = tmp_path / "trials" / f"{Path(trials[0]['weights']).stem}.predictions.parquet"
    other = store.frame(path)
    store.write(path, other.assign(probability=1 - other["probability"]))
    assert evaluated(trials) == 2  # the file is another, though everything that is known of the trial is the same


def test_what_is_kept_of_other_code_is_not_used(
    trials: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resampled = Counted(monkeypatch)
    for version in ("a", "a", "b"):
        monkeypatch.setattr(frames.cache, "code_version", lambda *_, version=version: version)
        frames.kept_frames(trials, "reviews-x.parquet", tmp_path, pytest.fail)
    assert resampled.times == 4


def test_damaged_frames_are_made_again(trials: Trials, tmp_path: Path) -> None:
    said: list[str] = []
    first = frames.kept_frames(trials, "reviews-x.parquet", tmp_path, said.append)
    (kept,) = (tmp_path / "evaluations").glob("*.zip")
    content = bytearray(kept.read_bytes())
    content[len(content) // 3] ^= 1
    kept.write_bytes(content)
    again = frames.kept_frames(trials, "reviews-x.parquet", tmp_path, said.append)
    pd.testing.assert_frame_equal(again["pairs"], first["pairs"], check_exact=True)
    assert len(said) == 1
