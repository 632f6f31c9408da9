"""Model card of an exported model, and the names of its files."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tasks.config.errors import MissingFileError, UserError
from tasks.config.escape import escape_terminal
from tasks.config.file_options import MAX_CLASSES
from tasks.config.labels import BASELINE_NAMES
from tasks.config.metric_names import DEFAULT_METRIC, METRIC_NAMES
from tasks.config.recipe import Recipe
from tasks.models.registry import ARCHITECTURES
from tasks.storage import store
from tasks.storage.safe_files import LARGEST_CARD, Name, json_model, read_limited

CARD_FILE, WEIGHTS_FILE, VOCABULARY_FILE = "model.json", "weights.safetensors", "vocabulary.parquet"
README_FILE, ONNX_FILE = "README.md", "model.onnx"
TOKENS_FILE, TOKENIZATION_FILE, EXAMPLES_FILE = "vocabulary.json", "tokenization.json", "test_vectors.json"


class ModelCard(BaseModel):
    """What a program needs to know to use an exported model (model.json)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: Name = Field(description="Name of the trial.")
    architecture: Name = Field(description="In ARCHITECTURES or BASELINE_NAMES; the project's code builds it.")
    recipe: Recipe
    classes: tuple[Name, ...] = Field(min_length=2, max_length=MAX_CLASSES, description="Names of the classes.")
    temperature: float = Field(gt=0, allow_inf_nan=False, description="Divisor of the log-odds; fitted on validation.")
    threshold: float | None = Field(
        ge=0, le=1, description="Best threshold of the raw probability on validation; not used. Only of two classes."
    )
    accuracy: float = Field(ge=0, le=1, description="On the validation split; with two classes at a threshold of 0.5.")
    metric: str = Field(
        default=DEFAULT_METRIC, pattern=f"^({'|'.join(METRIC_NAMES)})$", description="Main metric of the run."
    )
    score: float | None = Field(
        default=None, ge=0, allow_inf_nan=False,
        description="Of the trial in the main metric, on the validation split; older models have only the accuracy.",
    )  # fmt: skip

    @field_validator("architecture")
    @classmethod
    def _check_architecture(cls, name: str) -> str:
        if name not in ARCHITECTURES and name not in BASELINE_NAMES:
            raise ValueError(f"must be one of {', '.join([*ARCHITECTURES, *BASELINE_NAMES])}")
        return name

    @model_validator(mode="after")
    def _check_threshold(self) -> Self:
        if (self.threshold is None) != (len(self.classes) > 2):
            raise ValueError("threshold must be a number for two classes, and null for more")
        return self

    @property
    def validation_score(self) -> float:
        """Score of the trial in the main metric, on the validation split."""
        return self.accuracy if self.score is None else self.score

    @property
    def is_network(self) -> bool:
        """Whether the model is a network and not a baseline."""
        return self.architecture in ARCHITECTURES


def read_model_card(folder: Path) -> ModelCard:
    """Read the model card of an exported model.

    Raises:
        UserError: If the folder contains none.
        DamagedFileError: If the card is damaged, or does not describe a model of this project.
    """
    path = folder / CARD_FILE
    try:
        read_limited(path, LARGEST_CARD)
    except MissingFileError:
        raise UserError(
            f"model: {str(folder)!r:.300} contains no {CARD_FILE}. Give a folder that `imdb-compare export` wrote."
        ) from None
    content = store.read_bytes(path, LARGEST_CARD)
    if content is None:
        raise store.DamagedFileError(f"{escape_terminal(path)} has no checksum file")
    return json_model(content, ModelCard, path)
