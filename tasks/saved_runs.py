"""Runs that have ended: which there are, what they found out, and which of their trained models to use."""

import io
import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tasks import parameters as p
from tasks.errors import UserError
from tasks.escape import escape_terminal
from tasks.parameters import SAFE_NAME
from tasks.remote import get, in_bucket
from tasks.settings import Recipe


def _safe(name: str | None) -> str | None:
    if name is not None and not SAFE_NAME.fullmatch(name):
        raise ValueError("Give the name of a folder in results/runs")
    return name


Run = Annotated[
    str | None, Field(description="Run whose models are used, by its folder in results/runs; by default the last."),
    AfterValidator(_safe),
]  # fmt: skip
Model = Annotated[
    Path | None, Field(description="Folder that flows.export wrote, whose model is used in the place of a run's.")
]
Architecture = Annotated[
    str | None,
    Field(description="Which to use; by default the one with the highest accuracy on validation, baselines included."),
]
Seed = Annotated[
    int | None, Field(ge=0, description="Which of its trainings; by default the one that was best on validation.")
]
Ensemble = Annotated[bool, Field(description="Use all seeds of the architecture, and the mean of their probabilities.")]

Threshold = Annotated[float, Field(ge=0, le=1, description="Probability above which a text is positive.")]

FILE = Field(description="CSV, Parquet or JSON lines file whose texts are answered.")
OUTPUT = Field(description="File for the answers: .parquet or .csv.")
File = Annotated[Path, FILE]
Output = Annotated[Path, OUTPUT]
Keep = Annotated[tuple[str, ...], Field(description="Columns of the file to copy beside the answers, comma between.")]


class Wanted(BaseModel):
    """Which models of which run are to be used, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    results: p.Results = "results"
    model: Model = None
    run: Run = None
    architecture: Architecture = None
    seed: Seed = None
    ensemble: Ensemble = False
    threshold: Threshold = 0.5


class Scoring(Wanted):
    """Which models are to answer which file."""

    file: File
    output: Output
    text_column: p.TextColumn = "text"
    keep: Keep = ()


class SavedRun(NamedTuple):
    """What a run left: its name, its folder, the cache, its facts (run.json), and its cells.

    `cells` has the columns architecture, seed, name (of the cell), accuracy (on validation), temperature and threshold
    (both fitted there), one row for each that did not diverge.
    """

    name: str
    folder: Path
    cache: Path
    facts: dict[str, Any]
    cells: pd.DataFrame

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
    """
    folder = _folder(place, name)
    try:
        facts = json.loads(get(folder / "run.json"))
        tables = {table: _table(folder, table) for table in ("cells", "scores", "calibration")}
    except FileNotFoundError:
        raise UserError(_no_run(place, name)) from None
    if "vocabulary" not in facts:
        where, command = escape_terminal(folder), escape_terminal(facts.get("command", ""))
        raise UserError(
            f"{where} is of an earlier version, which did not write down what its models need. Run the same "
            f"comparison again; what is trained already is not trained again: {command}"
        )
    return SavedRun(facts["run_name"], folder, place / "cache", facts, _cells(**tables))


def _folder(place: Path, name: str | None) -> Path:
    if name is not None:
        return place / "runs" / name
    try:
        return place / get(place / "latest").decode().strip() if in_bucket(place) else place / "latest"
    except FileNotFoundError:
        raise UserError(_no_run(place, name)) from None


def _table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(get(folder / "tables" / f"{name}.parquet")))


def _no_run(place: Path, name: str | None) -> str:
    runs = place / "runs"
    known = sorted(path.name for path in runs.iterdir() if not path.name.startswith(".")) if runs.is_dir() else []
    which = f"{escape_terminal(runs if name else place)} has no finished run{f' {name!r}' if name else ''}."
    there = f" Runs in it: {', '.join(map(escape_terminal, known[-10:]))}." if known else ""
    return f"{which}{there} `make run` makes one; --results names another folder."


def _cells(cells: pd.DataFrame, scores: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    validation = scores[(scores["split"] == "validation") & (scores["metric"] == "accuracy")]
    accuracy = validation[["architecture", "seed", "value"]].rename(columns={"value": "accuracy"})
    names = cells["weights"].str.removesuffix(".safetensors")
    kept = cells.assign(name=names)[["architecture", "seed", "name", "status"]].merge(accuracy)
    fitted = calibration[["architecture", "seed", "temperature", "threshold"]]
    return kept[kept["status"] == "finished"].merge(fitted).drop(columns="status")


def chosen(run: SavedRun, wanted: Wanted) -> pd.DataFrame:
    """Return the rows of `run.cells` that are to be used: one, or all seeds of an architecture.

    Raises:
        UserError: If the run has none such, or a seed and the ensemble are asked for at once.
    """
    if wanted.ensemble and wanted.seed is not None:
        raise UserError(f"seed: received {wanted.seed} beside ensemble, which means all seeds. Leave one out.")
    means = run.cells.groupby("architecture", sort=False)["accuracy"].mean()
    architecture = wanted.architecture or str(means.idxmax())
    shown = escape_terminal(architecture, 100)
    of_architecture = run.cells[run.cells["architecture"] == architecture]
    if of_architecture.empty:
        raise UserError(
            f"architecture: received {architecture[:100]!r}, of which run {escape_terminal(run.name)} has no model. "
            f"Choose from: {escape_terminal(', '.join(means.index))}."
        )
    if wanted.ensemble:
        return of_architecture
    if wanted.seed is None:
        return of_architecture.loc[[of_architecture["accuracy"].idxmax()]]
    of_seed = of_architecture[of_architecture["seed"] == wanted.seed]
    if of_seed.empty:
        seeds = ", ".join(of_architecture["seed"].astype(str))
        raise UserError(f"seed: received {wanted.seed}, of which {shown} has no model. Choose from: {seeds}.")
    return of_seed
