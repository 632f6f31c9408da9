"""Runs that have ended: which there are, what they found out, and which of their trained models to use."""

import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.config.errors import DamagedFileError, UserError
from tasks.config.escape import escape_terminal
from tasks.config.parameters import SAFE_NAME
from tasks.config.recipe import Recipe
from tasks.storage.s3 import get, in_bucket
from tasks.storage.safe_files import (  # fmt: skip
    LARGEST_NAME,
    LARGEST_RUN_INFO,
    SMALL_TABLE,
    TABLE,
    Kind,
    Name,
    as_frame,
    check_columns,
    check_names,
    json_model,
    parquet_table,
    reasons,
)

# The tables that are read again, and the columns that are used of each.
TABLES: dict[str, dict[str, Kind]] = {
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
        "probability": "number",
    },
}  # fmt: skip
TRIAL_FILE = re.compile(r"(?P<architecture>\w[\w.]*)-seed-\d+-[0-9a-f]{1,64}\.safetensors")
# `latest` names a run; a second run of a name of 100 letters ends in `-2`.
LATEST = re.compile(r"runs/[A-Za-z0-9][A-Za-z0-9._-]{0,109}")


def _safe(name: str | None) -> str | None:
    if name is not None and not SAFE_NAME.fullmatch(name):
        raise ValueError("Give the name of a folder in results/runs")
    return name


Text = Annotated[str, Field(max_length=100_000)]
Value = Text | int | float | bool | None | Annotated[list[Text | int | float], Field(max_length=10_000)]


class RunInfo(BaseModel):
    """What a run wrote down of itself (run.json), as far as it is used again; later versions may add to it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_name: Name
    source: Text
    rows: dict[Name, int]
    fingerprint: str = Field(pattern=r"^[0-9a-f]{64}$")
    classes: tuple[Name, Name]
    vocabulary: str | None = Field(default=None, pattern=r"^vocabulary-[0-9a-f]{16}\.parquet$")
    caveats: list[Text] = Field(max_length=100_000)
    settings: dict[Name, Value]
    versions: dict[Name, Value]
    hardware: dict[Name, Value]
    command: Text = ""
    started: Name


class SavedRun(NamedTuple):
    """What a run left: its name, its folder, the cache, its facts (run.json), and its trials.

    `trials` has the columns architecture, seed, name (of the trial), accuracy (on validation), temperature and
    threshold (both fitted there), one row for each that did not diverge.
    """

    name: str
    folder: Path
    cache: Path
    facts: dict[str, Any]
    trials: pd.DataFrame

    @property
    def recipe(self) -> Recipe:
        """What its networks were trained with."""
        return Recipe(**{name: value for name, value in self.facts["settings"].items() if name in Recipe.model_fields})

    def table(self, name: str) -> pd.DataFrame:
        """Read one of the run's tables."""
        return _table(self.folder, name)


def open_run(place: Path, name: str | None) -> SavedRun:
    """Read what a run left.

    Args:
        place: The folder of results.
        name: The run's; None for the last one.

    Raises:
        UserError: If there is no such run, or it is of a version that did not say what its models need.
        DamagedFileError: If a file of it is not what a run writes.
    """
    folder = _folder(place, name)
    try:
        info = json_model(get(folder / "run.json", LARGEST_RUN_INFO), RunInfo, folder / "run.json")
        tables = {table: _table(folder, table) for table in ("trials", "scores", "calibration")}
    except FileNotFoundError:
        raise UserError(_no_run(place, name)) from None
    if info.vocabulary is None:
        where, command = escape_terminal(folder), escape_terminal(info.command, limit=2_000)
        raise UserError(
            f"{where} is of an earlier version, which did not write down what its models need. Run the same comparison "
            f"again; what is trained already is not trained again: {command}"
        )
    facts = info.model_dump() | {"classes": list(info.classes)}
    run = SavedRun(info.run_name, folder, place / "cache", facts, _trials(folder, **tables))
    try:
        run.recipe  # noqa: B018  # it is made of the settings
    except ValidationError as error:
        raise DamagedFileError(f"{escape_terminal(folder / 'run.json')} is not valid: {reasons(error)}") from None
    return run


def _folder(place: Path, name: str | None) -> Path:
    """Return the folder of a run; `latest` is followed to a run of the same results, and nowhere else."""
    if name is not None:
        return place / "runs" / name
    latest = place / "latest"
    try:
        if in_bucket(place):
            target = get(latest, LARGEST_NAME).decode(errors="replace").strip()
        elif latest.is_symlink():
            target = str(latest.readlink())
        else:  # a copy of the folder may hold the run itself
            return latest
    except FileNotFoundError:
        raise UserError(_no_run(place, name)) from None
    if not LATEST.fullmatch(target):
        where = escape_terminal(place / "runs")
        raise UserError(f"{escape_terminal(latest)} does not lead to a run in {where}. Choose one by --run.")
    return place / target


def _table(folder: Path, name: str) -> pd.DataFrame:
    path = folder / "tables" / f"{name}.parquet"
    limits = TABLE if name == "predictions" else SMALL_TABLE
    table = parquet_table(get(path, limits.file), path, limits)
    check_columns(table, TABLES[name], path)
    check_names(table, ("architecture",), path)
    return as_frame(table, path)


def _no_run(place: Path, name: str | None) -> str:
    runs = place / "runs"
    # Other folders are no runs, and their names may hold anything.
    known = sorted(path.name for path in runs.iterdir() if SAFE_NAME.fullmatch(path.name)) if runs.is_dir() else []
    which = (
        f"{escape_terminal(runs)} has no finished run {name!r}."
        if name
        else f"{escape_terminal(place)} has no finished run."
    )
    there = f" Runs in it: {', '.join(known[-10:])}." if known else ""
    return f"{which}{there} `make run` makes one; --results names another folder."


def _trials(folder: Path, trials: pd.DataFrame, scores: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    """Join what the tables say of each trial.

    Raises:
        DamagedFileError: If they contradict each other, or hold impossible values.
    """
    try:
        found = _joined(trials, scores, calibration)
    except (ValueError, TypeError, AttributeError) as error:  # pandas' MergeError is a ValueError
        raise DamagedFileError(f"The tables in {escape_terminal(folder)} do not belong together") from error
    files = trials["weights"].astype(str).str.fullmatch(TRIAL_FILE)
    named = found["name"].str.replace(r"-seed-.*", "", regex=True) == found["architecture"].str.replace(":", ".")
    possible = (
        found["accuracy"].between(0, 1) & found["threshold"].between(0, 1) & found["temperature"].between(0, 1e300)
    )
    if found.empty or not files.all() or not (named & possible & (found["temperature"] > 0)).all():
        raise DamagedFileError(f"The tables in {escape_terminal(folder)} hold values that no run writes")
    return found


def _joined(trials: pd.DataFrame, scores: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    validation = scores[(scores["split"] == "validation") & (scores["metric"] == "accuracy")]
    accuracy = validation[["architecture", "seed", "value"]].rename(columns={"value": "accuracy"})
    names = trials["weights"].str.removesuffix(".safetensors")
    kept = trials.assign(name=names)[["architecture", "seed", "name", "status"]].merge(accuracy, validate="one_to_one")
    fitted = calibration[["architecture", "seed", "temperature", "threshold"]]
    kept = kept[kept["status"] == "finished"].merge(fitted, validate="one_to_one").drop(columns="status")
    return kept.astype({"seed": "int64", "accuracy": "float64", "temperature": "float64", "threshold": "float64"})
