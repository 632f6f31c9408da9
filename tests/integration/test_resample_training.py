"""Resamples of the training reviews in a real run: their trials are cached, and in no ordinary table."""

import re
from pathlib import Path

import pandas as pd
import pytest

from tasks.models.baselines import BASELINES
from tasks.nightly.history import read_history
from tasks.storage.layout import cache_dir
from tasks.storage.retention import TRIALS, plan_removal
from tasks.storage.trials import read_trial
from tests.conftest import Command

NAMES = {"simple_rnn", *BASELINES}


@pytest.mark.slow
def test_run_with_resamples(compare: Command, tmp_path: Path) -> None:
    plain = compare("--results", str(tmp_path), "--seeds", "2", "--run-name", "plain")
    assert plain.returncode == 0, plain.stderr
    options = ("--results", str(tmp_path), "--seeds", "2", "--resample-training", "2")
    done = compare(*options, "--run-name", "resampled")
    assert done.returncode == 0, done.stderr
    assert f"training {2 * len(NAMES)}." in done.stderr + done.stdout  # the ordinary trials are in the cache
    again = compare(*options, "--run-name", "again")
    assert again.returncode == 0, again.stderr
    assert "training 0." in again.stderr + again.stdout

    before, after = (
        {path.stem: pd.read_parquet(path) for path in (tmp_path / "runs" / run / "tables").glob("*.parquet")}
        for run in ("plain", "resampled")
    )
    new = {"resampled_trials", "resampled_scores", "variance_components", "training_pairs"}
    assert set(after) - set(before) == new
    for name in ("trials", "scores", "summary", "pairs", "predictions", "history", "gaps", "groups"):
        pd.testing.assert_frame_equal(after[name], before[name], obj=name)
    trials = after["resampled_trials"]
    assert sorted(zip(trials["architecture"], trials["resample"], strict=True)) == [
        (name, number) for name in sorted(NAMES) for number in (1, 2)
    ]
    assert set(trials.query("architecture == 'simple_rnn'")["seed"]) == {1001, 1002}
    assert set(trials["weights"]).isdisjoint(after["trials"]["weights"])
    assert set(after["resampled_scores"]["split"]) == {"validation", "test"}
    history = read_history(tmp_path)
    assert set(history["trial"]) == {Path(name).stem for name in after["trials"]["weights"]}

    names = {Path(name).stem for name in trials["weights"]}
    results = [read_trial(cache_dir(tmp_path), name) for name in names]
    assert {result.resample for result in results if result} == {1, 2}
    unused = {item.name for item in plan_removal(tmp_path, keep_runs=9, older_than=0).items if item.kind == TRIALS}
    assert not names & unused  # the run refers to them

    report = (tmp_path / "runs" / "resampled" / "report.md").read_text()
    assert "2 bootstrap resamples" in report
    assert "Differences with other training reviews" in report
    labels = set(re.findall(r"simple_rnn-seed-\d+-resample-\d", done.stderr))
    assert labels >= {"simple_rnn-seed-1001-resample-1", "simple_rnn-seed-1002-resample-2"}
