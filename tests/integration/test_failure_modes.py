"""Every failure mode of docs/failure-modes.md has a test that injects it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The first cell of a row of the tables: `| `worker-killed` | …`.
NAMES = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs" / "failure-modes.md").read_text(), re.MULTILINE)


def find_marked_names(path: Path) -> Iterator[str]:
    """Yield the names of the failure modes that the tests of a file are marked with."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.failure_mode":
            yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))


def test_each_failure_mode_has_a_test_and_each_marker_a_row() -> None:
    tested = {name for path in (ROOT / "tests").rglob("test_*.py") for name in find_marked_names(path)}
    assert sorted(set(NAMES) - tested) == []
    assert sorted(tested - set(NAMES)) == []


def test_names_of_failure_modes_are_unique() -> None:
    assert len(NAMES) == len(set(NAMES)) > 30


def test_markers_are_found_on_functions_and_on_parameters(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "@pytest.mark.failure_mode('a')\ndef test(): pass\n"
        "X = pytest.param(1, marks=[pytest.mark.failure_mode('b')])\n# failure_mode('c')\n"
    )
    assert list(find_marked_names(tmp_path / "test_x.py")) == ["a", "b"]
