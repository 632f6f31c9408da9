"""Trained models, back from the cache: rebuilt from the project's code, their weights read as plain numbers.

A model file of Keras, a pickle or an HDF5 file can run code when it is loaded. Here nothing but numbers is read,
and only where they have the names, shapes and type that the architecture's own code asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks import store
from tasks.architectures import ARCHITECTURES, builder
from tasks.baselines import BASELINES, Baseline, restored
from tasks.cells import architecture_of, own_names, stored_cell, weights_file
from tasks.errors import UserError
from tasks.own_architectures import own_file
from tasks.settings import Recipe

if TYPE_CHECKING:
    import keras

# Beside its numbers a file holds their names and shapes; for these models a few kilobytes.
LARGEST_HEADER = 1_000_000


def load_network(folder: Path, name: str, recipe: Recipe) -> keras.Model:
    """Return the trained network of a cell.

    Args:
        folder: The cache.
        name: The cell's name.
        recipe: What it was trained with.

    Raises:
        FileNotFoundError: If no such cell is stored whole.
        DamagedFileError: If a file is not what was written, or holds not the weights of this architecture.
    """
    path = weights_file(folder, name)
    architecture = architecture_of(name)
    if architecture not in ARCHITECTURES:
        try:
            own_file(architecture)  # or a name could have any function called
        except UserError as error:
            known = ", ".join(ARCHITECTURES)
            raise ValueError(f"{name!r:.200} is no cell of a network. Networks: {known}. {error}") from None
    model = network(architecture, recipe, path)
    if stored_cell(folder, name) is None:
        raise FileNotFoundError(f"{path} is not stored whole; run again")
    return model


def network(architecture: str, recipe: Recipe, path: Path) -> keras.Model:
    """Build a network, and give it the weights in a file; errors as of `load_network`.

    Args:
        architecture: A name in `ARCHITECTURES`, or `module:function` of the user's own.
        recipe: What it was trained with.
        path: The weights, with their checksum beside them.
    """
    model = builder(architecture)(recipe)
    most = sum(weight.numpy().nbytes for weight in model.weights) + LARGEST_HEADER
    if path.is_file() and path.stat().st_size > most:
        raise store.DamagedFileError(f"{path} is larger than {most:,} bytes, and no weights of a {architecture}")
    set_weights(model, read_weights(path), path)
    return model


def load_baseline(folder: Path, name: str) -> Baseline:
    """Return the trained baseline of a cell; arguments and errors as of `load_network`."""
    path = weights_file(folder, name)
    architecture = architecture_of(name)
    if architecture not in BASELINES:
        raise ValueError(f"{name!r:.200} is no cell of a baseline. Baselines: {', '.join(BASELINES)}")
    if stored_cell(folder, name) is None:
        raise FileNotFoundError(f"{path} is not stored whole; run again")
    return baseline(architecture, path)


def baseline(name: str, path: Path) -> Baseline:
    """Rebuild a baseline, a name in `BASELINES`, from the weights in a file; errors as of `load_network`."""
    try:
        return restored(name, read_weights(path))
    except (KeyError, ValueError, IndexError) as error:
        raise store.DamagedFileError(f"{path} holds no weights of a {name}: {error}") from error


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays in a file of weights, by name.

    Raises:
        FileNotFoundError: If it is not there.
        DamagedFileError: If it is not what was written, or no safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = store.read_bytes(path)
    if content is None:
        raise FileNotFoundError(f"{path} is gone; run again")
    try:
        return load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise store.DamagedFileError(f"{path} is no safetensors file: {error}") from error


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
        wrong = dict(set(received.items()) - set(described.items())) or "fewer weights"
        raise store.DamagedFileError(f"{path} holds {wrong!s:.300}; the model has {described!s:.300}")
    for name, weight in wanted.items():
        weight.assign(found[name])
