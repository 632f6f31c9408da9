"""Trained models, back from the cache: rebuilt from the project's code, their weights read as plain numbers.

A model file of Keras, a pickle or an HDF5 file can run code when it is loaded. Here nothing but numbers is read,
and only where they have the names, shapes and type that the architecture's own code asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.config.recipe import Recipe
from tasks.data.tokenization import FIRST_WORD
from tasks.models.baselines import BASELINES, Baseline, restored
from tasks.models.registry import ARCHITECTURES, builder
from tasks.storage import store
from tasks.storage.safe_files import LARGEST_FILE, VOCABULARY, Kind, as_frame, check_columns
from tasks.storage.trials import architecture_of, own_names, stored_trial, weights_file
from tasks.training.check_user_model import own_file

if TYPE_CHECKING:
    import keras

# Beside its numbers a file holds their names and shapes; for these models a few kilobytes.
LARGEST_HEADER = 1_000_000
WORDS: dict[str, Kind] = {"word": "text", "count": "number", "index": "number"}


def load_network(folder: Path, name: str, recipe: Recipe) -> keras.Model:
    """Return the trained network of a trial.

    Args:
        folder: The cache.
        name: The trial's name.
        recipe: What it was trained with.

    Raises:
        FileNotFoundError: If no such trial is stored whole.
        DamagedFileError: If a file is not what was written, or holds not the weights of this architecture.
    """
    path = weights_file(folder, name)
    architecture = architecture_of(name)
    if architecture not in ARCHITECTURES:
        try:
            own_file(architecture)  # or a name could have any function called
        except UserError as error:
            known = ", ".join(ARCHITECTURES)
            raise ValueError(f"{name!r:.200} is no trial of a network. Networks: {known}. {error}") from None
    model = network(architecture, recipe, path)
    if stored_trial(folder, name) is None:
        raise FileNotFoundError(f"{path} is not stored whole; run again")
    return model


def network(architecture: str, recipe: Recipe, path: Path) -> keras.Model:
    """Build a network, and give it the weights in a file; errors as of `load_network`.

    Args:
        architecture: A name in `ARCHITECTURES`, or `module:function` of the user's own.
        recipe: What it was trained with.
        path: The weights, with their checksum beside them.
    """
    arrays = read_weights(path)
    # Any network has at least these. A recipe of a few bytes could ask for gigabytes otherwise.
    least = recipe.vocabulary_size * recipe.embedding_size + recipe.units**2
    if architecture in ARCHITECTURES and sum(array.size for array in arrays.values()) < least:
        raise store.DamagedFileError(f"{escape_terminal(path)} holds too few numbers for this recipe")
    model = builder(architecture)(recipe)
    set_weights(model, arrays, path)
    return model


def read_vocabulary(path: Path, recipe: Recipe) -> pd.DataFrame:
    """Return the vocabulary of a network: columns word, count, index; as `encoding.build_vocabulary` makes it.

    Raises:
        FileNotFoundError: If it is not there.
        DamagedFileError: If it is not what was written, or no vocabulary of this recipe.
    """
    table = store.table(path, VOCABULARY)
    check_columns(table, WORDS, path)
    indices = table["index"].to_pylist()
    flaws = {
        "columns that do not belong there": set(table.column_names) != set(WORDS),
        f"more than {recipe.vocabulary_size - FIRST_WORD:,} words": len(table) > recipe.vocabulary_size - FIRST_WORD,
        "missing values": any(column.null_count for column in table.columns),
        "indices that do not count from 2": indices != list(range(FIRST_WORD, FIRST_WORD + len(table))),
        "words that stand there twice": len(pc.unique(table["word"])) != len(table),
    }
    if found := [flaw for flaw, there in flaws.items() if there]:
        raise store.DamagedFileError(f"{escape_terminal(path)} has {', '.join(found)}")
    return as_frame(table.replace_schema_metadata(), path)


def load_baseline(folder: Path, name: str) -> Baseline:
    """Return the trained baseline of a trial; arguments and errors as of `load_network`."""
    path = weights_file(folder, name)
    architecture = architecture_of(name)
    if architecture not in BASELINES:
        raise ValueError(f"{name!r:.200} is no trial of a baseline. Baselines: {', '.join(BASELINES)}")
    if stored_trial(folder, name) is None:
        raise FileNotFoundError(f"{path} is not stored whole; run again")
    return baseline(architecture, path)


def baseline(name: str, path: Path) -> Baseline:
    """Rebuild a baseline, a name in `BASELINES`, from the weights in a file; errors as of `load_network`."""
    try:
        arrays = read_weights(path)
        _check_baseline(name, arrays)
        return restored(name, arrays)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise store.DamagedFileError(f"{escape_terminal(path)} holds no weights of a {name}") from error


def _check_baseline(name: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError where these are not the names, shapes and types of a baseline's weights."""
    if name == "majority":
        if set(arrays) != {"share"} or arrays["share"].shape != (1,) or not 0 <= arrays["share"][0] <= 1:
            raise ValueError("not the share of a class")
        return
    floats = {"coefficients", "intercept", *(["idf"] if name == "tfidf_logistic" else [])}
    if set(arrays) != {"vocabulary", *floats} or arrays["vocabulary"].dtype != np.uint8:
        raise ValueError("other names or types")
    words = arrays["vocabulary"].tobytes().count(b"\n") + 1
    shapes = {each: (1,) if each == "intercept" else (words,) for each in floats}
    if any(arrays[each].shape != shape or arrays[each].dtype.kind != "f" for each, shape in shapes.items()):
        raise ValueError("other shapes or types")


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays in a file of weights, by name.

    Raises:
        FileNotFoundError: If it is not there.
        DamagedFileError: If it is not what was written, no safetensors file, or holds NaN or infinity.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = store.read_bytes(path, LARGEST_FILE)
    if content is None:
        raise FileNotFoundError(f"{escape_terminal(path)} is gone; run again")
    if int.from_bytes(content[:8], "little") > min(LARGEST_HEADER, len(content)):
        raise store.DamagedFileError(f"{escape_terminal(path)} is no safetensors file: its header is too long")
    try:
        arrays = load(content)
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise store.DamagedFileError(f"{escape_terminal(path)} is no safetensors file") from error
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise store.DamagedFileError(f"{escape_terminal(path)} holds weights that are not numbers")
    return arrays


def set_weights(model: keras.Model, arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Give a model its weights, all of them or none.

    Raises:
        DamagedFileError: If names, shapes or types are not those of the model; `path` is named in the message.
    """
    wanted = own_names({weight.path: weight for weight in model.weights})
    found = own_names(arrays)
    described = {name: (tuple(weight.shape), str(weight.dtype)) for name, weight in wanted.items()}
    received = {name: (array.shape, str(array.dtype)) for name, array in found.items()}
    if described != received:
        wrong = len(set(received.items()) - set(described.items()))
        raise store.DamagedFileError(
            f"{escape_terminal(path)} holds {len(received)} weights, {wrong} of another name, shape or type; the model "
            f"has {described!s:.300}"
        )
    for name, weight in wanted.items():
        weight.assign(found[name])
