"""Evaluation of a single trial: the part of an evaluation that does not depend on other trials.

It is computed where the trial was trained and stored next to it, so that the process that compares the trials reads
a few kilobytes per trial. Its key covers the files of the trial and the code of the evaluation: a change of this code
evaluates a trial again, but does not train it again.

The contributions of each review to the metrics are not stored: computing them from the predictions takes no longer than
reading them, and they would almost double the size of a stored trial's predictions.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
from pydantic import BaseModel, ConfigDict

from tasks.config.errors import DamagedFileError
from tasks.config.escape import escape_terminal
from tasks.evaluation.calibration import calibrate
from tasks.evaluation.grouping import GROUP_COLUMN, add_groups
from tasks.evaluation.predictions import TRIAL_COLUMNS
from tasks.evaluation.reliability import reliability_table
from tasks.evaluation.scores import classification_reports, confusion_matrices, score_trials
from tasks.storage import store
from tasks.storage.archives import Files
from tasks.storage.cache import cache_key, load_or_compute
from tasks.storage.layout import predictions_file, trial_evaluation_file
from tasks.storage.safe_files import Name, json_model
from tasks.storage.trial_records import TrialResult

LIBRARIES = ("numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "statsmodels")
FILE = "evaluation.json"
Split = Literal["validation", "test"]


class TrialTable(NamedTuple):
    """A table with rows of each trial, in addition to the columns architecture and seed.

    Attributes:
        compute: Computes the table from predictions.
        columns: Its other columns, in the order of the values of a row.
    """

    compute: Callable[[pd.DataFrame], pd.DataFrame]
    columns: tuple[str, ...]


TRIAL_TABLES = {
    "scores": TrialTable(score_trials, ("split", "metric", "value")),
    "classes": TrialTable(classification_reports, ("split", "class", "precision", "recall", "f1", "support")),
    "confusions": TrialTable(confusion_matrices, ("split", "label", "predicted", "count")),
    "calibration": TrialTable(
        calibrate,
        (
            "temperature", "threshold", "log_loss", "brier", "ece", "log_loss_scaled", "brier_scaled", "ece_scaled",
            "accuracy", "accuracy_threshold", "note",
        ),
    ),
    "reliability": TrialTable(reliability_table, ("bin", "predicted", "observed", "low", "high", "reviews")),
}  # fmt: skip


class TrialEvaluation(BaseModel):
    """Rows of one trial in the tables `TRIAL_TABLES`. They are validated when they are read from the cache.

    Attributes:
        architecture: Name of the architecture or baseline.
        seed: Seed of the training.
        scores: Scores by split and metric; no rows in any table if the trial has no predictions.
        classes: Scores by split and class.
        confusions: Numbers of reviews by split, true and predicted label.
        calibration: One row; none if a split has no predictions.
        reliability: Bins of the predicted probability, test split.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=True, ser_json_inf_nan="constants"
    )

    architecture: Name
    seed: int
    scores: tuple[tuple[Split, Name, float], ...] = ()
    classes: tuple[tuple[Split, Name, float, float, float, int], ...] = ()
    confusions: tuple[tuple[Split, int, int, int], ...] = ()
    calibration: tuple[tuple[float, float, float, float, float, float, float, float, float, float, str], ...] = ()
    reliability: tuple[tuple[int, float, float, float, float, int], ...] = ()


def evaluate_trial(architecture: str, seed: int, predictions: pd.DataFrame) -> TrialEvaluation:
    """Evaluate one trial on the validation and the test split.

    Args:
        architecture: Name of the architecture or baseline.
        seed: Seed of the training.
        predictions: Predictions of this trial: columns architecture, seed, split, review_id, label, those of the
            probabilities, and cluster where it is known. No rows if it diverged.

    Raises:
        ValueError: If a probability is not in [0, 1].
    """
    if predictions.empty:
        return TrialEvaluation(architecture=architecture, seed=seed)
    rows = {
        name: tuple(table.compute(predictions)[list(table.columns)].itertuples(index=False, name=None))
        for name, table in TRIAL_TABLES.items()
    }
    return TrialEvaluation(architecture=architecture, seed=seed, **rows)


def trial_tables(evaluations: Sequence[TrialEvaluation]) -> dict[str, pd.DataFrame]:
    """Return the tables `TRIAL_TABLES` of several trials, in the order of the trials."""
    return {
        name: pd.DataFrame(
            [(each.architecture, each.seed, *row) for each in evaluations for row in getattr(each, name)],
            columns=[*TRIAL_COLUMNS, *table.columns],
        )
        for name, table in TRIAL_TABLES.items()
    }


def load_or_compute_evaluation(trial: TrialResult, folder: Path, reviews: Path | None = None) -> TrialEvaluation:
    """Return the evaluation of a stored trial from the cache, or compute and store it.

    Args:
        trial: Result of the trial.
        folder: Cache folder.
        reviews: Stored reviews with their groups, if these are known; None for reviews without groups.

    Raises:
        FileNotFoundError: If the predictions of the trial are missing.
        DamagedFileError: If they are damaged.
    """
    predictions = predictions_file(folder, trial.name)
    key = cache_key(
        [evaluate_trial, add_groups], LIBRARIES, trial=trial.name, predictions=store.checksum(predictions),
        reviews=reviews and reviews.name,  # its name contains a key that covers the groups
    )  # fmt: skip
    path = trial_evaluation_file(folder, trial.name, key)

    def compute() -> Files:
        rows = store.frame(predictions)
        if reviews is not None:
            rows = add_groups(rows, _read_groups(reviews, store.checksum(reviews)))
        evaluation = evaluate_trial(trial.architecture, trial.seed, rows)
        return {FILE: evaluation.model_dump_json().encode()}

    def parse(files: Files) -> TrialEvaluation:
        evaluation = json_model(files.get(FILE, b""), TrialEvaluation, path)
        if (evaluation.architecture, evaluation.seed) != (trial.architecture, trial.seed):
            raise DamagedFileError(f"{escape_terminal(path)} belongs to another trial")
        return evaluation

    return load_or_compute(path, compute, parse)[0]


@lru_cache(maxsize=1)  # a worker evaluates many trials on the same reviews
def _read_groups(reviews: Path, checksum: str) -> pd.DataFrame:  # noqa: ARG001
    """Return the columns of stored reviews that `add_groups` needs."""
    return store.table(reviews, columns=("review_id", "split", GROUP_COLUMN)).to_pandas()


def store_evaluation(trial: TrialResult, folder: Path, reviews: Path | None = None) -> None:
    """Evaluate a stored trial and store the evaluation next to it, unless it is stored already.

    Args:
        trial: Result of the trial.
        folder: Cache folder.
        reviews: Stored reviews, see `load_or_compute_evaluation`.

    Raises:
        NotWrittenError: If the evaluation cannot be written. The trial stays stored.
    """
    load_or_compute_evaluation(trial, folder, reviews)
