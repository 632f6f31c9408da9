"""No module of the project loads files in a way that can run code."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

UNPICKLERS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "torch", "h5py"}
LOADERS = {"load_model", "load_weights", "read_pickle", "read_hdf", "from_config", "model_from_json", "TFSMLayer"}


def risks(path: Path) -> set[str]:
    """Return the names in a source file that could load code from files: modules, functions, options, eval and exec."""
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


@pytest.mark.failure_mode("malicious-pickle")
def test_no_module_unpickles_files() -> None:
    files = [path for folder in ("flows", "tasks") for path in (ROOT / folder).rglob("*.py")]
    assert {path.name: risks(path) for path in files if risks(path)} == {}


@pytest.mark.failure_mode("malicious-pickle")
def test_unpickling_would_be_found(tmp_path: Path) -> None:
    lines = [
        "import pickle", "from joblib import load", "import numpy as np; np.load('x')", "f(x, allow_pickle=True)",
        "keras.models.load_model(x)", "from torch import load", "pd.read_pickle(x)", "task(persist_result=True)",
    ]  # fmt: skip
    for line in lines:
        (tmp_path / "x.py").write_text(line)
        assert risks(tmp_path / "x.py"), line
