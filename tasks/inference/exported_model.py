"""A trained model as a folder to be carried elsewhere: numbers, words, texts, each with its checksum, and no code.

A network may lie beside them as an ONNX model, too, for programs that have neither Keras nor this project.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tasks.config.errors import UserError
from tasks.config.escape import escape_markdown, escape_terminal
from tasks.config.labels import BASELINE_NAMES, label
from tasks.config.recipe import Recipe
from tasks.inference.onnx import INPUT, OUTPUT, check_onnx, onnx_model
from tasks.models.registry import ARCHITECTURES
from tasks.storage import store
from tasks.storage.runs import SavedRun
from tasks.storage.s3 import get
from tasks.storage.safe_files import LARGEST_CARD, SMALL_TABLE, Name, json_model, reasons
from tasks.storage.trials import history_file, weights_file
from tasks.training.runtime import load_tensorflow
from tasks.training.trained_models import load_network, read_vocabulary

CARD, WEIGHTS, VOCABULARY, TEXT = "model.json", "weights.safetensors", "vocabulary.parquet", "README.md"
ONNX = "model.onnx"
SHOWN = ("accuracy", "f1", "auc", "log_loss")


class Card(BaseModel):
    """What must be known of a model to use it (model.json)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: Name = Field(description="Of the trial.")
    architecture: Name = Field(description="In ARCHITECTURES or BASELINE_NAMES; it is rebuilt from the project's code.")
    recipe: Recipe
    classes: tuple[Name, Name] = Field(description="What 0 and 1 are called.")
    temperature: float = Field(gt=0, allow_inf_nan=False, description="Divides the log-odds; fitted on validation.")
    threshold: float = Field(ge=0, le=1, description="Of the raw probability, the best on validation; not applied.")
    accuracy: float = Field(ge=0, le=1, description="On the validation reviews, at one half.")

    @field_validator("architecture")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ARCHITECTURES and name not in BASELINE_NAMES:
            raise ValueError(f"is none of {', '.join([*ARCHITECTURES, *BASELINE_NAMES])}")
        return name


def write_model(run: SavedRun, trial: dict[str, Any], folder: Path, onnx: bool = False) -> Path:
    """Write a trained trial into a folder of its own; for `onnx` TensorFlow is loaded.

    Args:
        run: The run that it is of.
        trial: A row of `run.trials`.
        folder: Made here; it must not be there yet.
        onnx: Whether to write the network as an ONNX model, too.

    Returns:
        The folder.

    Raises:
        UserError: If there is such a folder, it cannot be written, or the trial cannot be written so.
        FileNotFoundError, DamagedFileError: If a file of the trial is gone, or is not what was written.
    """
    check(trial["architecture"], folder, onnx)
    facts = store.frame(history_file(run.cache, trial["name"]), SMALL_TABLE).attrs
    weights = store.read_bytes(weights_file(run.cache, trial["name"]))
    if weights is None:
        raise FileNotFoundError(f"{weights_file(run.cache, trial['name'])} is gone; run again")
    known = {name: trial[name] for name in ("name", "architecture", "temperature", "threshold", "accuracy")}
    try:
        card = Card(recipe=run.recipe, classes=run.facts["classes"], **known)
    except ValidationError as error:
        raise UserError(f"This model cannot be exported: {reasons(error)}") from None
    with store.unfinished(folder):
        store.write(folder / WEIGHTS, weights)
        if card.architecture in ARCHITECTURES:
            words = read_vocabulary(run.cache / "encoded" / run.facts["vocabulary"], run.recipe)
            store.write(folder / VOCABULARY, words)
        if onnx:
            load_tensorflow()
            network = load_network(run.cache, card.name, card.recipe)
            store.write(folder / ONNX, onnx_model(network, card.temperature))
        store.write(folder / TEXT, described(run, card, facts, onnx).encode())
        store.write(folder / CARD, card.model_dump_json(indent=2).encode())
    return folder


def check(architecture: str, folder: Path, onnx: bool) -> None:
    """Refuse, before any work, what cannot be written; arguments and errors as of `write_model`."""
    if folder.exists():
        raise UserError(f"output: {str(folder)!r:.300} is there already. Name a folder that is not.")
    shown = escape_terminal(architecture)
    if onnx and architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise UserError(f"onnx: received {shown}. An ONNX model is written of these networks alone: {known}.")
    if architecture not in ARCHITECTURES and architecture not in BASELINE_NAMES:
        raise UserError(f"architecture: {shown} is of your own code, which a folder cannot carry.")
    if onnx:
        check_onnx()


