"""Files in place of a trial's weights: some would run code when a less careful program loads them, some do not fit."""

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

CANARY = "import pathlib; pathlib.Path({canary!r}).touch()"


class Evil:
    """Creates the canary file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple:
        return exec, (CANARY.format(canary=str(self.canary)),)


def lambda_model(canary: Path) -> bytes:
    """Return a Keras model file whose Lambda layer creates the canary file."""
    import keras

    inputs, mark = keras.Input((1,)), str(canary)
    touch = keras.layers.Lambda(lambda x: (__import__("pathlib").Path(mark).touch(), x)[1])
    keras.Model(inputs, touch(inputs)).save(path := canary.with_suffix(".keras"))
    content = path.read_bytes()
    path.unlink()
    canary.unlink()  # building the model touched it
    return content


def keras_model(module: str, kind: str, config: dict[str, object]) -> bytes:
    """Return a Keras model file (a zip) that names a class to build, with 16 MB of zeros as weights."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", json.dumps({"module": module, "class_name": kind, "config": config}))
        file.writestr("model.weights.h5", bytes(2**24))
    return buffer.getvalue()


def hdf5(canary: Path) -> bytes:
    """Return an HDF5 file that contains a pickle and a link to a file outside of it."""
    import h5py

    with h5py.File(path := canary.with_suffix(".h5"), "w") as file:
        file.create_dataset("weights", data=np.void(pickle.dumps(Evil(canary))))
        file["outside"] = h5py.ExternalLink("/etc/passwd", "/")
    content = path.read_bytes()
    path.unlink()
    return content


def npy(canary: Path) -> bytes:
    """Return a NumPy file of pickled objects."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([Evil(canary)], object), allow_pickle=True)
    return buffer.getvalue()


def safetensors(entries: object, data: bytes = b"", length: int | None = None) -> bytes:
    """Return a safetensors file with any header, and any length of the header in its first bytes."""
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def changed(change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> Callable[[bytes], bytes]:
    """Return a function that applies a change to the weights in a safetensors file."""
    return lambda content: save(change(load(content)))


def renamed(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return weights of which one has another name."""
    return {("gru/kernel" if name == "logit/kernel" else name): array for name, array in arrays.items()}


MALICIOUS_FILES = {
    "a model of Keras with a Lambda layer": lambda_model,
    "a model of Keras that calls os.system": lambda canary: keras_model("os", "system", {"command": f"touch {canary}"}),
    "a model of Keras with a TFSMLayer": lambda _: keras_model("keras.layers", "TFSMLayer", {"filepath": "/tmp"}),
    "a pickle": lambda canary: pickle.dumps(Evil(canary)),
    "HDF5": hdf5,
    "a NumPy file of objects": npy,
    "a header of exabytes": lambda _: safetensors({}, length=2**63),
    "a tensor of exabytes": lambda _: safetensors(
        {"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    ),
    "shapes that overflow": lambda _: safetensors(
        {"x": {"dtype": "F32", "shape": [2**33, 2**33], "data_offsets": [0, 0]}}
    ),
    "an unknown type": lambda _: safetensors(
        {"x": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)
    ),
    "nested JSON": lambda _: struct.pack("<Q", 200_000) + b"[" * 200_000,
    "nothing": lambda _: b"",
}
CHANGED_FILES = {
    "cut": lambda content: content[:-5],
    "longer": lambda content: content + b"x",
    "another name": changed(renamed),
    "another shape": changed(lambda arrays: arrays | {"logit/kernel": arrays["logit/kernel"].T.copy()}),
    "another type": changed(lambda arrays: arrays | {"logit/bias": arrays["logit/bias"].astype(np.float64)}),
    "one weight fewer": changed(lambda arrays: {name: arrays[name] for name in sorted(arrays)[1:]}),
    "one weight more": changed(lambda arrays: arrays | {"extra/kernel": np.zeros(3, np.float32)}),
}
