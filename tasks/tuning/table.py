"""The table `tuning`: one row for each trial of a search, and the configuration that is selected by it.

Only validation scores are in it. The trials have read no test reviews.
"""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.config.escape import escape_terminal
from tasks.config.labels import label
from tasks.config.recipe import Recipe
from tasks.evaluation.metrics import METRICS
from tasks.evaluation.scores import score_trials
from tasks.storage import store
from tasks.storage.layout import history_file, predictions_file
from tasks.storage.trial_records import NOT_MEASURED, TrialResult, TrialSpec
from tasks.tuning.search_space import SEARCH_SPACE

SCORE_COLUMNS = {metric: f"validation_{metric}" for metric in METRICS}
COSTS = ("cpu_seconds", "train_seconds")
TUNING_TYPES = {
    "architecture": "str", "configuration": "int64",
    **{name: "int64" if searched.scale == "choice" else "float64" for name, searched in SEARCH_SPACE.items()},
    "seed": "int64", "status": "str", "epochs": "int64", "validation_loss": "float64",
    **dict.fromkeys([*SCORE_COLUMNS.values(), *COSTS], "float64"), "selected": "bool", "weights": "str",
}  # fmt: skip


def tuning_table(specs: Sequence[TrialSpec], results: Sequence[TrialResult], folder: Path) -> pd.DataFrame:
    """Return the trials of a search, and which configuration of each architecture is selected.

    Args:
        specs: Trials of the search.
        results: Results of those that did not fail.
        folder: Cache folder.

    Returns:
        One row per trial: architecture, configuration (number, from 1), the parameters of `SEARCH_SPACE`, seed, status
        (finished, diverged or failed), epochs (that were trained), validation_loss (of the best epoch, in nats),
        validation_ and the name of each of `METRICS`, cpu_seconds, train_seconds, selected, and weights (their file
        name). Loss and scores are NaN unless the trial has finished. No rows without trials.
    """
    by_name = {result.name: result for result in results}
    rows = [_row(spec, by_name.get(spec.name), folder) for spec in specs]
    table = pd.DataFrame(rows, columns=list(TUNING_TYPES)).fillna({"selected": False}).astype(TUNING_TYPES)
    return table.assign(selected=_is_selected(table))


def _row(spec: TrialSpec, result: TrialResult | None, folder: Path) -> dict[str, object]:
    row: dict[str, object] = {
        "architecture": spec.architecture, "configuration": spec.configuration,
        **{name: getattr(spec.recipe, name) for name in SEARCH_SPACE}, "seed": spec.seed,
        "status": "failed" if result is None else result.status, "epochs": 0 if result is None else result.epochs,
        "validation_loss": NOT_MEASURED, **dict.fromkeys(SCORE_COLUMNS.values(), NOT_MEASURED),
        **{cost: NOT_MEASURED if result is None else getattr(result, cost) for cost in COSTS},
        "weights": f"{spec.name}.safetensors",
    }  # fmt: skip
    return row if result is None or result.status != "finished" else row | validation_scores(result, folder)


def validation_scores(trial: TrialResult, folder: Path) -> dict[str, float]:
    """Return the validation loss of a finished trial at its best epoch, and its validation scores, by column."""
    history = store.frame(history_file(folder, trial.name))
    (loss,) = history.loc[(history["epoch"] == trial.best_epoch) & (history["split"] == "validation"), "loss"]
    predictions = store.frame(predictions_file(folder, trial.name))
    scores = score_trials(predictions[predictions["split"] == "validation"])
    named = zip(scores["metric"], scores["value"], strict=True)
    return {"validation_loss": float(loss), **{SCORE_COLUMNS[metric]: float(value) for metric, value in named}}


def _is_selected(table: pd.DataFrame) -> np.ndarray:
    """Return whether each row has the lowest validation loss of its architecture, the first of equal ones.

    An architecture none of whose trials has finished has no selected row.
    """
    finished = table[(table["status"] == "finished") & table["validation_loss"].notna()]
    best = finished.groupby("architecture", observed=True)["validation_loss"].idxmin()
    return np.asarray(table.index.isin(best))


def selected_recipes(table: pd.DataFrame, recipe: Recipe) -> dict[str, Recipe]:
    """Return the recipe of each architecture that has a selected configuration.

    Args:
        table: The table `tuning`.
        recipe: The shared recipe, which has the values of the parameters that were not searched.

    Raises:
        pydantic.ValidationError: If a value is not allowed in a recipe.
    """
    rows = table[table["selected"].astype(bool)]
    return {row["architecture"]: _recipe(row, recipe) for row in rows.to_dict("records")}


def _recipe(row: Mapping[Hashable, Any], recipe: Recipe) -> Recipe:
    return Recipe.model_validate({**recipe.model_dump(), **{name: row[name] for name in SEARCH_SPACE}})


def searches_without_result(table: pd.DataFrame) -> dict[str, str]:
    """Return why an architecture has no selected configuration and is not compared, by its display name."""
    groups = table.groupby("architecture", sort=False)
    return {label(str(name)): _describe_lost(rows["status"]) for name, rows in groups if not rows["selected"].any()}


def _describe_lost(statuses: pd.Series) -> str:
    """Format why no configuration of a search could be selected, and what helps."""
    counts = {name: int((statuses == name).sum()) for name in ("diverged", "failed")}
    lost = {name: count for name, count in counts.items() if count}
    detail = f" ({', '.join(f'{count} {name}' for name, count in lost.items())})" if len(lost) > 1 else ""
    help_for = {
        "diverged": "The loss of a diverged training became NaN or infinite, and would do so again: try more "
        "configurations (`tune`), or leave the architecture out (`architectures`).",
        "failed": "The reason of each failed training is listed with its name.",
    }
    return (
        f"all {len(statuses)} configurations of its search {' or '.join(lost)}{detail}, so it is not compared. "
        f"{' '.join(help_for[name] for name in lost)}"
    )


def describe_selected(table: pd.DataFrame) -> list[str]:
    """Return one sentence for each selected configuration, without control characters."""
    return [_describe(row) for row in table[table["selected"]].to_dict("records")]


def _describe(row: Mapping[Hashable, Any]) -> str:
    values = ", ".join(f"{name} {row[name]:g}" for name in SEARCH_SPACE)
    return (
        f"{escape_terminal(row['architecture'])}: configuration {row['configuration']} has the lowest validation loss "
        f"({row['validation_loss']:.4f}): {values}."
    )
