"""Selection of the trained models that make predictions, and the options of scoring a file."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tasks.config import file_options as f
from tasks.config import parameters as p
from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.config.parameters import SAFE_NAME

if TYPE_CHECKING:  # the command line reads the models below before anything heavy is imported
    import pandas as pd

    from tasks.storage.runs import RunRecord


def _check_run_name(name: str | None) -> str | None:
    if name is not None and not SAFE_NAME.fullmatch(name):
        raise ValueError("Give the name of a directory in results/runs")
    return name


Run = Annotated[
    str | None,
    Field(description="Run whose models are used: the name of its directory in results/runs; by default the last run."),
    AfterValidator(_check_run_name),
]
Model = Annotated[
    Path | None, Field(description="Folder of an exported model, which is used instead of the models of a run.")
]
Architecture = Annotated[
    str | None,
    Field(description="Architecture or baseline; by default the one with the best validation score."),
]
Seed = Annotated[
    int | None,
    Field(ge=0, description="Seed of the architecture; by default the one with the best validation score."),
]
Ensemble = Annotated[bool, Field(description="Use all seeds of the architecture: the mean of their probabilities.")]
Threshold = Annotated[float, Field(ge=0, le=1, description="Probability above which a text is positive.")]
FILE = Field(description="File with the texts: CSV, JSON, Parquet or Excel.")
OUTPUT = Field(description="File for the predictions: .parquet or .csv.")
File = Annotated[Path, FILE]
Output = Annotated[Path, OUTPUT]
Keep = Annotated[tuple[str, ...], Field(description="Columns of the file to copy to the output, separated by commas.")]


class ModelSelection(BaseModel):
    """The models of a run, or the exported model, that make predictions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    results: p.Results = "results"
    model: Model = None
    run: Run = None
    architecture: Architecture = None
    seed: Seed = None
    ensemble: Ensemble = False
    threshold: Threshold = 0.5


class ScoringOptions(ModelSelection):
    """The file to score, and the models that score it."""

    file: File
    output: Output
    text_column: f.TextColumn = "text"
    separator: f.Separator = None
    encoding: f.Encoding = None
    header: f.Header = True
    keep: Keep = ()


@dataclass(frozen=True)
class SelectedModel:
    """A trained model of a run.

    Attributes:
        name: Name of the trial in the cache.
        architecture: Architecture or baseline.
        seed: Seed of the training.
        accuracy: Accuracy on the validation split, in [0, 1].
        score: Score on the validation split in the main metric of the run.
        temperature: Divisor of the log-odds that calibrates the probabilities; fitted on the validation split.
        threshold: Threshold with the highest accuracy on the validation split, for probabilities before calibration.
    """

    name: str
    architecture: str
    seed: int
    accuracy: float
    score: float
    temperature: float
    threshold: float


def select_models(run: RunRecord, selection: ModelSelection) -> list[SelectedModel]:
    """Return one model of a run, or those of all seeds of an architecture.

    Raises:
        UserError: If the run has no such model, or if both a seed and the ensemble are selected.
    """
    from tasks.statistics.ranking import mean_costs, rank_architectures

    if selection.ensemble and selection.seed is not None:
        raise UserError(
            f"seed: received {selection.seed} with `ensemble`, which uses all seeds. Leave one of them out."
        )
    means = run.trials.groupby("architecture", sort=False)["score"].mean()
    costs = mean_costs(run.trials).reindex(means.index)
    # Ties are broken as in the report.
    architecture = selection.architecture or rank_architectures(means, costs, run.info.metric)[0]
    trials = run.trials[run.trials["architecture"] == architecture]
    if trials.empty:
        raise UserError(
            f"architecture: received {architecture[:100]!r}, but run {escape_terminal(run.name)} has no model of it. "
            f"Choose from: {escape_terminal(', '.join(means.index))}."
        )
    if not selection.ensemble:
        trials = _select_seed(trials, selection.seed, run.info.metric)
    columns = [field.name for field in fields(SelectedModel)]
    return [
        SelectedModel(**{str(name): value for name, value in row.items()}) for row in trials[columns].to_dict("records")
    ]


def _select_seed(trials: pd.DataFrame, seed: int | None, metric: str) -> pd.DataFrame:
    """Return the row of a seed, or the one with the best validation score in a metric."""
    from tasks.evaluation.metrics import LOWER_IS_BETTER

    if seed is None:
        return trials.loc[[trials["score"].idxmin() if metric in LOWER_IS_BETTER else trials["score"].idxmax()]]
    selected = trials[trials["seed"] == seed]
    if selected.empty:
        seeds = ", ".join(trials["seed"].astype(str))
        name = escape_terminal(trials["architecture"].iloc[0], 100)
        raise UserError(f"seed: received {seed}, but {name} has no model of it. Choose from: {seeds}.")
    return selected
