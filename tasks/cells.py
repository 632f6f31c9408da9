"""Cells: one architecture with one seed, trained on one set of reviews by one recipe; found in the cache, or made.

A cell is three files, each with its checksum beside it: the history of its epochs (Parquet, with the facts of
the cell in its attributes), its predictions (Parquet) and its weights (safetensors). Their name holds
the cell's key, which covers everything that the cell is made of; what has the key is never made twice.
A baseline is a cell, too: of one seed, without epochs.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks import store
from tasks.architectures import builder
from tasks.baselines import BASELINES, Baseline, Labelled
from tasks.code_version import code_version
from tasks.costs import forget_peak_memory, latency, peak_memory_mb
from tasks.encoding import normalise, text_array
from tasks.escape import escape_terminal
from tasks.safe_files import SMALL_TABLE, TABLE, Kind, Name, as_frame, check_columns, reasons
from tasks.settings import Recipe
from tasks.training import HISTORY_METRICS, Split, fit, predict

PREDICTED_SPLITS = ("validation", "test")
LIBRARIES = ("tensorflow", "keras", "numpy", "numba", "scipy")
BASELINE_RECIPE = {"tokeniser", "class_weights"}
BASELINE_LIBRARIES = ("scikit-learn", "scipy", "numpy", "pyarrow")

PREDICTIONS: dict[str, Kind] = {
    "architecture": "text", "seed": "number", "review_id": "text", "split": "text", "label": "number",
    "probability": "number",
}  # fmt: skip
HISTORY: dict[str, Kind] = {
    "architecture": "text", "seed": "number", "epoch": "number", "split": "text", "loss": "number",
    "accuracy": "number",
}  # fmt: skip

Made = tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]
OnEpoch = Callable[[int, dict[str, float]], None]
Weight = TypeVar("Weight")


class CellFacts(BaseModel):
    """What must be known of a stored cell; it holds more, all of it numbers."""

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


def cell_name(architecture: str, seed: int, recipe: Recipe, fingerprint: str) -> str:
    """Name a cell by all that it is made of: `lstm-seed-0-<16 hexadecimal digits>`.

    Args:
        architecture: A name in `ARCHITECTURES` or `BASELINES`, or `module:function` of the user's own.
        seed: The seed of its weights, order and dropout.
        recipe: What every network of a comparison shares; a baseline depends on what it says of `BASELINE_RECIPE`.
        fingerprint: Of the reviews as the cell reads them.
    """
    made_of: dict[str, Any] = {"data": fingerprint, "seed": seed}
    if architecture in BASELINES:
        made_of["recipe"] = recipe.model_dump(include=BASELINE_RECIPE)
        made_of["code"] = code_version(BASELINES[architecture], make_baseline)
        made_of["libraries"] = {name: version(name) for name in BASELINE_LIBRARIES}
    else:
        made_of["recipe"] = recipe.model_dump()
        made_of["code"] = code_version(builder(architecture), make_cell, fit, predict)
        made_of["libraries"] = {name: version(name) for name in LIBRARIES}
    key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    return f"{architecture.replace(':', '.')}-seed-{seed}-{key[:16]}"


def architecture_of(name: str) -> str:
    """Return the architecture of a cell, by the cell's name."""
    module, _, function = name.split("-seed-")[0].rpartition(".")
    return f"{module}:{function}" if module else function


def stored_cell(folder: Path, name: str) -> dict[str, Any] | None:
    """Return the facts of a cell that is stored whole, or None.

    Raises:
        DamagedFileError: If one of its files is not what was written, or not of this cell.
    """
    history = store.read(history_file(folder, name), SMALL_TABLE)
    predictions = store.read(predictions_file(folder, name), TABLE)
    weights = store.read_bytes(weights_file(folder, name))
    if history is None or predictions is None or weights is None:
        return None
    facts = _checked_facts(history, history_file(folder, name))
    if facts["weights"] != weights_file(folder, name).name:
        raise store.DamagedFileError(f"{escape_terminal(history_file(folder, name))} is not of this cell")
    if hashlib.sha256(weights).hexdigest() != facts["weights_sha256"]:
        raise store.DamagedFileError(f"{escape_terminal(weights_file(folder, name))} is not of this cell")
    _check_predictions(predictions, facts, predictions_file(folder, name))
    return facts


def _checked_facts(history: pa.Table, path: Path) -> dict[str, Any]:
    """Return the facts of a cell, after a check of them and of the history's columns."""
    check_columns(history, HISTORY, path)
    facts = _facts(as_frame(history, path))
    try:
        CellFacts.model_validate(facts)
    except ValidationError as error:
        raise store.DamagedFileError(f"{escape_terminal(path)} is not valid: {reasons(error)}") from None
    return facts


