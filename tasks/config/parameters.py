"""The parameters of a comparison: what is asked for, beside the recipe that every trial shares."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tasks.config.errors import UserError
from tasks.config.labels import ARCHITECTURE_NAMES, USER_ARCHITECTURE
from tasks.config.recipe import FIVE_ARCHITECTURES, Recipe

Function = TypeVar("Function", bound=Callable[..., Any])
Model = TypeVar("Model", bound=BaseModel)

BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)*/?")
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _known(name: str) -> str:
    if name not in ARCHITECTURE_NAMES and not USER_ARCHITECTURE.fullmatch(name):
        known = ", ".join(ARCHITECTURE_NAMES)
        raise ValueError(f"Unknown architecture {name[:100]!r}. Choose from: {known}, or my_module:my_function")
    return name


def _once_each(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("Name each architecture once")
    return names


def _fractions_once_each(fractions: tuple[float, ...]) -> tuple[float, ...]:
    if len(set(fractions)) < len(fractions):
        raise ValueError("Name each fraction once")
    return tuple(sorted(fractions))


def _folder_or_bucket(results: str) -> str:
    if "://" in results and not BUCKET.fullmatch(results):
        raise ValueError("Give a folder, or s3://bucket/prefix (credentials come from the environment)")
    return results


def _safe(name: str | None) -> str | None:
    if name is not None and not SAFE_NAME.fullmatch(name):
        raise ValueError("Use at most 100 of A-Z a-z 0-9 . _ - and begin with a letter or digit")
    return name


Data = Annotated[str, Field(description="auto, bundled, imdb, or a CSV, Parquet or JSON lines file.")]
TextColumn = Annotated[str, Field(min_length=1, description="Column of a file that holds the text.")]
LabelColumn = Annotated[str, Field(min_length=1, description="Column of a file that holds the class.")]
Positive = Annotated[str | None, Field(description="The positive class, where it is not 1, pos, positive or true.")]
Group = Annotated[
    str | None,
    Field(
        description="Column of a file whose values must not be split (film, author): all in training, or all in test."
    ),
]
Architectures = Annotated[
    tuple[Annotated[str, AfterValidator(_known)], ...],
    Field(
        min_length=1,
        description=f"Which to compare, comma between: {', '.join(ARCHITECTURE_NAMES)}; or my_module:my_function.",
    ),
    AfterValidator(_once_each),
]
Seeds = Annotated[int, Field(ge=1, le=1_000, description="Trainings of each architecture, with seeds 0, 1, …")]
NewSeeds = Annotated[
    int,
    Field(
        ge=0,
        le=10,
        description="Further seeds of each architecture, derived from the date, beside those of the last 30 nights "
        "that are in the cache; 0 leaves these out, too.",
    ),
]
Night = Annotated[
    date | None,
    Field(
        ge=date(2000, 1, 1),
        le=date(2099, 12, 31),
        description="Date of the night, YYYY-MM-DD; by default that on which the run was due.",
    ),
]
TrainFractions = Annotated[
    tuple[Annotated[float, Field(gt=0, le=1)], ...],
    Field(
        min_length=1,
        description="Shares of the training reviews to train on, comma between (0.1,0.3,1.0): does more data pay? "
        "The largest is what the report compares.",
    ),
    AfterValidator(_fractions_once_each),
]
Engine = Annotated[
    Literal["processes", "dask"], Field(description="What trains: processes of this machine, or Dask's workers.")
]
DaskAddress = Annotated[
    str | None,
    Field(
        pattern=r"^(tcp|tls)://[^\s/@]+:\d+$",
        description="Scheduler that runs already (tcp://host:8786); by default --engine dask starts one here.",
    ),
]
Workers = Annotated[
    int | None,
    Field(
        ge=1, le=1_024, description="Trainings at a time, each in a process of one thread; by default 2, or one a GPU."
    ),
]
TrialTimeoutMinutes = Annotated[
    float,
    Field(gt=0, le=100_000, description="Minutes that one training may take; then it is ended, and tried twice more."),
]
RunName = Annotated[
    str | None,
    Field(description="Name of the run and of its folder; by default, the time."),
    AfterValidator(_safe),
]
Results = Annotated[
    str,
    Field(min_length=1, description="Folder for reports and for cached results, or s3://bucket/prefix."),
    BeforeValidator(lambda given: str(given) if isinstance(given, Path) else given),
    AfterValidator(_folder_or_bucket),
]
DataFolder = Annotated[Path, Field(description="Folder in which the official reviews are looked for.")]


class Request(BaseModel):
    """What is asked of one run."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    data: Data = "auto"
    architectures: Architectures = FIVE_ARCHITECTURES
    seeds: Seeds = 3
    new_seeds: NewSeeds = 0
    night: Night = None
    train_fractions: TrainFractions = (1.0,)
    engine: Engine = "processes"
    dask_address: DaskAddress = None
    workers: Workers = None
    trial_timeout_minutes: TrialTimeoutMinutes = 120
    text_column: TextColumn = "text"
    label_column: LabelColumn = "label"
    positive: Positive = None
    group: Group = None
    run_name: RunName = None
    results: Results = "results"
    data_folder: DataFolder = Path("data")


class Parameters(Recipe, Request):
    """Compare recurrent architectures on labelled reviews: which is better, is it real, and what does it cost?

    --quick stands for two architectures, two seeds and a quarter of the training reviews: a first look.
    """

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """Make the parameters from values that a person gave.

        Raises:
            UserError: Naming every value that is not allowed.
        """
        return checked(cls, values)

    def recipe(self) -> Recipe:
        """Return what the trials are trained with, without what is only asked of the run."""
        return Recipe(**{name: getattr(self, name) for name in Recipe.model_fields})


def checked(model: type[Model], values: Mapping[str, Any]) -> Model:
    """Make a model from values that a person gave.

    Raises:
        UserError: Naming every value that is not allowed.
    """
    try:
        return model(**values)
    except ValidationError as error:
        raise mistakes(error) from None


def described(model: type[BaseModel]) -> Callable[[Function], Function]:
    """Give a flow's docstring the descriptions of a model's fields, which Prefect's form shows beside each field."""
    lines = [f"    {name}: {field.description}" for name, field in model.model_fields.items()]

    def describe(function: Function) -> Function:
        function.__doc__ = "\n".join([function.__doc__ or "", "", "Args:", *lines])
        return function

    return describe


def mistakes(error: ValidationError) -> UserError:
    """Turn pydantic's list of problems into one message: what was received, what is allowed."""
    lines = []
    wrong_inside = {problem["loc"][0] for problem in error.errors() if len(problem["loc"]) > 1}
    for problem in error.errors():
        if problem["type"] == "too_short" and problem["loc"][0] in wrong_inside:
            continue  # pydantic counts the items that are left, and they are few because of the wrong ones
        name = ".".join(str(part) for part in problem["loc"])
        lines.append(f"{name}: received {problem['input']!r:.120}. {problem['msg'].removeprefix('Value error, ')}.")
    return UserError("\n".join(lines))
