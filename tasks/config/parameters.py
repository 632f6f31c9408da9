"""Parameters of a comparison: the options of a run, and the recipe of the networks."""

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from tasks.config.file_options import FileOptions
from tasks.config.labels import ARCHITECTURE_NAMES, USER_ARCHITECTURE
from tasks.config.metric_names import AUTO_METRIC, DEFAULT_METRIC, IMBALANCED_METRIC, METRIC_CHOICES, MetricChoice
from tasks.config.recipe import DEFAULT_ARCHITECTURES, Recipe
from tasks.config.user_values import validate_user_values

Function = TypeVar("Function", bound=Callable[..., Any])

BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)*/?")
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _check_architecture(name: str) -> str:
    if name not in ARCHITECTURE_NAMES and not USER_ARCHITECTURE.fullmatch(name):
        known = ", ".join(ARCHITECTURE_NAMES)
        raise ValueError(f"Unknown architecture {name[:100]!r}. Choose from: {known}, or my_module:my_function")
    return name


def _check_distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("Name each architecture once")
    return names


def _sort_distinct(fractions: tuple[float, ...]) -> tuple[float, ...]:
    if len(set(fractions)) < len(fractions):
        raise ValueError("Name each fraction once")
    return tuple(sorted(fractions))


def _check_resamples(resamples: int, info: ValidationInfo) -> int:
    if resamples == 1:
        raise ValueError("One resample shows no variance. Give 0 or at least 2; at least 5 for a statement")
    if resamples and (info.data or {}).get("new_seeds"):
        raise ValueError("Nightly runs do not resample. Use either new_seeds or resample_training")
    return resamples


def _check_frozen(frozen: bool, info: ValidationInfo) -> bool:
    if frozen and (info.data or {}).get("vectors", "invalid") is None:
        raise ValueError("Only word vectors can be frozen. Give vectors as well")
    return frozen


def _check_tune(configurations: int) -> int:
    if configurations == 1:
        raise ValueError("One configuration is the shared recipe itself. Give 0 or at least 2")
    return configurations


def _check_retune(retune: bool, info: ValidationInfo) -> bool:
    if retune and not (info.data or {}).get("tune"):
        raise ValueError("There is no search to repeat. Give the number of configurations as well, by `tune`")
    return retune


def _check_results(results: str) -> str:
    if "://" in results and not BUCKET.fullmatch(results):
        raise ValueError("Give a folder, or s3://bucket/prefix (credentials come from the environment)")
    return results


def _check_name(name: str | None) -> str | None:
    if name is not None and not SAFE_NAME.fullmatch(name):
        raise ValueError("Use at most 100 of A-Z a-z 0-9 . _ - and begin with a letter or digit")
    return name


