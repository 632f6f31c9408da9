import importlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.storage import fingerprint as module
from tasks.storage.fingerprint import code_version

PROJECT = Path(__file__).parents[3]
HELPERS = '''
FACTOR = 2

def helper(x: int) -> int:
    """Say what."""
    return x * FACTOR

def unrelated():
    return 7
'''
ROOT = """
import fakes.helpers as h
from fakes.helpers import helper, unrelated as neighbour

def by_name(x):
    return helper(x)

def by_module(x):
    return h.helper(x)

def inside(x):
    from fakes.helpers import helper as renamed
    return renamed(x)

def shadowing(unrelated):
    helper = 3
    return unrelated + helper

def unrelated():
    return helper(1)
"""


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write the two modules, with replacements in the helpers' one, and return the version of a function."""
    folder = tmp_path / "fakes"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "root.py").write_text(ROOT)
    monkeypatch.syspath_prepend(tmp_path)

    def of(function: str, old: str = "", new: str = "") -> str:
        assert old in HELPERS
        (folder / "helpers.py").write_text(HELPERS.replace(old, new, 1) if old else HELPERS)
        for name in [name for name in sys.modules if name.startswith("fakes")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        forget_sources()
        return code_version(getattr(importlib.import_module("fakes.root"), function))

    return of


def forget_sources() -> None:
    """Let the next fingerprint read the files again."""
    importlib.invalidate_caches()
    for cached in (module._version, module._source, module._code, module._is_library):
        cached.cache_clear()


@pytest.fixture
def fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write modules into a package, and return the fingerprint of a function of one of them, without importing any."""
    packages = iter(["first", "second"])

    def of(files: dict[str, str], root: str) -> str:
        folder = tmp_path / next(packages)
        for name, text in files.items():
            path = folder / "pack" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            forget_sources()
            owner, _, name = root.rpartition(".")
            return code_version(SimpleNamespace(__module__=f"pack.{owner}", __qualname__=name))

    return of


@pytest.mark.failure_mode("changed-input")
@pytest.mark.parametrize("function", ["by_name", "inside", "by_module"])
@pytest.mark.parametrize(("old", "new"), [("x * FACTOR", "x + FACTOR"), ("FACTOR = 2", "FACTOR = 3")])
def test_fingerprint_changes_with_a_helper(version, function: str, old: str, new: str) -> None:
    assert version(function, old, new) != version(function)


@pytest.mark.parametrize("function", ["by_name", "inside", "by_module"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    return x", "    # why\n\n    return x"),
        ('"""Say what."""', '"""Say it otherwise."""'),
        ("x: int", "x: float"),
        ("return 7", "return 8"),
    ],
)
def test_fingerprint_ignores_comments_docstrings_and_annotations(version, function: str, old: str, new: str) -> None:
    assert version(function, old, new) == version(function)


def test_fingerprints_of_architectures_are_independent() -> None:
    from tasks.models.registry import ARCHITECTURES

    versions = [code_version(builder) for builder in ARCHITECTURES.values()]
    assert len(set(versions)) == len(versions)


def test_late_import_of_a_layer_is_followed() -> None:
    from tasks.models.registry import lstm

    assert {"lstm_steps", "lstm_forward", "lstm_backward"} <= {definition.name for definition in module.reached(lstm)}


def test_fingerprint_does_not_load_tensorflow() -> None:
    script = (
        "import sys; from tasks.models.registry import lstm; from tasks.storage.fingerprint import code_version;"
        "code_version(lstm); print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == (
        "False False\n"
    )


def test_local_name_is_not_taken_for_a_global_one(version) -> None:
    assert version("shadowing", "x * FACTOR", "x + FACTOR") == version("shadowing")
    assert version("unrelated", "x * FACTOR", "x + FACTOR") != version("unrelated")


def test_trial_fingerprint_reaches_only_its_own_builder() -> None:
    from tasks.training.trial import code_roots

    reached = {name for _, name in module.reached(*code_roots("simple_rnn"))}
    assert "lstm" not in reached
    assert "make_batches" in reached


def test_unused_imported_name_is_ignored(version):
    assert version("by_name", "return 7", "return 8") == version("by_name")


TRAIN = "{imports}\n\ndef train(x):\n    {late}return {call}(x)\n"
STEP = "RATE = 3\n\ndef step(x):\n    return x * RATE\n"


@pytest.mark.parametrize(
    ("imports", "late", "call"),
    [
        ("from pack.{m} import step", "", "step"),
        ("import pack.{m}", "", "pack.{m}.step"),
        ("import pack.{m} as m", "", "m.step"),
        ("", "from pack.{m} import step; ", "step"),
        ("", "import pack.{m} as m; ", "m.step"),
        ("from .{m} import step", "", "step"),
    ],
)
def test_moving_a_module_keeps_the_fingerprint(fingerprint, imports: str, late: str, call: str) -> None:
    def written(place: str) -> str:
        return TRAIN.format(imports=imports, late=late, call=call).replace("{m}", place)

    before = fingerprint({"__init__.py": "", "loop.py": written("steps"), "steps.py": STEP}, "loop.train")
    moved = {"__init__.py": "", "sub/__init__.py": "", "core.py": written("sub.inner"), "sub/inner.py": STEP}
    assert fingerprint(moved, "core.train") == before


@pytest.mark.parametrize(
    "imports", ["from .steps import step", "from . import steps\n\nstep = steps.step", "from pack.steps import step"]
)
def test_relative_imports_are_followed(fingerprint, imports: str) -> None:
    files = {"__init__.py": "", "loop.py": TRAIN.format(imports=imports, late="", call="step")}
    before = fingerprint({**files, "steps.py": STEP}, "loop.train")
    assert fingerprint({**files, "steps.py": STEP.replace("3", "4")}, "loop.train") != before


def test_reexported_definition_is_followed(fingerprint) -> None:
    files = {
        "__init__.py": "from pack.steps import step\n",
        "loop.py": TRAIN.format(imports="from pack import step", late="", call="step"),
    }
    before = fingerprint({**files, "steps.py": STEP}, "loop.train")
    assert fingerprint({**files, "steps.py": STEP.replace("3", "4")}, "loop.train") != before


def test_module_imported_inside_a_function_is_followed(fingerprint) -> None:
    files = {"__init__.py": "", "loop.py": TRAIN.format(imports="", late="from pack import steps; ", call="steps.step")}
    before = fingerprint({**files, "steps.py": STEP}, "loop.train")
    assert fingerprint({**files, "steps.py": STEP.replace("3", "4")}, "loop.train") != before


def test_functions_of_equal_name_have_different_fingerprints(fingerprint) -> None:
    def files(first: str, second: str) -> dict[str, str]:
        loop = f"from pack.{first} import step\nfrom pack.{second} import step as other\n"
        return {
            "__init__.py": "",
            "a.py": "def step(x):\n    return x\n",
            "b.py": "def step(x):\n    return -x\n",
            "loop.py": f"{loop}\ndef train(x):\n    return step(x) - 2 * other(x)\n",
        }

    assert fingerprint(files("a", "b"), "loop.train") != fingerprint(files("b", "a"), "loop.train")


def test_functions_of_equal_name_are_distinguished_as_attributes(fingerprint) -> None:
    def files(first: str, second: str) -> dict[str, str]:
        loop = "from pack import a\nfrom pack.b import step\n"
        return {
            "__init__.py": "",
            "a.py": "def step(x):\n    return x\n",
            "b.py": "def step(x):\n    return -x\n",
            "loop.py": f"{loop}\ndef train(x):\n    return {first}(x) - 2 * {second}(x)\n",
        }

    before = fingerprint(files("step", "a.step"), "loop.train")
    assert fingerprint(files("a.step", "step"), "loop.train") != before


def test_parent_packages_are_not_imported(fingerprint, tmp_path: Path) -> None:
    canary = tmp_path / "imported"
    hostile = f"from pathlib import Path\nPath({str(canary)!r}).touch()\n"
    fingerprint({"__init__.py": hostile, "sub/__init__.py": hostile, "sub/loop.py": STEP}, "sub.loop.step")
    assert not canary.exists()


def test_library_of_a_name_changes_the_fingerprint(fingerprint) -> None:
    def files(library: str) -> dict[str, str]:
        return {
            "__init__.py": "",
            "loop.py": f"import os\nfrom {library} import cos\n\ndef train(x):\n    return cos(x)\n",
        }

    assert fingerprint(files("math"), "loop.train") != fingerprint(files("cmath"), "loop.train")


def test_code_is_found_from_any_working_directory(tmp_path: Path) -> None:
    """The console script of an editable installation does not have the project folder in `sys.path`."""
    program = (
        "import sys, importlib.util; from importlib.machinery import PathFinder;"
        "finder = type('Finder', (), {'find_spec': staticmethod(lambda name, path=None, target=None: "
        "importlib.util.spec_from_file_location(name, sys.argv[1] + '/tasks/__init__.py', "
        "submodule_search_locations=[sys.argv[1] + '/tasks']) if name == 'tasks' else None)});"
        "sys.meta_path.insert(0, finder) if len(sys.argv) > 2 else sys.path.insert(0, sys.argv[1]);"
        "from tasks.storage.fingerprint import code_version, reached; from tasks.models.registry import lstm;"
        "print(code_version(lstm), len(reached(lstm)))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-I", "-c", program, str(PROJECT), *words],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        ).stdout
        for words in ([], ["editable"])
    }  # fmt: skip
    assert len(outputs) == 1
    assert int(outputs.pop().split()[1]) > 20


def test_missing_source_is_an_error() -> None:
    with pytest.raises(LookupError, match="len"):
        code_version(len)


def test_threads_can_fingerprint_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_source", module._source.__wrapped__)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: module._source("tasks.storage.fingerprint"), range(100)))
    finally:
        sys.setswitchinterval(interval)
    assert {tuple(source.definitions) for source in found} == {tuple(found[0].definitions)}
