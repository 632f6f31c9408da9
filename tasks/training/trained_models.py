"""Trained models from the cache: built by the project's code, with weights that are read as plain numbers.

Model files of Keras, pickles and HDF5 files can run code when they are loaded. This module reads only numbers, and only
with the names, shapes and types that the code of the architecture defines.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from tasks.config.errors import MissingFileError, UserError
from tasks.config.escape import escape_terminal
from tasks.config.recipe import Recipe
from tasks.data.tokenization import FIRST_TOKEN_ID
from tasks.models.baselines import BASELINES, Baseline, restore_baseline
from tasks.models.registry import ARCHITECTURES, builder, output_width
from tasks.storage import store
from tasks.storage.layout import weights_file
from tasks.storage.safe_files import LARGEST_FILE
from tasks.storage.safe_parquet import VOCABULARY, Kind, as_frame, check_columns
from tasks.storage.trials import architecture_of, canonical_weight_names, read_trial
from tasks.training.check_user_model import user_module_file

if TYPE_CHECKING:
    import keras

# A safetensors header holds the names and shapes of the weights; for these models it has a few kilobytes.
MAX_HEADER_BYTES = 1_000_000
VOCABULARY_COLUMNS: dict[str, Kind] = {"word": "text", "count": "number", "index": "number"}


def load_network(folder: Path, name: str, recipe: Recipe, classes: int = 2) -> keras.Model:
    """Return the trained network of a trial.

    Args:
        folder: Cache folder.
        name: Name of the trial in the cache.
        recipe: Hyperparameters of the trial.
        classes: Number of classes.

    Raises:
        ValueError: If the name is not that of a trial of a network.
        MissingFileError: If a file of the trial is missing.
        DamagedFileError: If a file is damaged, or the weights do not fit the architecture.
    """
    path = weights_file(folder, name)
    architecture = architecture_of(name)
    if architecture not in ARCHITECTURES:
        try:
            user_module_file(architecture)  # otherwise a name could call any function
        except UserError as error:
            known = ", ".join(ARCHITECTURES)
            raise ValueError(f"{name!r:.200} is not a trial of a network. Networks: {known}. {error}") from None
    model = build_network(architecture, recipe, path, classes)
    if read_trial(folder, name) is None:
        raise MissingFileError(f"{escape_terminal(path)} is incomplete")
    return model


def build_network(architecture: str, recipe: Recipe, path: Path, classes: int = 2) -> keras.Model:
    """Build a network with the weights in a file; errors as in `load_network`.

    Args:
        architecture: Name in `ARCHITECTURES`, or `module:function` of a user-defined architecture.
        recipe: Hyperparameters of the network.
        path: File of the weights, with its checksum file.
        classes: Number of classes.
    """
    arrays = read_weights(path)
    # Any network has at least this many weights. A recipe of a few bytes could otherwise allocate gigabytes.
    inputs = recipe.embedding_size if architecture == "cnn" else recipe.units  # of each unit
    smallest = recipe.vocabulary_size * recipe.embedding_size + inputs * recipe.units
    if architecture in ARCHITECTURES and sum(array.size for array in arrays.values()) < smallest:
        raise store.DamagedFileError(f"{escape_terminal(path)} contains too few weights for this recipe")
    model = builder(architecture)(recipe, classes)
    set_weights(model, arrays, path)
    return model


def read_vocabulary(path: Path, recipe: Recipe) -> pd.DataFrame:
    """Return the vocabulary of a network: columns word, count, index, as from `tokenization.build_vocabulary`.

    Raises:
        MissingFileError: If the file is missing.
        DamagedFileError: If the file is damaged, or not a vocabulary of this recipe.
    """
    table = store.table(path, VOCABULARY)
    check_columns(table, VOCABULARY_COLUMNS, path)
    indices = table["index"].to_pylist()
    max_words = recipe.vocabulary_size - FIRST_TOKEN_ID
    flaws = {
        "unknown columns": set(table.column_names) != set(VOCABULARY_COLUMNS),
        f"more than {max_words:,} words": len(table) > max_words,
        "missing values": any(column.null_count for column in table.columns),
        "indices that do not count from 2": indices != list(range(FIRST_TOKEN_ID, FIRST_TOKEN_ID + len(table))),
        "duplicate words": len(pc.unique(table["word"])) != len(table),
    }
    if found := [flaw for flaw, is_present in flaws.items() if is_present]:
        raise store.DamagedFileError(f"{escape_terminal(path)} has {', '.join(found)}")
    return as_frame(table.replace_schema_metadata(), path)


def load_baseline(folder: Path, name: str, classes: int = 2) -> Baseline:
    """Return the trained baseline of a trial; arguments and errors as in `load_network`."""
    path = weights_file(folder, name)
    architecture = architecture_of(name)
    if architecture not in BASELINES:
        raise ValueError(f"{name!r:.200} is not a trial of a baseline. Baselines: {', '.join(BASELINES)}")
    if read_trial(folder, name) is None:
        raise MissingFileError(f"{escape_terminal(path)} is incomplete")
    return build_baseline(architecture, path, classes)


def build_baseline(name: str, path: Path, classes: int = 2) -> Baseline:
    """Build a baseline, a name in `BASELINES`, with the weights in a file; errors as in `load_network`."""
    try:
        arrays = read_weights(path)
        _check_baseline_weights(name, arrays, classes)
        return restore_baseline(name, arrays)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise store.DamagedFileError(f"{escape_terminal(path)} contains no weights of a {name}") from error


def _check_baseline_weights(name: str, arrays: Mapping[str, np.ndarray], classes: int) -> None:
    """Raise ValueError unless the names, shapes and types are those of a baseline's weights."""
    if name == "majority":
        shares = arrays["share"] if set(arrays) == {"share"} else np.empty(0)
        if shares.shape != (output_width(classes),) or not ((shares >= 0) & (shares <= 1)).all():
            raise ValueError("not the shares of the classes")
        return
    floats = {"coefficients", "intercept", *(["idf"] if name == "tfidf_logistic" else [])}
    if set(arrays) != {"vocabulary", *floats} or arrays["vocabulary"].dtype != np.uint8:
        raise ValueError("other names or types")
    terms, width = arrays["vocabulary"].tobytes().count(b"\n") + 1, output_width(classes)
    columns = (width,) if width > 1 else ()
    shapes = {"coefficients": (terms, *columns), "intercept": (width,), "idf": (terms,)}
    if any(arrays[each].shape != shapes[each] or arrays[each].dtype.kind != "f" for each in floats):
        raise ValueError("other shapes or types")


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays in a file of weights, by name.

    Raises:
        MissingFileError: If the file is missing.
        DamagedFileError: If the file is damaged, is not a safetensors file, or contains NaN or infinity.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = store.read_bytes(path, LARGEST_FILE)
    if content is None:
        raise MissingFileError(f"{escape_terminal(path)} is missing")
    if int.from_bytes(content[:8], "little") > min(MAX_HEADER_BYTES, len(content)):
        raise store.DamagedFileError(f"{escape_terminal(path)} is not a safetensors file: its header is too long")
    try:
        arrays = load(content)
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise store.DamagedFileError(f"{escape_terminal(path)} is not a safetensors file") from error
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise store.DamagedFileError(f"{escape_terminal(path)} contains weights that are NaN or infinite")
    return arrays


def set_weights(model: keras.Model, arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Set all weights of a model, or none of them.

    Args:
        model: The model.
        arrays: Its weights by name.
        path: File of the weights, named in messages.

    Raises:
        DamagedFileError: If names, shapes or types are not those of the model.
    """
    expected = canonical_weight_names({weight.path: weight for weight in model.weights})
    received = canonical_weight_names(arrays)
    expected_types = {name: (tuple(weight.shape), str(weight.dtype)) for name, weight in expected.items()}
    received_types = {name: (array.shape, str(array.dtype)) for name, array in received.items()}
    if expected_types != received_types:
        wrong = len(set(received_types.items()) - set(expected_types.items()))
        raise store.DamagedFileError(
            f"{escape_terminal(path)} contains {len(received)} weights, {wrong} of them with another name, shape or "
            f"type; the model has {expected_types!s:.300}"
        )
    for name, weight in expected.items():
        weight.assign(received[name])
