"""Record of a finished run, stored as run.json in the run directory."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tasks.config.file_options import MAX_CLASSES
from tasks.config.metric_names import DEFAULT_METRIC, METRIC_NAMES
from tasks.config.recipe import Recipe
from tasks.storage.safe_files import Name

Text = Annotated[str, Field(max_length=100_000)]
Value = Text | int | float | bool | None | Annotated[list[Text | int | float], Field(max_length=10_000)]


class VectorInfo(BaseModel):
    """Word vectors of a run.

    Attributes:
        source: Name of their file.
        sha256: SHA-256 of the file, hexadecimal.
        size: Length of a vector.
        frozen: Whether training left them as they are.
        words: Number of words in the vocabulary that have a vector.
        vocabulary: Number of words in the vocabulary.
        token_share: Share of the tokens of the training reviews that have a vector, in [0, 1].
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    source: Text
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=1)
    frozen: bool
    words: int = Field(ge=0)
    vocabulary: int = Field(ge=0)
    token_share: float = Field(ge=0, le=1)


class RunInfo(BaseModel):
    """Data set, settings and environment of a run.

    The reporting task writes it and later commands read it again, so reading validates it. Fields that a later version
    adds are ignored.

    Attributes:
        source: Sentence that describes the data set.
        rows: Number of reviews of each split.
        fingerprint: SHA-256 of the reviews, hexadecimal.
        classes: Names of the classes, 2 to 100.
        vocabulary: File of the vocabulary in the cache; None in runs of versions that did not record it.
        vectors: Word vectors; None without.
        metric: Main metric; runs of versions that did not record it used the default.
        caveats: Sentences about known limits of the data and of this run.
        settings: Parameters of the run by name.
        recipes: Recipe by architecture, of those that a search has selected.
        versions: Versions of Python and of the libraries by name.
        hardware: Properties of the machine by name.
        command: Command that repeats the run.
        run_name: Name of the run.
        started: Start time in UTC, as text.
        seconds: Duration in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    source: Text
    rows: dict[Name, int]
    fingerprint: str = Field(pattern=r"^[0-9a-f]{64}$")
    classes: tuple[Name, ...] = Field(min_length=2, max_length=MAX_CLASSES)
    vocabulary: str | None = Field(default=None, pattern=r"^vocabulary-[0-9a-f]{16}\.parquet$")
    vectors: VectorInfo | None = None
    metric: str = Field(default=DEFAULT_METRIC, pattern=f"^({'|'.join(METRIC_NAMES)})$")
    caveats: tuple[Text, ...] = Field(max_length=100_000)
    settings: dict[Name, Value]
    recipes: dict[Name, Recipe] = Field(default_factory=dict)
    versions: dict[Name, Value]
    hardware: dict[Name, Value]
    command: Text = ""
    run_name: Name
    started: Name
    seconds: float | None = None

    def recipe(self) -> Recipe:
        """Return the shared recipe of the networks of the run.

        Raises:
            pydantic.ValidationError: If the settings are not those of a recipe.
        """
        values = {name: value for name, value in self.settings.items() if name in Recipe.model_fields}
        return Recipe.model_validate(values)
