"""The table of a search, and the selection by the validation loss."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.config.recipe import Recipe
from tasks.evaluation.metrics import METRICS
from tasks.storage.trial_records import TrialResult, TrialSpec, select_compared
from tasks.storage.trials import store_trial
from tasks.tuning.search_space import SEARCH_SPACE, TUNING_SEED, sample_configurations
from tasks.tuning.table import TUNING_TYPES, searches_without_result, selected_recipes, tuning_table
from tests.helpers.trial_records import make_trial

SHARED = Recipe(epochs=3)


def search(folder: Path, losses: dict[str, list[float | str]]) -> tuple[list[TrialSpec], list[TrialResult]]:
    """Store the trials of searches. A loss is that of the best epoch, or the status of an unfinished trial."""
    specs, results = [], []
    for name, each in losses.items():
        recipes = sample_configurations(SHARED, len(each))
        for count, (loss, recipe) in enumerate(zip(each, recipes, strict=True), start=1):
            trial = f"{name}-seed-{TUNING_SEED}-{count:x}"
            specs.append(TrialSpec(name, TUNING_SEED, recipe, folder, 1.0, trial, trial, folder, configuration=count))
            if loss == "failed":
                continue
            status = "diverged" if loss == "diverged" else "finished"
            known = {"architecture": name, "seed": TUNING_SEED, "status": status, "epochs": 3, "best_epoch": 2}
            stored = make_trial(history(loss), predictions(name, status), **known)
            results.append(store_trial(folder, trial, stored, cpu_seconds=10.0 * count, configuration=count))
    return specs, results


def history(loss: float | str) -> pd.DataFrame:
    """Return three epochs, of which the second one is the best, unless it diverged after a very good epoch."""
    best = 0.01 if isinstance(loss, str) else loss
    rows = [
        {"architecture": "a", "seed": TUNING_SEED, "epoch": epoch, "split": split, "loss": value, "accuracy": 0.5}
        for epoch, validation in enumerate((best + 1, best, best + 0.5), start=1)
        for split, value in (("train", 0.001), ("validation", validation))
    ]
    return pd.DataFrame(rows)


def predictions(architecture: str, status: str) -> pd.DataFrame:
    """Return four validation reviews, three of which are classified correctly."""
    columns = {"review_id": ["a", "b", "c", "d"], "split": "validation", "label": [0, 0, 1, 1]}
    columns |= {"architecture": architecture, "seed": TUNING_SEED}
    frame = pd.DataFrame({**columns, "probability": [0.1, 0.6, 0.7, 0.9]})
    return frame.head(0) if status == "diverged" else frame


def test_lowest_loss_at_the_best_epoch_selects_and_diverged_trials_never_win(tmp_path: Path) -> None:
    losses = {"lstm": ["diverged", 0.4, 0.3, "failed"], "simple_rnn": [0.2, 0.2, 0.5, 0.6]}
    table = tuning_table(*search(tmp_path, losses), tmp_path)
    assert {name: str(kind) for name, kind in table.dtypes.items()} == TUNING_TYPES
    assert table["configuration"].tolist() == [1, 2, 3, 4] * 2
    assert table["status"].tolist()[:4] == ["diverged", "finished", "finished", "failed"]
    np.testing.assert_array_equal(table["validation_loss"][:4], [np.nan, 0.4, 0.3, np.nan])
    np.testing.assert_array_equal(table["validation_accuracy"][:4], [np.nan, 0.75, 0.75, np.nan])
    assert table.loc[1, "validation_auc"] == 0.75 + 0.25  # every positive review has a higher probability
    assert {f"validation_{metric}" for metric in METRICS} <= set(table)
    np.testing.assert_array_equal(table["cpu_seconds"][:4], [10, 20, 30, np.nan])
    assert table.loc[table["selected"], ["architecture", "configuration"]].to_numpy().tolist() == [
        ["lstm", 3], ["simple_rnn", 1],  # the first one of equal losses
    ]  # fmt: skip


def test_selected_recipe_has_the_values_of_its_configuration_and_shares_the_rest(tmp_path: Path) -> None:
    specs, results = search(tmp_path, {"lstm": [0.4, 0.3], "simple_rnn": ["failed", "diverged"]})
    recipes = selected_recipes(tuning_table(specs, results, tmp_path), SHARED)
    assert recipes == {"lstm": sample_configurations(SHARED, 2)[1]}
    assert recipes["lstm"].epochs == 3
    assert all(type(getattr(recipes["lstm"], name)) is type(getattr(SHARED, name)) for name in SEARCH_SPACE)


def test_search_without_a_finished_trial_is_a_failure(tmp_path: Path) -> None:
    losses = {"lstm": ["diverged", "failed"], "gru": ["diverged", "diverged"], "simple_rnn": [0.3, "failed"]}
    reasons = searches_without_result(tuning_table(*search(tmp_path, losses), tmp_path))
    assert list(reasons) == ["LSTM", "GRU"]
    assert "1 diverged, 1 failed" in reasons["LSTM"]
    assert "failed" not in reasons["GRU"]


def test_table_without_a_search_has_the_same_columns_and_types(tmp_path: Path) -> None:
    table = tuning_table([], [], tmp_path)
    assert {name: str(kind) for name, kind in table.dtypes.items()} == TUNING_TYPES
    assert selected_recipes(table, SHARED) == searches_without_result(table) == {}


def test_trials_of_a_search_are_not_compared(tmp_path: Path) -> None:
    specs, results = search(tmp_path, {"lstm": [0.4, 0.3]})
    assert select_compared(specs) == select_compared(results) == []


@pytest.mark.parametrize("name", ["learning_rate", "units"])
def test_value_that_no_recipe_may_have_is_refused(tmp_path: Path, name: str) -> None:
    table = tuning_table(*search(tmp_path, {"lstm": [0.4, 0.3]}), tmp_path)
    with pytest.raises(ValueError, match=name):
        selected_recipes(table.assign(**{name: -1}), SHARED)
