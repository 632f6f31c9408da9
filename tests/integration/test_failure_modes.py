"""Every fault in the list has a test that injects it."""

import ast
from collections.abc import Iterator
from pathlib import Path

FAULTS = range(1, 37)


def marked(path: Path) -> Iterator[int]:
    """Yield the numbers of the faults that the tests of a file are marked with."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
            yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))


def test_every_fault_has_a_test() -> None:
    tested = {number for path in Path(__file__).parents[1].rglob("test_*.py") for number in marked(path)}
    assert sorted(set(FAULTS) - tested) == []
    assert sorted(tested - set(FAULTS)) == []


def test_a_mark_is_found_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "@pytest.mark.fault(3)\ndef test(): pass\nX = pytest.param(1, marks=[pytest.mark.fault(5)])\n# fault(7)\n"
    )
    assert list(marked(tmp_path / "test_x.py")) == [3, 5]
