"""Finished runs: find a run directory, and read its record and its tables."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ValidationError

from tasks.config.errors import DamagedFileError, MissingFileError, UserError
from tasks.config.escape import escape_terminal
from tasks.config.metric_names import DEFAULT_METRIC
from tasks.config.parameters import SAFE_NAME
from tasks.config.recipe import Recipe
from tasks.storage import layout
from tasks.storage.backends import storage_of
from tasks.storage.probabilities import check_probability_columns
from tasks.storage.run_info import RunInfo
from tasks.storage.safe_files import LARGEST_RUN_INFO, json_model, reasons
from tasks.storage.safe_parquet import SMALL_TABLE, TABLE, Kind, as_frame, check_columns, check_names, parquet_table

# Columns that are read from each table of a run.
TABLE_COLUMNS: dict[str, dict[str, Kind]] = {
    "trials": {
        "architecture": "text", "seed": "number", "status": "text", "weights": "text", "train_seconds": "number",
    },
    "scores": {"architecture": "text", "seed": "number", "split": "text", "metric": "text", "value": "number"},
    "calibration": {"architecture": "text", "seed": "number", "temperature": "number", "threshold": "number"},
    "summary": {
        "architecture": "text", "split": "text", "metric": "text", "mean": "number", "low": "number", "high": "number",
        "seeds": "number",
    },
    "predictions": {
        "architecture": "text", "seed": "number", "split": "text", "review_id": "text", "label": "number",
    },
    "training_pairs": {
        "first": "text", "second": "text", "metric": "text", "training_variance": "number", "resamples": "number",
    },
}  # fmt: skip
NAME_COLUMNS = ("architecture", "first", "second")
WEIGHTS_FILE = re.compile(r"(?P<architecture>\w[\w.]*)-seed-\d+-[0-9a-f]{1,64}\.safetensors")
# Target of `latest`. Names have at most 100 characters; a second run with the same name gets the suffix `-2`.
LATEST_TARGET = re.compile(r"runs/[A-Za-z0-9][A-Za-z0-9._-]{0,109}")
COSTS = ("parameters", "latency_ms", "train_seconds")
LARGEST_TEMPERATURE = 1e300


@dataclass(frozen=True)
class RunRecord:
    """A finished run, read from its run directory.

    Attributes:
        info: Content of run.json.
        run_dir: The run directory.
        cache_dir: Cache of the results folder that the run belongs to.
        recipe: Shared recipe of the networks.
        vocabulary_path: Vocabulary of the networks.
        trials: One row per trial that did not diverge, with the columns architecture, seed, name (of the trial),
            accuracy and score (on the validation split, the latter in the main metric), temperature and threshold (both
            fitted on the validation split), and the mean costs of its architecture that the run measured (see `COSTS`).
    """

    info: RunInfo
    run_dir: Path
    cache_dir: Path
    recipe: Recipe
    vocabulary_path: Path
    trials: pd.DataFrame

    @property
    def name(self) -> str:
        """Return the name of the run."""
        return self.info.run_name

    def recipe_of(self, architecture: str) -> Recipe:
        """Return the recipe of an architecture: the one that a search has selected, or else the shared one."""
        return self.info.recipes.get(architecture, self.recipe)

    def table(self, name: str) -> pd.DataFrame:
        """Read one of the tables in `TABLE_COLUMNS`."""
        return _read_table(self.run_dir, name)


def open_run(results: Path, name: str | None) -> RunRecord:
    """Read the record of a finished run.

    Args:
        results: The results folder.
        name: Name of the run directory; None for the last run.

    Raises:
        UserError: If the run does not exist, or if an earlier version wrote it that did not record its vocabulary.
        DamagedFileError: If a file of the run is invalid.
    """
    run_dir = _find_run_dir(results, name)
    path = run_dir / "run.json"
    try:
        info = json_model(storage_of(path).read(path, LARGEST_RUN_INFO), RunInfo, path)
        tables = {table: _read_table(run_dir, table) for table in ("trials", "scores", "calibration")}
    except MissingFileError:
        raise UserError(_describe_missing_run(results, name)) from None
    if info.vocabulary is None:
        raise UserError(_describe_old_version(run_dir, info))
    try:
        recipe = info.recipe()
    except ValidationError as error:
        raise DamagedFileError(f"{escape_terminal(path)} is not valid: {reasons(error)}") from None
    cache = layout.cache_dir(results)
    vocabulary_path = layout.vocabulary_file(cache, info.vocabulary)
    return RunRecord(info, run_dir, cache, recipe, vocabulary_path, _read_trials(run_dir, info.metric, **tables))


def find_runs(results: Path, fingerprint: str) -> list[tuple[str, RunInfo]]:
    """Return the finished runs on a data set, the last one first: the name of the run directory and the record.

    Directories whose record cannot be read are left out.

    Args:
        results: The results folder.
        fingerprint: Fingerprint of the data set, hexadecimal.
    """
    folder, found = layout.runs_dir(results), []
    for entry in storage_of(folder).entries(folder):
        path = entry.path / "run.json"
        with suppress(FileNotFoundError, DamagedFileError):
            info = json_model(storage_of(path).read(path, LARGEST_RUN_INFO), RunInfo, path)
            if info.fingerprint == fingerprint:
                found.append((entry.path.name, info))
    return sorted(found, key=lambda run: run[1].started, reverse=True)


def _find_run_dir(results: Path, name: str | None) -> Path:
    """Return the directory of a run.

    The link `latest` is followed only to a run of the same results folder.
    """
    if name is not None:
        return layout.run_dir(results, name)
    latest = layout.latest_link(results)
    try:
        target = storage_of(results).read_latest(results)
    except FileNotFoundError:
        raise UserError(_describe_missing_run(results, name)) from None
    if target is None:  # a copy of the results folder may contain the run directory instead of the link
        return latest
    if not LATEST_TARGET.fullmatch(target):
        runs = escape_terminal(layout.runs_dir(results))
        raise UserError(f"{escape_terminal(latest)} does not point to a run in {runs}. Name another by `run`.")
    return results / target


def _read_table(run_dir: Path, name: str) -> pd.DataFrame:
    path = layout.run_table(run_dir, name)
    limits = TABLE if name == "predictions" else SMALL_TABLE
    table = parquet_table(storage_of(path).read(path, limits.file), path, limits)
    check_columns(table, TABLE_COLUMNS[name], path)
    if name == "predictions":
        check_probability_columns(table, path)
    check_names(table, tuple(column for column in NAME_COLUMNS if column in TABLE_COLUMNS[name]), path)
    return as_frame(table, path)


def _describe_missing_run(results: Path, name: str | None) -> str:
    runs = layout.runs_dir(results)
    # Directories with other names are not runs, and their names may contain any characters.
    names = [entry.path.name for entry in storage_of(runs).entries(runs) if SAFE_NAME.fullmatch(entry.path.name)]
    problem = (
        f"{escape_terminal(runs)} has no finished run {name!r}."
        if name
        else f"{escape_terminal(results)} has no finished run."
    )
    known = f" Runs in it: {', '.join(names[-10:])}." if names else ""
    return f"{problem}{known} Create one with `imdb-compare run`, or choose another results folder by `results`."


def _describe_old_version(run_dir: Path, info: RunInfo) -> str:
    command = escape_terminal(info.command, limit=2_000)
    return (
        f"{escape_terminal(run_dir)} was written by an earlier version that did not record the vocabulary of its "
        f"models. Run the same comparison again; cached trials are not trained again: {command}"
    )


def _read_trials(
    run_dir: Path, metric: str, trials: pd.DataFrame, scores: pd.DataFrame, calibration: pd.DataFrame
) -> pd.DataFrame:
    """Join the tables of a run to one row per trial.

    Raises:
        DamagedFileError: If the tables contradict each other, or contain impossible values.
    """
    try:
        joined = _join_tables(trials, scores, calibration, metric)
    except (ValueError, TypeError, AttributeError) as error:  # pandas' MergeError is a ValueError
        raise DamagedFileError(f"The tables in {escape_terminal(run_dir)} do not belong together") from error
    weights = trials["weights"].astype(str).str.fullmatch(WEIGHTS_FILE)
    # A trial's file name contains the architecture, with `.` instead of the `:` of a user-defined one.
    matches = joined["name"].str.replace(r"-seed-.*", "", regex=True) == joined["architecture"].str.replace(":", ".")
    temperature = joined["temperature"].between(0, LARGEST_TEMPERATURE) & (joined["temperature"] > 0)
    threshold = joined["threshold"].between(0, 1) | joined["threshold"].isna()  # only two classes have one
    in_range = joined["accuracy"].between(0, 1) & threshold & temperature
    in_range &= np.isfinite(joined["score"])
    if joined.empty or not weights.all() or not (matches & in_range).all():
        raise DamagedFileError(f"The tables in {escape_terminal(run_dir)} contain impossible values")
    return joined


def _join_tables(
    trials: pd.DataFrame, scores: pd.DataFrame, calibration: pd.DataFrame, metric: str = DEFAULT_METRIC
) -> pd.DataFrame:
    accuracy, score = (
        _validation_scores(scores, *names) for names in ((DEFAULT_METRIC, "accuracy"), (metric, "score"))
    )
    names = trials["weights"].str.removesuffix(".safetensors")
    costs = trials[[cost for cost in COSTS if cost in trials]].apply(pd.to_numeric, errors="coerce")
    mean_costs = costs.groupby(trials["architecture"]).transform("mean")
    named = trials[["architecture", "seed", "status"]].assign(name=names, **mean_costs.to_dict("series"))
    joined = named.merge(accuracy, validate="one_to_one").merge(score, validate="one_to_one")
    finished = joined[joined["status"] == "finished"].drop(columns="status")
    fitted = calibration[["architecture", "seed", "temperature", "threshold"]]
    return finished.merge(fitted, validate="one_to_one").astype(
        {"seed": "int64", "accuracy": "float64", "score": "float64", "temperature": "float64", "threshold": "float64"}
    )


def _validation_scores(scores: pd.DataFrame, metric: str, name: str) -> pd.DataFrame:
    """Return the validation scores of each trial in one metric, in a column of some name."""
    rows = scores[(scores["split"] == "validation") & (scores["metric"] == metric)]
    return rows[["architecture", "seed", "value"]].rename(columns={"value": name})