def read_card(folder: Path) -> Card:
    """Read what a folder says of its model.

    Raises:
        UserError: If it holds none.
        DamagedFileError: If it is not what was written, or describes no model of this project.
    """
    path = folder / CARD
    try:
        get(path, LARGEST_CARD)
    except FileNotFoundError:
        raise UserError(
            f"model: {str(folder)!r:.300} holds no {CARD}. Give a folder that flows.cli.export wrote."
        ) from None
    content = store.read_bytes(path, LARGEST_CARD)
    if content is None:
        raise store.DamagedFileError(f"{escape_terminal(path)} has no checksum beside it")
    return json_model(content, Card, path)


def described(run: SavedRun, card: Card, facts: Mapping[Any, Any], onnx: bool = False) -> str:
    """Write the model card: what it is, how well it does, what it costs, and what it is not for.

    Every value stands there letter for letter: names of files and classes are no Markdown and no HTML.

    Source of its parts: Mitchell et al. 2019, "Model Cards for Model Reporting".
    """
    summary = run.table("summary")
    rows = summary[(summary["architecture"] == card.architecture) & (summary["split"] == "test")]
    scores = [scored(row) for row in rows.to_dict("records") if row["metric"] in SHOWN]
    rows_of = ", ".join(f"{n:,} {split}" for split, n in run.facts["rows"].items())
    versions = ", ".join(f"{name} {number}" for name, number in run.facts["versions"].items())
    reads = f"the last {card.recipe.max_tokens} words" if card.architecture in ARCHITECTURES else "all words"
    lines = [
        f"# {escape_markdown(f'{label(card.architecture)}: {card.classes[0]} or {card.classes[1]}')}",
        escape_markdown(f"Trial {card.name} of run {run.name}, {run.facts['started']}, by imdb-compare."),
        "## Data", escape_markdown(f"{run.facts['source']}: {rows_of}. Fingerprint {run.facts['fingerprint']}."),
        "## Scores on the test reviews", "Of the architecture, over its seeds; the mean and its 95% interval.",
        "\n".join(scores),
        f"This trial: {100 * card.accuracy:.2f}% right on the validation reviews. Temperature {card.temperature:.3f} "
        f"(applied), best threshold there {card.threshold:.3f} (not applied: the label changes at one half).",
        "## Cost",
        f"{facts['parameters']:,} parameters; trained in {facts['train_seconds']:.0f} s on "
        f"{escape_markdown(run.facts['hardware']['processor'])}, one thread.",
        "## Limits",
        "\n".join(f"- {caveat}" for caveat in [
            *map(escape_markdown, run.facts["caveats"]),
            f"It reads {reads} of a text, in lower case, and only words that its training reviews hold.",
            "On other kinds of text, other languages or another time the scores above do not hold.",
            "It finds no reasons, only words that went with a class in its training reviews.",
        ]),
        "## Use", '`python -m flows.predict --model <this folder> "a text"`',
        *([with_onnx(card)] if onnx else []),
        escape_markdown(f"Versions: {versions}."),
        "## Licence", "The code that runs it is under the MIT licence. The reviews have owners of their own.",
    ]  # fmt: skip
    return "\n\n".join(lines) + "\n"


def with_onnx(card: Card) -> str:
    """Say how the ONNX model is used."""
    return (
        f"`{ONNX}` is the same network for any program that runs ONNX models. Input `{INPUT}`: (reviews, width) int64, "
        f"the numbers of each review's last {card.recipe.max_tokens} words in `{VOCABULARY}` (1 for others), 0 before "
        f"them where a review is shorter. Output `{OUTPUT}`: (reviews,) float32, of "
        f"{escape_markdown(card.classes[1])}, calibrated."
    )


def scored(row: Mapping[Any, Any]) -> str:
    """Write one line of scores."""
    factor, unit = (1, "") if row["metric"] == "log_loss" else (100, "%")
    mean, low, high = (f"{factor * row[name]:.{4 if factor == 1 else 2}f}{unit}" for name in ("mean", "low", "high"))
    return f"- {label(row['metric'])}: {mean} [{low}, {high}], {int(row['seeds'])} seeds"
