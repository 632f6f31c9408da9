"""A model comes back from the cache as it was, or not at all; and no file that can run code is ever loaded."""

import ast
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import load, save

from tasks.data.tokenization import build_vocabulary, text_array, tokenize
from tasks.storage import store
from tasks.storage.trials import history_file, own_names, predictions_file, store_trial, weights_file
from tasks.training.batches import Split
from tasks.training.loop import predict
from tasks.training.trained_models import load_network
from tasks.training.trial import make_trial
from tests.conftest import ROOT
from tests.unit.training.test_trial import RECIPE, encoded

NAME = "stacked_lstm-seed-4-x"
CANARY = "import pathlib; pathlib.Path({canary!r}).touch()"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a trial behind another model of the same process, and return its cache."""
    from tasks.models.registry import stacked_lstm

    stacked_lstm(RECIPE)  # so that Keras numbers the layers of the next one from 2
    folder = tmp_path_factory.mktemp("cache")
    store_trial(folder, NAME, *make_trial("stacked_lstm", 4, RECIPE, encoded(), build=stacked_lstm))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Return a copy of the cache that a test may harm."""
    for path in (made / "trials").iterdir():
        (tmp_path / "trials").mkdir(exist_ok=True)
        (tmp_path / "trials" / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture
def canary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("canary") / "ran"


def test_a_loaded_model_predicts_what_was_stored(made: Path) -> None:
    model = load_network(made, NAME, RECIPE)
    stored = store.frame(predictions_file(made, NAME))
    for split in ("validation", "test"):
        rows = encoded().filter([each == split for each in encoded()["split"].to_pylist()])
        given = predict(model, Split.from_table(rows), max_tokens=RECIPE.max_tokens)
        np.testing.assert_array_equal(given, stored.loc[stored["split"] == split, "probability"])


@pytest.mark.fault(33)
def test_the_names_of_weights_do_not_depend_on_what_was_built_before(made: Path) -> None:
    layers = {name.split("/")[0] for name in load(weights_file(made, NAME).read_bytes())}
    assert layers == {"embedding", "long_short_term_memory", "long_short_term_memory_1", "logit"}
    weights = {"lstm_10/kernel": 10, "lstm_9/kernel": 9, "lstm_9/trial/bias": 8, "logit/bias": 1, "vocabulary": 0}
    assert own_names(weights) == {
        "lstm_1/kernel": 10, "lstm/kernel": 9, "lstm/trial/bias": 8, "logit/bias": 1, "vocabulary": 0,
    }  # fmt: skip
    assert own_names(own_names(weights)) == own_names(weights)


ODD_TEXTS = [
    "", "   ", "<br />", "<br /><br />", "zzz qqq", "🎬🍿", "\u202eright to left", "עברית", "x\ud800y", "\0",
    "good " * 2_000, "x" * 5_000_000, "good", "\n\t", "a\u0300" * 50,
]  # fmt: skip


@pytest.mark.fault(29)
def test_any_text_has_a_probability_the_same_alone_as_in_a_batch(made: Path) -> None:
    model, count = load_network(made, NAME, RECIPE), len(ODD_TEXTS)
    vocabulary = build_vocabulary([text_array(["good bad a film"])], vocabulary_size=RECIPE.vocabulary_size)

    def chances(texts: list[str]) -> np.ndarray:
        tokens = tokenize(text_array(texts), vocabulary, max_tokens=RECIPE.max_tokens)
        table = pa.table({"tokens": tokens, "label": np.zeros(len(texts), np.int8)})
        return predict(model, Split.from_table(table), max_tokens=RECIPE.max_tokens)

    together = chances(ODD_TEXTS)
    assert together.shape == (count,)
    assert ((together >= 0) & (together <= 1)).all()
    np.testing.assert_allclose(together, [chances([text])[0] for text in ODD_TEXTS], atol=1e-6)


class Evil:
    """Touches the canary when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple:
        return exec, (CANARY.format(canary=str(self.canary)),)


def lambda_model(canary: Path) -> bytes:
    """Make a model file of Keras whose Lambda layer touches the canary."""
    import keras

    inputs, mark = keras.Input((1,)), str(canary)
    touch = keras.layers.Lambda(lambda x: (__import__("pathlib").Path(mark).touch(), x)[1])
    keras.Model(inputs, touch(inputs)).save(path := canary.with_suffix(".keras"))
    content = path.read_bytes()
    path.unlink()
    canary.unlink()  # building the model touched it
    return content


def zipped(module: str, kind: str, config: dict[str, object]) -> bytes:
    """Make a model file of Keras, which is a zip, that names a class to be built, and much that packs to little."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", json.dumps({"module": module, "class_name": kind, "config": config}))
        file.writestr("model.weights.h5", bytes(2**24))
    return buffer.getvalue()


def hdf5(canary: Path) -> bytes:
    """Make an HDF5 file that names a pickle, and a file beside it, as its content."""
    import h5py

    with h5py.File(path := canary.with_suffix(".h5"), "w") as file:
        file.create_dataset("weights", data=np.void(pickle.dumps(Evil(canary))))
        file["outside"] = h5py.ExternalLink("/etc/passwd", "/")
    content = path.read_bytes()
    path.unlink()
    return content


