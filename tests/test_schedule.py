"""The plan of a comparison: every network with every seed, every baseline once, for each fraction."""

from pathlib import Path

import pytest

from tasks.baselines import BASELINES
from tasks.errors import UserError
from tasks.results import of_largest_fraction
from tasks.schedule import plan
from tasks.settings import Recipe

NOTES = {"vocabulary": "v", "reviews": "f" * 64, "reviews_file": "reviews.parquet"}
WHOLE = {**NOTES, "fingerprint": "a", "file": "whole.parquet", "train_fraction": 1.0}
HALF = {**NOTES, "fingerprint": "b", "file": "half.parquet", "train_fraction": 0.5}


def planned(*encoded, recipe=None):
    return plan(("lstm", "simple_rnn"), 3, recipe or Recipe(), encoded, Path("cache"))


def test_networks_have_seeds_and_baselines_have_none():
    calls = planned(WHOLE)
    assert [call["cell"] for call in calls[:4]] == ["lstm-seed-0", "lstm-seed-1", "lstm-seed-2", "simple_rnn-seed-0"]
    assert [call["cell"] for call in calls[6:]] == [f"{name}-seed-0" for name in BASELINES]
    assert {call["data"] for call in calls[:6]} == {Path("cache/encoded/whole.parquet")}
    assert {call["data"] for call in calls[6:]} == {Path("cache/reviews/reviews.parquet")}


def test_each_fraction_has_cells_of_its_own():
    calls = planned(HALF, WHOLE)
    assert len({call["name"] for call in calls}) == len(calls) == 2 * (6 + len(BASELINES))
    assert [call["cell"] for call in calls if call["architecture"] == "majority"] == [
        "majority-seed-0-fraction-0.5",
        "majority-seed-0",
    ]


def test_a_recipe_is_nothing_to_a_baseline():
    both = zip(planned(WHOLE), planned(WHOLE, recipe=Recipe(units=3)), strict=True)
    same = {one["architecture"] for one, other in both if one["name"] == other["name"]}
    assert same == set(BASELINES)


def test_baselines_alone_are_no_comparison():
    def cell(name, status, fraction=1.0):
        return {"architecture": name, "status": status, "train_fraction": fraction}

    lost = [cell("lstm", "diverged"), cell("nb_svm", "finished"), cell("lstm", "finished", 0.5)]
    with pytest.raises(UserError, match="learning rate"):
        of_largest_fraction(lost)
    kept = [cell("lstm", "finished"), cell("lstm", "finished", 0.5)]
    assert of_largest_fraction(kept) == kept[:1]
