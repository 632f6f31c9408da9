"""Commands that the benchmark runs, and what it measures of the recipe and of another version."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.config.recipe import DEFAULT_ARCHITECTURES
from tests.benchmarks import sgemm
from tests.benchmarks.watched import watch
from tests.conftest import ROOT


def print_progress(message: str) -> None:
    """Write the progress to stderr."""
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)  # noqa: T201


def flow_command(folder: Path, results: Path, tokens: int, epochs: int | None = None) -> list[str]:
    """Return the command of the flow: one seed, one worker process per core, default recipe or that many epochs."""
    options = {
        "data": folder / "reviews.parquet", "results": results, "seeds": 1, "max_tokens": tokens,
        "workers": len(sgemm.cores()), **({} if epochs is None else {"epochs": epochs, "patience": epochs}),
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return [sys.executable, "-m", "flows.imdb_compare", *words]


def own_prefect(folder: Path) -> dict[str, str]:
    """Return the environment of a run with a temporary server and a database in `folder`."""
    return {"PREFECT_API_URL": "", "PREFECT_HOME": str(folder / "prefect")}


def last_line(command: Sequence[str]) -> Any:
    """Run a command, and return the JSON in its last line."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=3_600)
    return json.loads(done.stdout.splitlines()[-1])


def measure_accuracy(folder: Path, tokens: int, torch: str | None) -> dict[str, Any]:
    """Measure the time until the validation accuracy of the recipe is reached, see `acceptance.time_to_accuracy`."""
    results = folder / "results-recipe"
    watch(flow_command(folder, results, tokens), folder / "flow.log", own_prefect(folder))
    tables = results / "latest" / "tables"
    trials = pd.read_parquet(tables / "trials.parquet").set_index("architecture").loc[list(DEFAULT_ARCHITECTURES)]
    history = pd.read_parquet(tables / "history.parquet").query("split == 'validation'")
    best = history.merge(trials["best_epoch"].reset_index(), on="architecture").query("epoch == best_epoch")
    own = {row.architecture: (row.seconds, row.accuracy) for row in best.itertuples()}
    targets = json.dumps({name: accuracy for name, (_, accuracy) in own.items()})
    print_progress("The recipe was trained; now the time to its accuracy")
    found: dict[str, Any] = {"own": own, "workers": len(sgemm.cores())}
    for side, python in (("plain", sys.executable), ("torch", torch)):
        arguments = [side, str(folder / f"rows-{tokens}.npz"), str(tokens), targets]
        found[side] = last_line([python, "-m", "tests.benchmarks.epochs", *arguments]) if python else {}
    return found


def measure_speeds(lengths: Sequence[int], torch: str) -> dict[str, Any]:
    """Measure one core of this project and of PyTorch, one after the other.

    A machine changes its speed within minutes, so several calls give ratios with their spread.

    Args:
        lengths: Numbers of tokens.
        torch: Python interpreter with PyTorch.

    Returns:
        For "pace" (this project) and "peer" (PyTorch): reviews per second by number of tokens and architecture.
    """
    pythons = {"pace": sys.executable, "peer": torch}
    words = [str(length) for length in lengths]
    return {side: last_line([python, "-m", f"tests.benchmarks.{side}", *words]) for side, python in pythons.items()}


def measure_previous(folder: Path, checkout: Path) -> dict[str, float]:
    """Measure five seeds of this version and the default of another checkout, with an empty cache each."""
    start = [sys.executable, "-m", "flows.imdb_compare", "--results"]
    own = watch([*start, str(folder / "own")], folder / "flow.log", own_prefect(folder))
    other = watch([*start, str(folder / "other")], folder / "flow.log", own_prefect(folder), checkout)
    return {"own": own.seconds, "other": other.seconds}
