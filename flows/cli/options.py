"""The options of all subcommands. Nothing heavy is imported here: `--help` and user errors take less than a second."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from flows.cli.parser import Positional
from tasks.config import parameters as p
from tasks.config.file_options import Encoding, FileOptions, Header, Separator, TextColumn
from tasks.config.metric_names import AUTO_METRIC, METRIC_CHOICES, MetricChoice
from tasks.config.parameters import Parameters
from tasks.config.recipe import DEFAULT_ARCHITECTURES
from tasks.inference import selection

# What --quick stands for, unless an option says otherwise: a rough answer after a minute.
QUICK: dict[str, Any] = {"architectures": ("simple_rnn", "lstm"), "seeds": 2, "train_fractions": (0.25,)}


def _check_power(percent: float) -> float:
    if not 10 <= percent <= 99.9:
        raise ValueError("Give a number of percent from 10 to 99.9, such as 80")
    return percent


class RunOptions(Parameters):
    """Compare architectures: train each with several seeds, and report scores with confidence intervals.

    You can interrupt a run at any time. Finished trials are cached: run the same command again to resume.
    """

    quick: Annotated[
        bool,
        Field(description="First look: two architectures, two seeds, a quarter of the training reviews; one minute."),
    ] = False
    progress: Annotated[
        bool,
        Field(
            description="Show the progress of the trials in a terminal, instead of the log. Without a terminal there "
            "is always the log."
        ),
    ] = True

    def parameters(self) -> Parameters:
        """Return the parameters of the comparison, with those that `quick` stands for."""
        given = self.model_dump(exclude_unset=True, exclude={"quick", "progress"})
        return Parameters(**(QUICK | given if self.quick else given))


class PredictOptions(selection.ModelSelection):
    """Classify texts with a trained model: label, calibrated probability, and the most influential words."""

    texts: Positional[
        Annotated[
            tuple[str, ...], Field(description="Texts to classify; by default those of --file, or lines of stdin.")
        ]
    ] = ()
    file: Annotated[Path | None, selection.FILE] = None
    output: Annotated[Path | None, selection.OUTPUT] = None
    text_column: TextColumn = "text"
    separator: Separator = None
    encoding: Encoding = None
    header: Header = True
    keep: selection.Keep = ()
    words: Annotated[
        int, Field(ge=0, le=100, description="Number of words to show that influence the probability most.")
    ] = 3
    as_json: Annotated[bool, Field(alias="json", description="Print one JSON object for each text.")] = False


class ExportOptions(BaseModel):
    """Write a trained model to a new folder: weights, vocabulary, calibration and model card."""

    model_config = ConfigDict(frozen=True)

    output: Annotated[Path, Field(description="Folder to create.")]
    results: p.Results = "results"
    run: selection.Run = None
    architecture: selection.Architecture = None
    seed: selection.Seed = None
    onnx: Annotated[bool, Field(description="Write model.onnx as well, for programs other than this one.")] = False


class HistoryOptions(BaseModel):
    """Print the scores and alarms of the nightly runs, and plot them."""

    model_config = ConfigDict(frozen=True)

    results: p.Results = "results"
    configuration: Annotated[
        str | None,
        Field(description="Key of the configuration, as in the folder configuration=KEY; by default the latest."),
    ] = None
    remove: Annotated[
        str | None,
        Field(
            min_length=1, description="Remove the run of exactly this name from the history, and print nothing else."
        ),
    ] = None


class CleanOptions(BaseModel):
    """List old runs and unused cached results, or remove them with --delete.

    The history, the last run, everything that a kept run refers to, and the trials of the next nightly run are kept.
    """

    model_config = ConfigDict(frozen=True)

    results: p.Results = "results"
    keep_runs: Annotated[
        int, Field(ge=1, le=100_000, description="Number of run directories to keep, the newest ones.")
    ] = 60
    older_than: Annotated[
        int, Field(ge=1, le=36_500, description="Number of days without use after which something is removed.")
    ] = p.UNUSED_DAYS
    run: Annotated[
        selection.Run, Field(description="Remove the directory of this run, whatever its age, and of no other.")
    ] = None
    prefect: Annotated[bool, Field(description="Include old flow runs in the database of Prefect.")] = True
    delete: Annotated[bool, Field(description="Remove what is listed.")] = False


class DiffOptions(BaseModel):
    """Compare two runs on the same reviews, before and after a change."""

    model_config = ConfigDict(frozen=True)

    before: Positional[Annotated[str, Field(description="Name of a run: its folder in results/runs.")]]
    after: Positional[Annotated[str, Field(description="Name of the other run.")]]
    results: p.Results = "results"
    output: Annotated[
        Path | None,
        Field(description="File for the report in Markdown, which is printed as well unless --json is given."),
    ] = None
    as_json: Annotated[bool, Field(alias="json", description="Print one JSON object for each architecture.")] = False


class PlanOptions(FileOptions):
    """Tell before training how many seeds and test reviews are needed to detect a difference, and how long it takes.

    Nothing is trained. The variances come from the last run on the same reviews, or else from published experiments.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    difference: Annotated[
        float,
        Field(
            gt=0, le=100, description="True difference in the test score to detect, in points (log-loss: 0.01 nats)."
        ),
    ] = 1.0
    metric: Annotated[
        MetricChoice,
        Field(description=f"Metric of the difference: {', '.join(METRIC_CHOICES)}; by default that of the run."),
    ] = AUTO_METRIC
    power: Annotated[
        float, Field(description="Probability to detect it, in percent."), AfterValidator(_check_power)
    ] = 80.0
    data: p.Data = "auto"
    architectures: p.Architectures = DEFAULT_ARCHITECTURES
    seeds: p.Seeds = 3
    tune: Annotated[
        p.Tune, Field(description="Number of configurations that each architecture tries before, see `run --tune`.")
    ] = 0
    test_reviews: Annotated[
        int | None,
        Field(ge=10, le=1_000_000_000, description="Number of test reviews; by default those of the data or the run."),
    ] = None
    run: Annotated[
        selection.Run,
        Field(
            description="Run whose variances and times are used: its directory in results/runs, or `latest`; by "
            "default the last run on the same reviews with two seeds or more."
        ),
    ] = None
    workers: p.Workers = None
    results: p.Results = "results"
    data_folder: p.DataFolder = Path("data")


class UiOptions(BaseModel):
    """Serve the Prefect UI with a worker, the deployments and the nightly schedule, until Ctrl-C.

    Takes no options. The address is that of PREFECT_API_URL, in the environment or the profile of Prefect, or else of
    pyproject.toml. PREFECT_SERVER_API_HOST selects another network interface than 127.0.0.1, and then needs
    PREFECT_SERVER_API_AUTH_STRING=<user>:<password>.
    """
