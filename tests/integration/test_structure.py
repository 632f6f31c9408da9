"""The house as the README draws it: who may import whom, and that the tree and the table of additions are true."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MODULES = sorted((ROOT / "tasks").glob("*.py"))
# Statistics, models, figures and data: plain functions that know nothing of what runs them.
WITH_PREFECT = {"dask_engine", "nights", "preparation", "publication", "schedule", "supervision"}
STATISTICS = {
    "panel", "resampling", "pairing", "pairs", "summary", "power", "ranking", "comparison", "verdict", "calibration",
    "slices", "learning_curve", "history", "regression", "trend",
}  # fmt: skip


def imports(path: Path) -> set[str]:
    """Return the top-level packages that a file imports anywhere, and `tasks.x` for modules of the project."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names if node.module == "tasks"}
    return {name if name.startswith("tasks.") else name.split(".")[0] for name in found}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports_run_one_way(path: Path) -> None:
    found = imports(path)
    assert "flows" not in found
    assert path.stem in WITH_PREFECT or "prefect" not in found
    if path.stem in STATISTICS:
        assert not found & {"keras", "tensorflow", "matplotlib", "seaborn"}


def test_nothing_loads_tensorflow_before_it_is_needed() -> None:
    for path in [*MODULES, *(ROOT / "flows").glob("*.py")]:
        if path.stem in ("recurrence", "graph_loops"):
            continue
        top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {alias.name for node in top for alias in node.names} | {getattr(node, "module", "") for node in top}
        assert not {str(name).split(".")[0] for name in names} & {"tensorflow", "keras", "matplotlib", "seaborn"}, path


def test_what_the_table_of_additions_names_exists() -> None:
    from tasks.data.datasets import DATASETS
    from tasks.evaluation.metrics import METRICS
    from tasks.figures.registry import FIGURES
    from tasks.models.registry import ARCHITECTURES

    table = README.split("## Add one")[1].split("\n## ")[0]
    scores = {name: metric.score for name, metric in METRICS.items()}
    for name, functions in {
        "ARCHITECTURES": ARCHITECTURES, "METRICS": scores, "FIGURES": FIGURES, "DATASETS": DATASETS,
    }.items():  # fmt: skip
        assert f"`{name}`" in table
        assert all(callable(function) and function.__doc__ for function in functions.values())


def test_every_command_of_the_readme_is_known() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"^make (\w+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for module in set(re.findall(r"python -m (flows\.\w+)", README)):
        assert (ROOT / (module.replace(".", "/") + ".py")).exists(), module


def test_the_options_in_the_readme_exist() -> None:
    from flows.cli.export import Asked as Exported
    from flows.cli.predict import Asked
    from tasks.config.parameters import Parameters

    fields = Parameters.model_fields.keys() | Asked.model_fields.keys() | Exported.model_fields.keys()
    known = {f"--{name.replace('_', '-')}" for name in fields} | {
        "--json",
        "--watch",
        "--help",
        "--param",
        *("--short", "--torch"),  # of the benchmarks and `make prove`
        *("--quick", "--output", "--pool", "--type", "--build", "--no-prompt", "--all"),
        *("--host", "--nworkers", "--nthreads"),  # of Dask's own commands
        *("--no-deps", "--dest"),  # of pip and argcomplete
    }
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) <= known