Data = Annotated[
    str, Field(description="Data set (auto, bundled, imdb), or path of a file: CSV, JSON, Parquet or Excel.")
]
Architectures = Annotated[
    tuple[Annotated[str, AfterValidator(_check_architecture)], ...],
    Field(
        min_length=1,
        description=f"Architectures, separated by commas: {', '.join(ARCHITECTURE_NAMES)}; or my_module:my_function.",
    ),
    AfterValidator(_check_distinct),
]
Seeds = Annotated[int, Field(ge=1, le=1_000, description="Number of seeds of each architecture: 0, 1, …")]
NewSeeds = Annotated[
    int,
    Field(
        ge=0,
        le=10,
        description="Number of new seeds of each architecture, derived from the date of the nightly run. The cached "
        "seeds of the last 30 nightly runs are added. 0: neither.",
    ),
]
NightlyDate = Annotated[
    date | None,
    Field(
        ge=date(2000, 1, 1),
        le=date(2099, 12, 31),
        description="Date of the nightly run, YYYY-MM-DD; by default the date on which the run was due.",
    ),
]
UNUSED_DAYS = 14  # after so many days without use, what no run refers to may be removed
KeepRuns = Annotated[
    int | None,
    Field(
        ge=1,
        le=100_000,
        description="Number of run directories to keep, the newest ones. At the end of the run, older ones, what only "
        f"they refer to, and what was not used for {UNUSED_DAYS} days are removed. By default nothing is removed.",
    ),
]
MetricName = Annotated[
    MetricChoice,
    Field(
        description=f"Metric by which architectures are ranked and compared: {', '.join(METRIC_CHOICES)}. "
        f"{AUTO_METRIC}: {DEFAULT_METRIC}, or {IMBALANCED_METRIC} if the test reviews are imbalanced. The report "
        "contains the other metrics as well.",
    ),
]
TrainFractions = Annotated[
    tuple[Annotated[float, Field(gt=0, le=1)], ...],
    Field(
        min_length=1,
        description="Shares of the training reviews for a learning curve, separated by commas (0.1,0.3,1.0). The "
        "report compares the architectures at the largest.",
    ),
    AfterValidator(_sort_distinct),
]
ResampleTraining = Annotated[
    int,
    Field(
        ge=0,
        le=100,
        description="Number of bootstrap resamples of the training reviews, at least 5 for a statement. Every "
        "architecture and baseline is trained on each of them as well: do the differences hold for other training "
        "reviews? 0: none.",
    ),
    AfterValidator(_check_resamples),
]
Tune = Annotated[
    int,
    Field(
        ge=0,
        le=1_000,
        description="Number of configurations of learning rate, dropout, batch size and layer sizes that each "
        "architecture tries, the same for all. The validation loss selects one, which is then trained with the seeds "
        "of the run and compared. 0: all use the shared recipe.",
    ),
    AfterValidator(_check_tune),
]
Retune = Annotated[
    bool,
    Field(
        description="Repeat the search in a nightly run. By default nightly runs reuse the configurations that the "
        "first search with these settings has selected."
    ),
    AfterValidator(_check_retune),
]
Engine = Annotated[
    Literal["processes", "dask"],
    Field(description="Executor of the trainings: processes of this machine, or Dask workers."),
]
DaskAddress = Annotated[
    str | None,
    Field(
        pattern=r"^(tcp|tls)://[^\s/@]+:\d+$",
        description="Address of a running scheduler (tcp://host:8786); by default --engine dask starts one here.",
    ),
]
Workers = Annotated[
    int | None,
    Field(
        ge=1, le=1_024, description="Number of worker processes, with one thread each; by default 2, or one per GPU."
    ),
]
TrialTimeoutMinutes = Annotated[
    float,
    Field(
        gt=0,
        le=100_000,
        description="Time limit of a trial in minutes. A trial that exceeds it is stopped and repeated twice.",
    ),
]
RunName = Annotated[
    str | None,
    Field(description="Name of the run and of its directory; by default the time."),
    AfterValidator(_check_name),
]
Results = Annotated[
    str,
    Field(min_length=1, description="Directory of reports and cached results, or s3://bucket/prefix."),
    BeforeValidator(lambda given: str(given) if isinstance(given, Path) else given),
    AfterValidator(_check_results),
]
DataFolder = Annotated[Path, Field(description="Directory of the official reviews.")]
Vectors = Annotated[
    Path | None,
    Field(
        description="File of word vectors that the embeddings start from: GloVe text, word2vec text or fastText .vec, "
        "also with .gz or as the only file of a .zip. By default they start at random.",
    ),
]
VectorsFrozen = Annotated[
    bool,
    Field(description="Leave the embeddings as they are in training, only together with --vectors."),
    AfterValidator(_check_frozen),
]


class RunParameters(FileOptions):
    """Options of a run that are not part of the recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    data: Data = "auto"
    architectures: Architectures = DEFAULT_ARCHITECTURES
    seeds: Seeds = 5
    new_seeds: NewSeeds = 0
    nightly_date: NightlyDate = None
    keep_runs: KeepRuns = None
    metric: MetricName = AUTO_METRIC
    train_fractions: TrainFractions = (1.0,)
    resample_training: ResampleTraining = 0
    tune: Tune = 0
    retune: Retune = False
    engine: Engine = "processes"
    dask_address: DaskAddress = None
    workers: Workers = None
    trial_timeout_minutes: TrialTimeoutMinutes = 120
    run_name: RunName = None
    results: Results = "results"
    data_folder: DataFolder = Path("data")
    vectors: Vectors = None
    vectors_frozen: VectorsFrozen = False


class Parameters(Recipe, RunParameters):
    """Compare recurrent architectures on labeled reviews: scores, significance of the differences, and costs.

    --quick is short for two architectures, two seeds and a quarter of the training reviews.
    """

    @classmethod
    def from_user(cls, **values: Any) -> Self:
        """Return the parameters with values of the user.

        Raises:
            UserError: If values are not allowed, with all of them.
        """
        return validate_user_values(cls, values)

    def recipe(self) -> Recipe:
        """Return the recipe."""
        return Recipe(**{name: getattr(self, name) for name in Recipe.model_fields})


def with_field_descriptions(model: type[BaseModel]) -> Callable[[Function], Function]:
    """Return a decorator that adds the fields' descriptions to a flow's docstring. Prefect's form shows them."""
    lines = [f"    {name}: {field.description}" for name, field in model.model_fields.items()]

    def describe(function: Function) -> Function:
        function.__doc__ = "\n".join([function.__doc__ or "", "", "Args:", *lines])
        return function

    return describe
