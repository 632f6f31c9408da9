"""The plan of a comparison: every network with every seed, every baseline once, for each fraction."""

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.config.errors import UserError
from tasks.config.recipe import Recipe
from tasks.execution.plan import plan
from tasks.models.baselines import BASELINES
from tasks.statistics.frames import of_largest_fraction
from tests.conftest import ROOT

NOTES = {"vocabulary": "v", "reviews": "f" * 64, "reviews_file": "reviews.parquet"}
WHOLE = {**NOTES, "fingerprint": "a", "file": "whole.parquet", "train_fraction": 1.0}
HALF = {**NOTES, "fingerprint": "b", "file": "half.parquet", "train_fraction": 0.5}


def planned(*encoded, recipe=None):
    return plan(("lstm", "simple_rnn"), range(3), recipe or Recipe(), encoded, Path("cache"))


def test_networks_have_seeds_and_baselines_have_none():
    calls = planned(WHOLE)
    assert [call["trial"] for call in calls[:4]] == ["lstm-seed-0", "lstm-seed-1", "lstm-seed-2", "simple_rnn-seed-0"]
    assert [call["trial"] for call in calls[6:]] == [f"{name}-seed-0" for name in BASELINES]
    assert {call["data"] for call in calls[:6]} == {Path("cache/encoded/whole.parquet")}
    assert {call["data"] for call in calls[6:]} == {Path("cache/reviews/reviews.parquet")}


def test_each_fraction_has_trials_of_its_own():
    calls = planned(HALF, WHOLE)
    assert len({call["name"] for call in calls}) == len(calls) == 2 * (6 + len(BASELINES))
    assert [call["trial"] for call in calls if call["architecture"] == "majority"] == [
        "majority-seed-0-fraction-0.5",
        "majority-seed-0",
    ]


def test_a_recipe_is_nothing_to_a_baseline():
    both = zip(planned(WHOLE), planned(WHOLE, recipe=Recipe(units=3)), strict=True)
    same = {one["architecture"] for one, other in both if one["name"] == other["name"]}
    assert same == set(BASELINES)


def test_baselines_alone_are_no_comparison():
    def trial(name, status, fraction=1.0):
        return {"architecture": name, "status": status, "train_fraction": fraction}

    lost = [trial("lstm", "diverged"), trial("nb_svm", "finished"), trial("lstm", "finished", 0.5)]
    with pytest.raises(UserError, match="learning rate"):
        of_largest_fraction(lost)
    kept = [trial("lstm", "finished"), trial("lstm", "finished", 0.5)]
    assert of_largest_fraction(kept) == kept[:1]


@pytest.mark.fault(10)
def test_killed_at_any_moment_of_its_save_a_trial_is_whole_or_not_there(tmp_path):
    script = f"""
import os
import numpy as np, pandas as pd
from pathlib import Path
from tasks.storage import trials
rename = Path.replace
def saved_until(step, folder):
    left = [step]
    def dying(self, target):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), 9)
        return rename(self, target)
    Path.replace = dying
    of = {{"architecture": ["lstm"], "seed": [0], "split": ["validation"]}}
    history = pd.DataFrame({{**of, "epoch": [1], "loss": [0.5], "accuracy": [1.0]}})
    history.attrs = dict(architecture="lstm", seed=0, status="finished", parameters=3, epochs=1, best_epoch=1)
    history.attrs["train_seconds"] = 1.0
    predictions = pd.DataFrame({{**of, "review_id": ["a"], "label": [1], "probability": [0.5]}})
    trials.store_trial(folder, "x", history, predictions, {{"w": np.ones(3, np.float32)}})
for step in range(7):
    folder = Path({str(tmp_path)!r}) / str(step)
    child = os.fork()
    if not child:
        saved_until(step, folder)
        os._exit(0)
    os.waitpid(child, 0)
    print(step, trials.stored_trial(folder, "x") is not None)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:7] == [f"{step} {step == 6}" for step in range(7)]