def npy(canary: Path) -> bytes:
    """Make a NumPy file of objects, which are pickled."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([Evil(canary)], object), allow_pickle=True)
    return buffer.getvalue()


def header(entries: object, data: bytes = b"", length: int | None = None) -> bytes:
    """Make a safetensors file by hand."""
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def changed(change) -> object:
    """Make a maker of the true weights with a change."""
    return lambda true: save(change(load(true)))


def renamed(arrays: dict) -> dict:
    return {("gru/kernel" if name == "logit/kernel" else name): array for name, array in arrays.items()}


EVIL_FILES = {
    "a model of Keras with a Lambda layer": lambda_model,
    "a model of Keras that calls os.system": lambda canary: zipped("os", "system", {"command": f"touch {canary}"}),
    "a model of Keras with a TFSMLayer": lambda _: zipped("keras.layers", "TFSMLayer", {"filepath": "/tmp"}),
    "a pickle": lambda canary: pickle.dumps(Evil(canary)),
    "HDF5": hdf5,
    "a NumPy file of objects": npy,
    "a header of exabytes": lambda _: header({}, length=2**63),
    "a tensor of exabytes": lambda _: header({"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
    "shapes that overflow": lambda _: header({"x": {"dtype": "F32", "shape": [2**33, 2**33], "data_offsets": [0, 0]}}),
    "an unknown type": lambda _: header({"x": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
    "nested JSON": lambda _: struct.pack("<Q", 200_000) + b"[" * 200_000,
    "nothing": lambda _: b"",
}
CHANGED_FILES = {
    "cut": lambda true: true[:-5],
    "longer": lambda true: true + b"x",
    "another name": changed(renamed),
    "another shape": changed(lambda arrays: arrays | {"logit/kernel": arrays["logit/kernel"].T.copy()}),
    "another type": changed(lambda arrays: arrays | {"logit/bias": arrays["logit/bias"].astype(np.float64)}),
    "one weight fewer": changed(lambda arrays: {name: arrays[name] for name in sorted(arrays)[1:]}),
    "one weight more": changed(lambda arrays: arrays | {"extra/kernel": np.zeros(3, np.float32)}),
}


def plant(folder: Path, content: bytes, *, with_record: bool) -> None:
    """Put content in place of the weights with a checksum of its own, and perhaps forge the trial's record, too."""
    sha256 = store.write(weights_file(folder, NAME), content)
    if with_record:
        history = store.frame(history_file(folder, NAME))
        history.attrs["weights_sha256"] = sha256
        store.write(history_file(folder, NAME), history)


@pytest.mark.fault(22)
@pytest.mark.parametrize("with_record", [False, True], ids=["weights", "weights and record"])
@pytest.mark.parametrize("kind", [*EVIL_FILES, *CHANGED_FILES])
def test_an_evil_file_of_weights_is_refused_and_nothing_runs(
    folder: Path, canary: Path, kind: str, with_record: bool
) -> None:
    true = weights_file(folder, NAME).read_bytes()
    content = EVIL_FILES[kind](canary) if kind in EVIL_FILES else CHANGED_FILES[kind](true)
    plant(folder, content, with_record=with_record)
    with pytest.raises(store.DamagedFileError, match=NAME):
        load_network(folder, NAME, RECIPE)
    assert not canary.exists()


@pytest.mark.fault(22)
def test_the_evil_files_would_act_where_they_are_loaded(canary: Path) -> None:
    import keras

    pickle.loads(EVIL_FILES["a pickle"](canary))
    assert canary.exists()
    (path := canary.with_suffix(".keras")).write_bytes(lambda_model(canary))
    assert not canary.exists()
    keras.models.load_model(path, safe_mode=False)
    assert canary.exists()


@pytest.mark.fault(22)
def test_a_file_of_a_terabyte_is_refused_unread(folder: Path) -> None:
    with weights_file(folder, NAME).open("ab") as file:
        file.truncate(2**40)  # without blocks: it takes no room on the disk
    with pytest.raises(store.DamagedFileError, match="larger than"):
        load_network(folder, NAME, RECIPE)


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "os.system-seed-0-x", "hf://evil/model", "majority-seed-0-x", "", "keras-seed-1"]
)
def test_a_name_that_is_no_networks_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match="Networks: simple_rnn"):
        load_network(folder, name, RECIPE)


def test_a_model_that_is_not_there_and_one_of_another_recipe(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run again"):
        load_network(folder, "lstm-seed-0-x", RECIPE)
    with pytest.raises(store.DamagedFileError, match="the model has"):
        load_network(folder, NAME, RECIPE.model_copy(update={"units": 4}))


UNPICKLERS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "torch", "h5py"}
LOADERS = {"load_model", "load_weights", "read_pickle", "read_hdf", "from_config", "model_from_json", "TFSMLayer"}


def risks(path: Path) -> set[str]:
    """Name what in a source file could load code from a file: modules, functions, `allow_pickle`, eval and exec."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found |= {module.split(".")[0] for module in modules} & UNPICKLERS
        elif isinstance(node, ast.Attribute):
            found |= {node.attr} & LOADERS
        elif isinstance(node, ast.Name):
            found |= {node.id} & (LOADERS | {"eval", "exec"})
        elif isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "result_serializer", "persist_result"):
            found.add(node.arg)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load", "np.fromfile"):
            found.add(ast.unparse(node.func))
    return found


@pytest.mark.fault(23)
def test_nothing_in_the_project_unpickles_a_file() -> None:
    files = [path for folder in ("flows", "tasks") for path in (ROOT / folder).rglob("*.py")]
    assert {path.name: risks(path) for path in files if risks(path)} == {}


@pytest.mark.fault(23)
def test_what_unpickles_would_be_seen(tmp_path: Path) -> None:
    lines = [
        "import pickle", "from joblib import load", "import numpy as np; np.load('x')", "f(x, allow_pickle=True)",
        "keras.models.load_model(x)", "from torch import load", "pd.read_pickle(x)", "task(persist_result=True)",
    ]  # fmt: skip
    for line in lines:
        (tmp_path / "x.py").write_text(line)
        assert risks(tmp_path / "x.py"), line
