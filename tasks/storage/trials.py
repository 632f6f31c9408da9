"""Files of a trial in the cache."""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.config.escape import escape_terminal
from tasks.storage import store
from tasks.storage.safe_files import SMALL_TABLE, TABLE, Kind, Name, as_frame, check_columns, reasons

PREDICTED_SPLITS = ("validation", "test")
PREDICTIONS: dict[str, Kind] = {
    "architecture": "text", "seed": "number", "review_id": "text", "split": "text", "label": "number",
    "probability": "number",
}  # fmt: skip
HISTORY: dict[str, Kind] = {
    "architecture": "text", "seed": "number", "epoch": "number", "split": "text", "loss": "number",
    "accuracy": "number",
}  # fmt: skip
Weight = TypeVar("Weight")


class TrialFacts(BaseModel):
    """What must be known of a stored trial; it holds more, all of it numbers."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=True, strict=True)
    __pydantic_extra__: dict[str, int | float] = Field(init=False)

    architecture: Name
    seed: int = Field(ge=0)
    status: Literal["finished", "diverged"]
    weights: Name
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    parameters: int = Field(ge=0)
    epochs: int = Field(ge=0)
    best_epoch: int = Field(ge=0)
    train_seconds: float = Field(ge=0)


def architecture_of(name: str) -> str:
    """Return the architecture of a trial, by the trial's name."""
    module, _, function = name.split("-seed-")[0].rpartition(".")
    return f"{module}:{function}" if module else function


def stored_trial(folder: Path, name: str) -> dict[str, Any] | None:
    """Return the facts of a trial that is stored whole, or None.

    Raises:
        DamagedFileError: If one of its files is not what was written, or not of this trial.
    """
    history = store.read(history_file(folder, name), SMALL_TABLE)
    predictions = store.read(predictions_file(folder, name), TABLE)
    weights = store.read_bytes(weights_file(folder, name))
    if history is None or predictions is None or weights is None:
        return None
    facts = _checked_facts(history, history_file(folder, name))
    if facts["weights"] != weights_file(folder, name).name:
        raise store.DamagedFileError(f"{escape_terminal(history_file(folder, name))} is not of this trial")
    if hashlib.sha256(weights).hexdigest() != facts["weights_sha256"]:
        raise store.DamagedFileError(f"{escape_terminal(weights_file(folder, name))} is not of this trial")
    _check_predictions(predictions, facts, predictions_file(folder, name))
    return facts


def stored_or_said(folder: Path, name: str, say: Callable[[str], None]) -> dict[str, Any] | None:
    """Return `stored_trial`, or None where a file is damaged, of which `say` is told."""
    try:
        return stored_trial(folder, name)
    except store.DamagedFileError as damage:
        say(f"{damage}: {name} is trained again")
        return None


def _checked_facts(history: pa.Table, path: Path) -> dict[str, Any]:
    """Return the facts of a trial, after a check of them and of the history's columns."""
    check_columns(history, HISTORY, path)
    facts = _facts(as_frame(history, path))
    try:
        TrialFacts.model_validate(facts)
    except ValidationError as error:
        raise store.DamagedFileError(f"{escape_terminal(path)} is not valid: {reasons(error)}") from None
    return facts


def _check_predictions(table: pa.Table, facts: Mapping[str, Any], path: Path) -> None:
    """Refuse predictions that are not of this trial, or no probabilities; a trial that diverged has none."""
    check_columns(table, PREDICTIONS, path)
    if len(table) == 0 and facts["status"] == "diverged":
        return
    known = {"architecture": {facts["architecture"]}, "seed": {facts["seed"]}, "label": {0, 1},
             "split": set(PREDICTED_SPLITS)}  # fmt: skip
    values = {name: set(pc.unique(table[name]).to_pylist()) for name in known}
    probability = pc.min_max(table["probability"]).as_py()
    # NaN is neither the least nor the greatest: it is counted.
    missing = pc.sum(pc.is_null(table["probability"], nan_is_null=True)).as_py()
    wrong = [name for name, allowed in known.items() if not values[name] or values[name] - allowed]
    if wrong or missing or not 0 <= probability["min"] <= probability["max"] <= 1:
        raise store.DamagedFileError(f"{escape_terminal(path)} does not hold this trial's predictions")


def store_trial(
    folder: Path, name: str, history: pd.DataFrame, predictions: pd.DataFrame, weights: dict[str, Any]
) -> dict[str, Any]:
    """Write the files of a trial, its facts last, and return these."""
    from safetensors.numpy import save

    file = weights_file(folder, name)
    sha256 = store.write(file, save(own_names(weights)))
    store.write(predictions_file(folder, name), predictions)
    history.attrs.update(weights=file.name, weights_sha256=sha256)
    store.write(history_file(folder, name), history)
    return _facts(history)


def own_names(weights: Mapping[str, Weight]) -> dict[str, Weight]:
    """Name weights as in a process that built this model alone: `lstm_4/kernel` of a first LSTM is `lstm/kernel`.

    Keras numbers the layers of a process, so the bytes of the same model would depend on what was trained before it.
    """
    numbers: dict[str, dict[int, str]] = {}
    for layer in {name.split("/")[0] for name in weights if "/" in name}:
        kind, number = re.sub(r"_\d+$", "", layer), re.search(r"_(\d+)$", layer)
        numbers.setdefault(kind, {})[int(number[1]) if number else 0] = layer
    own = {
        found[number]: f"{kind}_{count}" if count else kind
        for kind, found in numbers.items()
        for count, number in enumerate(sorted(found))
    }
    split = {name: name.partition("/") for name in weights}
    return {"".join([own.get(layer, layer), *rest]): weights[name] for name, (layer, *rest) in split.items()}


def _facts(history: pd.DataFrame) -> dict[str, Any]:
    return {str(name): fact for name, fact in history.attrs.items()}


def history_file(folder: Path, name: str) -> Path:
    """Say where the history of a trial lies."""
    return folder / "trials" / f"{name}.parquet"


def predictions_file(folder: Path, name: str) -> Path:
    """Say where the predictions of a trial lie."""
    return folder / "trials" / f"{name}.predictions.parquet"


def weights_file(folder: Path, name: str) -> Path:
    """Say where the weights of a trial lie."""
    return folder / "trials" / f"{name}.safetensors"
