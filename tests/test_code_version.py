import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from tasks import code_version as module
from tasks.code_version import code_version

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
        module._definitions.cache_clear()
        return code_version(getattr(importlib.import_module("fakes.root"), function))

    return of


@pytest.mark.fault(34)
@pytest.mark.parametrize("function", ["by_name", "inside", "by_module"])
@pytest.mark.parametrize(("old", "new"), [("x * FACTOR", "x + FACTOR"), ("FACTOR = 2", "FACTOR = 3")])
def test_a_change_in_a_helper_is_seen(version, function: str, old: str, new: str) -> None:
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
def test_what_changes_no_behaviour_is_not_seen(version, function: str, old: str, new: str) -> None:
    assert version(function, old, new) == version(function)


def test_architectures_do_not_depend_on_each_other() -> None:
    from tasks.architectures import ARCHITECTURES

    versions = [code_version(builder) for builder in ARCHITECTURES.values()]
    assert len(set(versions)) == len(versions)


def test_a_layer_behind_a_late_import_is_followed() -> None:
    from tasks.architectures import lstm

    assert ("tasks.recurrence", "lstm_steps") in module.reached(lstm)


def test_asking_loads_no_tensorflow() -> None:
    script = (
        "import sys; from tasks.architectures import lstm; from tasks.code_version import code_version;"
        "code_version(lstm); print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == (
        "False False\n"
    )


def test_a_local_name_is_not_the_global_of_the_same_name(version) -> None:
    assert version("shadowing", "x * FACTOR", "x + FACTOR") == version("shadowing")
    assert version("unrelated", "x * FACTOR", "x + FACTOR") != version("unrelated")


def test_a_cell_depends_on_its_own_builder_alone() -> None:
    from tasks.architectures import ARCHITECTURES
    from tasks.cells import make_cell, predict
    from tasks.training import fit

    reached = module.reached(ARCHITECTURES["simple_rnn"], make_cell, fit, predict)
    assert ("tasks.architectures", "lstm") not in reached
    assert ("tasks.training", "batches") in reached


def test_what_else_an_import_line_brings_changes_nothing(version):
    assert version("by_name", "return 7", "return 8") == version("by_name")
