"""The parameters of a comparison: what is asked for, beside the recipe that every cell shares."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from tasks.architectures import ARCHITECTURES
from tasks.errors import UserError
from tasks.settings import Recipe

Data = Annotated[str, Field(description="auto, bundled, imdb, or a CSV, Parquet or JSON lines file.")]
TextColumn = Annotated[str, Field(min_length=1, description="Column of a file that holds the text.")]
LabelColumn = Annotated[str, Field(min_length=1, description="Column of a file that holds the class.")]
Positive = Annotated[str | None, Field(description="The positive class, where it is not 1, pos, positive or true.")]
Architectures = Annotated[
    tuple[str, ...], Field(min_length=1, description=f"Which to compare: {', '.join(ARCHITECTURES)}.")
]
Seeds = Annotated[int, Field(ge=1, le=1_000, description="Trainings of each architecture, with seeds 0, 1, …")]
Workers = Annotated[int, Field(ge=1, le=1_024, description="Trainings at a time, each in a process of one thread.")]
RunName = Annotated[str | None, Field(description="Name of the run and of its folder; by default, the time.")]
Results = Annotated[Path, Field(description="Folder for reports and for cached results.")]
DataFolder = Annotated[Path, Field(description="Folder in which the official reviews are looked for.")]

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Parameters(Recipe):
    """Compare recurrent architectures on labelled reviews: which is better, is it real, what does it cost?"""

    data: Data = "auto"
    text_column: TextColumn = "text"
    label_column: LabelColumn = "label"
    positive: Positive = None
    architectures: Architectures = tuple(ARCHITECTURES)
    seeds: Seeds = 3
    workers: Workers = 2
    run_name: RunName = None
    results: Results = Path("results")
    data_folder: DataFolder = Path("data")

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        unknown = [name for name in self.architectures if name not in ARCHITECTURES]
        if unknown:
            raise ValueError(f"Unknown architecture {', '.join(map(repr, unknown))}. Choose from: {', '.join(ARCHITECTURES)}")
        if len(set(self.architectures)) < len(self.architectures):
            raise ValueError(f"Each architecture once, please; received {', '.join(self.architectures)}")
        if self.run_name is not None and not SAFE_NAME.fullmatch(self.run_name):
            raise ValueError(
                f"Run name {self.run_name[:120]!r} is not a safe folder name. Use at most 100 of A-Z a-z 0-9 . _ - and "
                "begin with a letter or digit"
            )
        return self

    def recipe(self) -> Recipe:
        """Return what the cells are trained with, without what is only asked of the run."""
        return Recipe(**{name: getattr(self, name) for name in Recipe.model_fields})


def mistakes(error: ValidationError) -> UserError:
    """Turn pydantic's list of problems into one message: what was received, what is allowed."""
    lines = []
    for problem in error.errors():
        name = ".".join(map(str, problem["loc"]))
        received = f"{name} = {problem['input']!r}: " if name else ""
        lines.append(received + problem["msg"].removeprefix("Value error, "))
    return UserError("\n".join(lines))
