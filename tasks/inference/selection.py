"""Select the trained models that make predictions."""

from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tasks.config import parameters as p
from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.storage.runs import SavedRun, _safe

Run = Annotated[
    str | None, Field(description="Run whose models are used, by its folder in results/runs; by default the last."),
    AfterValidator(_safe),
]  # fmt: skip
Model = Annotated[
    Path | None, Field(description="Folder that flows.cli.export wrote, whose model is used in the place of a run's.")
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


def chosen(run: SavedRun, wanted: Wanted) -> pd.DataFrame:
    """Return the rows of `run.trials` that are to be used: one, or all seeds of an architecture.

    Raises:
        UserError: If the run has none such, or a seed and the ensemble are asked for at once.
    """
    if wanted.ensemble and wanted.seed is not None:
        raise UserError(f"seed: received {wanted.seed} beside ensemble, which means all seeds. Leave one out.")
    means = run.trials.groupby("architecture", sort=False)["accuracy"].mean()
    architecture = wanted.architecture or str(means.idxmax())
    shown = escape_terminal(architecture, 100)
    of_architecture = run.trials[run.trials["architecture"] == architecture]
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
