"""One row an architecture and metric: by hand on a small panel, and against scipy."""

import numpy as np
import pandas as pd
import pytest

from tasks.evaluation.predictions import Panel, contributions
from tasks.statistics.resampling import interval, noise, share_interval
from tasks.statistics.summary import SUMMARY_COLUMNS, diverged_seeds, summarise_panel
from tests.helpers.simulated_predictions import simulated_panels

TRIALS = pd.DataFrame(
    {"architecture": ["a", "a", "b"], "seed": [0, 1, 0], "status": ["finished", "diverged", "diverged"]}
)


def two_by_three() -> Panel:
    """Give architecture a with two seeds (a third missing) and b with one, on four reviews, all positive."""
    nothing = [np.nan] * 4
    probabilities = np.array(
        [[[0.9, 0.9, 0.9, 0.1], nothing, [0.9, 0.9, 0.1, 0.1]], [[0.9, 0.1, 0.1, 0.1], nothing, nothing]], np.float32
    )
    ids = np.array(list("wxyz"), object)
    return Panel(["a", "b"], [0, 1, 2], ids, np.ones(4, np.int8), probabilities, ~np.isnan(probabilities[..., 0]))


def summarised(data: Panel, deterministic=(), **options) -> pd.DataFrame:
    given = contributions(data)
    resampled = {name: each[..., :3] for name, each in given.items()}
    return summarise_panel(data, given, resampled, "test", TRIALS, deterministic, **options)


def test_a_row_by_hand() -> None:
    found = summarised(two_by_three()).set_index(["architecture", "metric"]).loc[("a", "accuracy")]
    # Scores 3/4 and 2/4.
    assert (found["mean"], found["min"], found["max"], found["seeds"]) == (0.625, 0.5, 0.75, 2)
    assert found["std"] == pytest.approx(np.sqrt(2 * 0.125**2))
    of = noise(np.array([[1.0, 1, 1, 0], [1, 1, 0, 0]]))
    assert (found["seed_variance"], found["item_variance"]) == (of.seed_variance, of.item_variance)
    assert (found["low"], found["high"]) == share_interval(0.625, of, reviews=4)
    assert (found["diverged"], found["note"]) == (1, "")


def test_log_loss_has_a_plain_interval() -> None:
    data = simulated_panels([0.8], seeds=3, reviews=50, seed=0)["test"]
    given = contributions(data)["log_loss"][0]
    found = summarised(data).set_index("metric").loc["log_loss"]
    assert (found["low"], found["high"]) == interval(given.mean(axis=1).mean(), noise(given))


def test_the_draws_of_seeds_follow_from_the_seed() -> None:
    data = simulated_panels([0.8], seeds=5, reviews=50, seed=0)["test"]
    first, again, other = (summarised(data, seed=seed)["bootstrap_low"] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_what_one_seed_cannot_tell_is_said() -> None:
    rows = summarised(two_by_three()).query("metric == 'accuracy'").set_index("architecture")
    assert rows.loc["b", "note"].startswith("one seed")
    assert rows.loc["b", ["std", "seed_variance"]].isna().all()
    fixed = summarised(two_by_three(), ("a", "b")).query("metric == 'accuracy'").set_index("architecture")
    assert fixed.loc["b", "note"].startswith("no randomness")
    assert fixed.loc["b", "seed_variance"] == 0
    # Whoever gave two different models is not without randomness.
    assert fixed.loc["a", "note"] == ""


def test_what_diverged_is_counted() -> None:
    assert [diverged_seeds(TRIALS, name) for name in "abc"] == [1, 1, 0]
    assert diverged_seeds(None, "a") == diverged_seeds(TRIALS.drop(columns="status"), "a") == 0


def test_rows_and_columns() -> None:
    found = summarised(simulated_panels([0.8, 0.7], seeds=2, reviews=30, seed=0)["test"])
    assert list(found) == SUMMARY_COLUMNS
    assert found[["architecture", "metric"]].to_numpy().tolist() == [
        [name, metric] for name in ("model_0", "model_1") for metric in ("accuracy", "f1", "auc", "log_loss")
    ]
