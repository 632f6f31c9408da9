"""The structure of the project: where tasks, flows and libraries are used, and what the registries contain.

The layers of the packages are checked by import-linter (`make check`).
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.config.labels import ARCHITECTURE_NAMES, BASELINE_NAMES
from tasks.data.datasets import DATASETS
from tasks.evaluation.metrics import METRICS
from tasks.figures.registry import FIGURES
from tasks.models.baselines import BASELINES
from tasks.models.registry import ARCHITECTURES
from tests.conftest import ROOT

SOURCES = sorted(path.relative_to(ROOT) for part in ("flows", "tasks") for path in (ROOT / part).rglob("*.py"))
PACKAGES = sorted(path.parent.name for path in (ROOT / "tasks").glob("*/__init__.py"))
TASK_MODULES = sorted(path for path in SOURCES if path.parent == Path("tasks") and path.stem != "__init__")
FLOW_MODULES = sorted(path for path in SOURCES if path.parent == Path("flows") and path.stem != "__init__")


def find_imports(path: Path) -> set[str]:
    """Return the top-level packages that a file imports anywhere, except for annotations."""
    found = set()
    for node in walk_code(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name.split(".")[0] for name in found}


def walk_code(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a tree, except for those below `if TYPE_CHECKING:`."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from walk_code(child)


def find_decorated(path: Path, decorator: str) -> Iterator[str]:
    """Yield the functions of a file with this decorator, with or without arguments."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            used = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
            if decorator in map(ast.unparse, used):
                yield node.name


def is_in(path: Path, *places: str) -> bool:
    return any(path.is_relative_to(place) for place in places)


def test_each_task_module_has_exactly_one_task() -> None:
    assert TASK_MODULES
    assert {str(path): len(list(find_decorated(path, "task"))) for path in TASK_MODULES} == {
        str(path): 1 for path in TASK_MODULES
    }


def test_each_flow_module_has_exactly_one_flow() -> None:
    flows = {str(path): [*find_decorated(path, "flow"), *find_decorated(path, "served_flow")] for path in FLOW_MODULES}
    assert flows
    assert {path: names for path, names in flows.items() if len(names) != 1} == {}


def test_packages_have_neither_tasks_nor_flows() -> None:
    others = [path for path in SOURCES if path not in {*TASK_MODULES, *FLOW_MODULES}]
    assert [path for path in others if {*find_decorated(path, "task"), *find_decorated(path, "flow")}] == []
    assert [path for path in TASK_MODULES if {*find_decorated(path, "flow")}] == []
    assert [path for path in FLOW_MODULES if {*find_decorated(path, "task")}] == []


def test_prefect_is_imported_only_in_tasks_execution_and_flows() -> None:
    users = [path for path in SOURCES if find_imports(path) & {"prefect", "prefect_dask"}]
    assert [path for path in users if path not in TASK_MODULES and not is_in(path, "tasks/execution", "flows")] == []


def test_tensorflow_is_imported_only_in_models_and_training() -> None:
    users = [path for path in SOURCES if find_imports(path) & {"tensorflow", "keras"}]
    assert [path for path in users if not is_in(path, "tasks/models", "tasks/training")] == []


def test_errors_of_the_library_name_parameters_and_not_options() -> None:
    # The command names the options itself (flows/cli/option_names.py); in Python and deployments there are none.
    found = [
        f"{path}:{node.lineno}"
        for path in SOURCES
        if is_in(path, "tasks")
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.Raise) and re.search(r"--[a-z]", ast.unparse(node))
    ]
    assert found == []


def test_package_files_are_empty() -> None:
    packages = [path for path in SOURCES if path.name == "__init__.py"]
    assert [path for path in packages if (ROOT / path).read_text().strip()] == []


def test_each_package_has_unit_tests() -> None:
    tested = {path.parent.name for path in (ROOT / "tests" / "unit").glob("*/test_*.py")}
    assert set(PACKAGES) - tested == set()


def test_importing_flows_and_tasks_does_not_load_tensorflow() -> None:
    modules = [".".join(path.with_suffix("").parts) for path in (*TASK_MODULES, *FLOW_MODULES)]
    assert loaded({"tensorflow", "keras", "matplotlib", "seaborn"}, *modules) == set()


def test_importing_the_parameters_does_not_load_pandas() -> None:
    assert loaded({"tensorflow", "keras", "pandas", "prefect", "matplotlib"}, "tasks.config.parameters") == set()


def loaded(libraries: set[str], *modules: str) -> set[str]:
    """Return those of the libraries that a new process has loaded after importing these modules."""
    words = [sys.executable, "-m", "tests.helpers.programs.loaded_modules", ",".join(libraries), *modules]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "registry",
    [ARCHITECTURES, DATASETS, FIGURES, {name: metric.score for name, metric in METRICS.items()}],
    ids=["architectures", "datasets", "figures", "metrics"],
)
def test_registries_contain_documented_functions(registry: dict[str, object]) -> None:
    assert registry
    assert [name for name, function in registry.items() if not callable(function) or not function.__doc__] == []


def test_registered_models_have_the_names_and_the_order_of_the_configuration() -> None:
    assert tuple(ARCHITECTURES) == ARCHITECTURE_NAMES
    assert tuple(BASELINES) == BASELINE_NAMES