def _check_predictions(table: pa.Table, facts: Mapping[str, Any], path: Path) -> None:
    """Refuse predictions that are not of this cell, or no probabilities; a cell that diverged has none."""
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
        raise store.DamagedFileError(f"{escape_terminal(path)} does not hold this cell's predictions")


def make_cell(
    architecture: str,
    seed: int,
    recipe: Recipe,
    encoded: pa.Table,
    *,
    build: Callable[[Recipe], Any],
    on_epoch: OnEpoch | None = None,
) -> Made:
    """Train a cell and let it predict; the test reviews are read only after its training has ended.

    Returns:
        The frames history and predictions (none if it diverged), and the weights by name; the facts of
        the cell are the history's `attrs`.
    """
    forget_peak_memory()
    rows = {name: encoded.filter(pc.equal(encoded["split"], name)) for name in ("train", *PREDICTED_SPLITS)}
    train, validation = (Split.from_table(rows[name]) for name in ("train", "validation"))
    model, history, facts, given = fit(build, recipe, train, validation, seed, on_epoch)

    def answer(split: Split) -> np.ndarray:
        return predict(model, split, max_tokens=recipe.max_tokens)

    answers = {}
    if facts["status"] == "finished":
        answers = {
            "validation": (rows["validation"], given),
            "test": (rows["test"], answer(Split.from_table(rows["test"]))),
        }
        facts |= latency(lambda chosen: answer(validation.rows(chosen)), len(validation.labels))
    weights = {weight.path: weight.numpy() for weight in model.weights}
    return _made(architecture, seed, history, answers, {**facts, "train_reviews": len(train.labels)}, weights)


def make_baseline(
    name: str, reviews: pa.Table, recipe: Recipe, *, learn: Callable[[Labelled, Labelled], Baseline]
) -> Made:
    """Train a baseline and let it predict, the test reviews last.

    Args:
        name: Its name, which stands where an architecture's would.
        reviews: The frame reviews, as a table.
        recipe: Of which `BASELINE_RECIPE` counts.
        learn: Fits it to the training reviews, tuned on the validation reviews.

    Returns:
        As `make_cell`; the history has no rows, for there are no epochs.
    """
    forget_peak_memory()
    rows = {split: reviews.filter(pc.equal(reviews["split"], split)) for split in ("train", *PREDICTED_SPLITS)}
    weight: Literal["balanced"] | None = "balanced" if recipe.class_weights else None
    splits = {
        split: Labelled(_words(table, recipe.tokeniser), table["label"].to_numpy(), weight)
        for split, table in rows.items()
    }
    start = time.perf_counter()
    baseline = learn(splits["train"], splits["validation"])
    seconds = time.perf_counter() - start
    answers = {split: (rows[split], baseline.predict(splits[split].texts)) for split in PREDICTED_SPLITS}
    texts = np.array(splits["validation"].texts, dtype=object)
    facts = {
        "parameters": baseline.parameters, "train_seconds": seconds, "train_flops": float("nan"), "epochs": 0,
        "best_epoch": 0, "best_seconds": seconds, "status": "finished", "train_reviews": len(rows["train"]),
        **latency(lambda chosen: baseline.predict(texts[chosen]), len(texts)),
    }  # fmt: skip
    history = pd.DataFrame(columns=["epoch", "split", *HISTORY_METRICS, "seconds"])
    return _made(name, 0, history, answers, facts, baseline.weights)


def _words(table: pa.Table, tokeniser: str) -> list[str]:
    return list(normalise(text_array(table["text"].to_pylist()), tokeniser).to_pylist())


def _made(
    architecture: str,
    seed: int,
    history: pd.DataFrame,
    answers: Mapping[str, tuple[pa.Table, np.ndarray]],
    facts: dict[str, Any],
    weights: dict[str, Any],
) -> Made:
    """Put together what a cell leaves: frames with its name in front, and its facts."""
    columns = ["review_id", "split", "label"]
    parts = [rows.select(columns).to_pandas().assign(probability=given) for rows, given in answers.values()]
    predictions = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*columns, "probability"])
    for frame in (history, predictions):
        frame.insert(0, "architecture", architecture)
        frame.insert(1, "seed", seed)
    history.attrs.update(architecture=architecture, seed=seed, peak_memory_mb=peak_memory_mb(), **facts)
    return history, predictions, weights


def store_cell(
    folder: Path, name: str, history: pd.DataFrame, predictions: pd.DataFrame, weights: dict[str, Any]
) -> dict[str, Any]:
    """Write the files of a cell, its facts last, and return these."""
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
    """Say where the history of a cell lies."""
    return folder / "cells" / f"{name}.parquet"


def predictions_file(folder: Path, name: str) -> Path:
    """Say where the predictions of a cell lie."""
    return folder / "cells" / f"{name}.predictions.parquet"


def weights_file(folder: Path, name: str) -> Path:
    """Say where the weights of a cell lie."""
    return folder / "cells" / f"{name}.safetensors"
