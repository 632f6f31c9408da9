"""Measure what a person with a small file waits for: `python -m tests.benchmarks.small [repeats]`.

1,000 short texts, two architectures, two seeds, Prefect's temporary server. In each repeat, one import of TensorFlow is
measured first, and the other commands relative to it: wall time depends on the load of the machine, and processor time
on its speed. The last line is JSON.
"""

import json
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from tasks.data.datasets import load_reviews
from tests.benchmarks.watched import Watched, stages, task_runs, watch

TEXTS, WORDS = 1_000, 25
KINDS = ("flow", "server", "worker")
IMPORT = "TensorFlow import"


def write_texts(file: Path) -> None:
    """Write the first words of some reviews."""
    reviews = load_reviews("bundled").frame.sample(TEXTS, random_state=0)
    reviews["text"] = [" ".join(text.split()[:WORDS]) for text in reviews["text"]]
    reviews[["text", "label"]].to_csv(file, index=False)


def commands(data: Path, results: Path) -> dict[str, list[str]]:
    """Return the commands in their order; the run must come before the commands that use its results."""
    run = ["flows.imdb_compare", "--data", str(data), "--architectures", "lstm,simple_rnn", "--seeds", "2"]
    modules = {
        "run": [*run, "--results", str(results)],
        "cached rerun": [*run, "--results", str(results)],
        "predict": ["flows.cli", "predict", "a good film", "--results", str(results)],
        "help": ["flows.cli", "--help"],
    }
    start = [sys.executable, "-m"]
    return {IMPORT: [sys.executable, "-c", "import tensorflow"]} | {name: start + m for name, m in modules.items()}


def measure_once(data: Path, results: Path, home: Path) -> tuple[dict[str, Watched], list[Any]]:
    """Run each command once, and return its measurements and the task runs of the comparison."""
    watched, tasks = {}, []
    for name, command in commands(data, results).items():
        environment = {"PREFECT_API_URL": "", "PREFECT_HOME": str(home)}
        watched[name] = watch(command, home / "log", environment)
        if name == "run":
            tasks = task_runs(home / "prefect.db")
    return watched, tasks


def command_table(repeats: list[dict[str, Watched]]) -> pd.DataFrame:
    """Return wall time and processor time of each command (s), and their ratios to an import of TensorFlow."""
    rows = []
    for name in repeats[0]:
        row: dict[str, Any] = {"command": name}
        for column, field in (("wall", "seconds"), ("CPU", "cpu_seconds")):
            values = [getattr(repeat[name], field) for repeat in repeats]
            ratios = [getattr(repeat[name], field) / getattr(repeat[IMPORT], field) for repeat in repeats]
            row |= {f"{column}, s": round(median(values), 1), f"{column}, imports": round(median(ratios), 1)}
        rows.append(row)
    return pd.DataFrame(rows)


def timeline(watched: Watched, tasks: list[Any]) -> pd.DataFrame:
    """Return the duration of each stage, and the processor time (s) of each kind of process in it."""
    rows, begin = [], watched.started
    for stage, measured in stages(watched, tasks).items():
        end = begin + measured["seconds"]
        used = {kind: round(watched.cpu_between(kind, begin, end), 1) for kind in KINDS}
        rows.append({"stage": stage, "wall": round(measured["seconds"], 1), **used})
        begin = end
    return pd.DataFrame(rows)


def measure_commands(folder: Path, count: int = 1) -> dict[str, dict[str, float]]:
    """Measure the commands in a folder, print the timeline, and return a row of `command_table` for each command."""
    home, data = folder / "small-prefect", folder / "texts.csv"
    home.mkdir(mode=0o700)
    write_texts(data)
    measure_once(data, folder / "unmeasured", home)  # compiles the kernels and creates Prefect's database
    measured = [measure_once(data, folder / f"small-{number}", home) for number in range(count)]
    found = command_table([watched for watched, _ in measured])
    print(found.to_string(index=False))  # noqa: T201
    print(timeline(measured[-1][0]["run"], measured[-1][1]).to_string(index=False))  # noqa: T201
    rows: dict[str, dict[str, float]] = found.set_index("command").to_dict("index")
    return rows


def main(count: int = 1) -> None:
    """Measure, and print the tables and the last line."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        print(json.dumps(measure_commands(Path(name), count)))  # noqa: T201


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
