"""Compare the speed of the flow with a plain Keras script: `python -m tests.benchmarks.bench [--short]`.

With `--short` it takes some ten minutes. At 200 and at 400 tokens, alternately, on the same rows, with the same units,
batch size, epochs and learning rate:

- `plain.py`: five `model.fit` in one process, as a user would write it. Its rows are encoded already, and it trains no
  baselines.
- `python -m flows.imdb_compare` as a whole process, with one seed and an empty results folder: from texts to report,
  including three baselines, Prefect's temporary server and the statistics.

Both are compared by wall time. Also measured: the peak of matrix products (sgemm) of all cores, before and after; the
share of it that training reaches (matrix products of the trials, computed from their shapes, over the time from the end
of encoding to the end of the last trial, including baselines); the overhead (the share of the flow's wall time in which
a worker process does not run a trial); the same command with everything cached; `--help`; duration and memory of each
stage.

Also measured for the acceptance table (`acceptance.py`): the time to the validation accuracy of the recipe, small data
(`small.py`), with `--torch` the speed of PyTorch, and with `--before` the default run of another version.

The tables are written to stdout, and all measurements to results/bench as JSON. The last line is JSON. Before the
measurement each side runs once on a few rows, so that files are in the page cache and Prefect's database exists.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.config.recipe import DEFAULT_ARCHITECTURES, Recipe
from tasks.data.datasets import load_reviews
from tasks.data.tokenization import encode
from tasks.models.registry import ARCHITECTURES
from tests.benchmarks import ratios, sgemm, small
from tests.benchmarks.acceptance import acceptance_table
from tests.benchmarks.commands import (
    flow_command,
    last_line,
    measure_accuracy,
    measure_previous,
    measure_speeds,
    own_prefect,
    print_progress,
)
from tests.benchmarks.tables import format_tables
from tests.benchmarks.watched import stages, task_runs, watch
from tests.conftest import TINY, tiny_reviews

LENGTHS = (200, 400)  # tokens
# Reviews of each split, epochs, repeats at each length, and reruns with everything cached (and calls of `--help`).
FULL = {"train": 12_000, "validation": 3_000, "test": 5_000, "epochs": 2, "repeats": 2, "reruns": 3, "rounds": 3}
SHORT = {"train": 1_000, "validation": 250, "test": 250, "epochs": 1, "repeats": 1, "reruns": 1, "rounds": 1}
SPLITS = ("train", "validation", "test")
SHARED = (
    "vocabulary_size", "embedding_size", "units", "dropout", "layer_dropout", "learning_rate", "batch_size",
)  # fmt: skip


def write_rows(reviews: pd.DataFrame, sizes: Mapping[str, int], folder: Path) -> dict[int, dict[str, int]]:
    """Write the same rows for both sides: `reviews.parquet` with texts, and encoded `rows-<tokens>.npz`.

    Args:
        reviews: Frame of reviews.
        sizes: Number of reviews of each split.
        folder: Folder of the files.

    Returns:
        Number of tokens of each split, by maximum number of tokens of a review.
    """
    chosen = pd.concat([part.sample(sizes[str(split)], random_state=0) for split, part in reviews.groupby("split")])
    chosen.to_parquet(folder / "reviews.parquet", index=False)
    words = {}
    for length in LENGTHS:
        encoded, _ = encode(folder / "reviews.parquet", vocabulary_size=Recipe().vocabulary_size, max_tokens=length)
        parts = {split: encoded.filter(pc.equal(encoded["split"], split)) for split in SPLITS}
        np.savez(folder / f"rows-{length}.npz", allow_pickle=False, **_arrays(parts))
        words[length] = {split: int(pc.sum(part["length"]).as_py()) for split, part in parts.items()}
    return words


def _arrays(parts: Mapping[str, pa.Table]) -> dict[str, np.ndarray]:
    found = {}
    for split, part in parts.items():
        found[f"{split}_tokens"] = pc.list_flatten(part["tokens"]).to_numpy()
        found[f"{split}_ends"] = np.cumsum(part["length"].to_numpy())
        found[f"{split}_labels"] = part["label"].to_numpy()
    return found


def run_plain(folder: Path, tokens: int, epochs: int) -> dict[str, Any]:
    """Run the plain script once."""
    options = {**{name: getattr(Recipe(), name) for name in SHARED}, "max_tokens": tokens, "epochs": epochs}
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    output = folder / "plain.json"
    script = Path(__file__).with_name("plain.py")
    watched = watch([sys.executable, str(script), str(folder / f"rows-{tokens}.npz"), str(output), *words],
                    folder / "plain.log")  # fmt: skip
    found = json.loads(output.read_text())
    found["fit_seconds"] = found.pop("seconds")
    return {"seconds": watched.seconds, "peak_mb": watched.peak_mb(), **found}


def run_flow(command: Sequence[str], folder: Path, results: Path, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Run the flow once, with an empty cache.

    Raises:
        RuntimeError: If it did not train every architecture on all rows for all epochs.
    """
    watched = watch(command, folder / "flow.log", own_prefect(folder))
    tasks = task_runs(folder / "prefect" / "prefect.db")
    tables = results / "latest" / "tables"
    trials = pd.read_parquet(tables / "trials.parquet").set_index("architecture").loc[list(DEFAULT_ARCHITECTURES)]
    scores = pd.read_parquet(tables / "scores.parquet").query("split == 'test' and metric == 'accuracy'")
    rows = json.loads((results / "latest" / "run.json").read_text())["rows"]
    if rows != {split: sizes[split] for split in SPLITS} or not (trials["epochs"] == sizes["epochs"]).all():
        raise RuntimeError(f"This is not the same work: {rows} reviews, epochs {trials['epochs'].to_dict()}")
    return {
        "seconds": watched.seconds,
        "workers": len(sgemm.cores()),
        "train_seconds": trials["train_seconds"].to_dict(),
        "reviews_per_second": (sizes["train"] * sizes["epochs"] / trials["train_seconds"]).to_dict(),
        "later_reviews_per_second": later_reviews_per_second(pd.read_parquet(tables / "history.parquet"), sizes),
        "accuracy": scores.set_index("architecture")["value"].loc[list(DEFAULT_ARCHITECTURES)].to_dict(),
        "flops": float(trials["train_flops"].sum()),
        "busy_seconds": sum(end - start for stage, _, start, end in tasks if stage == "train"),
        "trial_seconds": {name: end - start for stage, name, start, end in tasks if stage == "train"},
        "worker_peak_mb": float(pd.read_parquet(tables / "trials.parquet")["peak_memory_mb"].max()),
        "stages": stages(watched, tasks),
    }


def later_reviews_per_second(history: pd.DataFrame, sizes: Mapping[str, int]) -> dict[str, float]:
    """Return training reviews per second after the first epoch, which includes compilation, by architecture.

    Empty if there is only one epoch.
    """
    if sizes["epochs"] == 1:
        return {}
    ends = history.query("split == 'train'").groupby("architecture")["seconds"].agg(["min", "max"])
    paces = (sizes["epochs"] - 1) * sizes["train"] / (ends["max"] - ends["min"])
    return {str(name): float(pace) for name, pace in paces.items()}


def warm_up(folder: Path) -> None:
    """Run both sides once on a few rows, without measuring."""
    tiny = TINY | {"--data": str(tiny_reviews(folder / "tiny.csv")), "--results": str(folder / "tiny")}
    words = [word for option in tiny.items() for word in option]
    watch([sys.executable, "-m", "flows.imdb_compare", *words], folder / "tiny.log", own_prefect(folder))
    watch([sys.executable, "-c", "import keras, tensorflow"], folder / "tiny.log")


def sgemm_peak() -> dict[str, list[float]]:
    """Measure the GFLOP/s of each core with all cores in use, by size of the matrices."""
    return last_line([sys.executable, "-m", "tests.benchmarks.sgemm"])


def sgemm_summary(before: Mapping[str, list[float]], after: Mapping[str, list[float]]) -> dict[str, Any]:
    """Return both measurements and the peak: the highest sum over the cores at any size, before or after."""
    sums = [sum(cores) for measured in (before, after) for cores in measured.values()]
    best = [max(sum(cores) for cores in measured.values()) for measured in (before, after)]
    return {"peak_gflops": max(sums), "best_before_and_after": best, "lowest_gflops": min(sums),
            "before": before, "after": after}  # fmt: skip


def count_flops(words: Mapping[str, int], sizes: Mapping[str, int], tokens: int) -> dict[str, float]:
    """Return the operations of all five trainings, without padding and with every review padded to `tokens`."""
    from tasks.training.costs import training_flops

    recipe = Recipe(max_tokens=tokens)
    models = [ARCHITECTURES[name](recipe) for name in DEFAULT_ARCHITECTURES]
    known = {"reviews": sizes["train"], "epochs": sizes["epochs"]}
    fixed = {"train_tokens": tokens * sizes["train"], "validation_tokens": tokens * sizes["validation"]}
    alone = {"train_tokens": words["train"], "validation_tokens": words["validation"]}
    return {
        "flops_without_padding": sum(training_flops(model, **alone, **known) for model in models),
        "flops_padded": sum(training_flops(model, **fixed, **known) for model in models),
    }


def call_without_stderr(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a new process without stderr, because TensorFlow writes many messages when it is imported."""
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_without_stderr) as pool:
        return pool.submit(function, *arguments).result()


def _without_stderr() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def measure(sizes: Mapping[str, int], folder: Path, torch: str | None, before: Path | None) -> dict[str, Any]:
    """Run all measurements, with the files of the runs in `folder`.

    Args:
        sizes: Number of reviews of each split, epochs and repeats.
        folder: Folder of the files.
        torch: Python interpreter with PyTorch; None without it.
        before: Checkout of another version, whose default run is measured; None without it.
    """
    print_progress(
        f"Writing {sizes['train']:,} training, {sizes['validation']:,} validation and {sizes['test']:,} test reviews"
    )
    words = write_rows(load_reviews("bundled").frame, sizes, folder)
    print_progress("Running each side once on a few rows, unmeasured")
    warm_up(folder)
    first_peak = sgemm_peak()
    print_progress(f"sgemm, all cores: {max(map(sum, first_peak.values())):.0f} GFLOP/s")
    lengths: dict[str, list[dict[str, Any]]] = {str(length): [] for length in LENGTHS}
    for length in LENGTHS:
        for number in range(sizes["repeats"]):
            results = folder / f"results-{length}-{number}"
            plain = run_plain(folder, length, sizes["epochs"])
            print_progress(f"{length} tokens, repeat {number + 1}: the plain script took {plain['seconds']:.1f} s")
            command = flow_command(folder, results, length, sizes["epochs"])
            flow = run_flow(command, folder, results, sizes)
            print_progress(f"{length} tokens, repeat {number + 1}: the flow took {flow['seconds']:.1f} s")
            lengths[str(length)].append({"plain": plain, "flow": flow})
    again = range(sizes["reruns"])
    reruns = [watch(command, folder / "flow.log", own_prefect(folder)).seconds for _ in again]
    print_progress(f"With everything cached: {', '.join(f'{seconds:.1f}' for seconds in reruns)} s")
    helped = [watch([*command[:3], "--help"], folder / "help.log").seconds for _ in again]
    accuracy = measure_accuracy(folder, LENGTHS[0], torch)
    speeds = [measure_speeds(LENGTHS, torch) for _ in range(sizes["rounds"])] if torch else []
    previous = measure_previous(folder, before) if before else {}
    print_progress("Small data")
    small_commands = small.measure_commands(folder)
    last_peak = sgemm_peak()
    for length in LENGTHS:
        counted = call_without_stderr(count_flops, words[length], sizes, length)
        for repeat in lengths[str(length)]:
            repeat["flow"] |= counted
    return {"sizes": dict(sizes), "lengths": lengths, "cached_rerun_seconds": reruns, "help_seconds": helped,
            "sgemm": sgemm_summary(first_peak, last_peak), "speeds": speeds, "accuracy": accuracy,
            "previous": previous, "small": small_commands}  # fmt: skip


def find_obstacle(torch: str | None) -> str | None:
    """Return the reason why nothing can be measured here, if there is one."""
    from flows.server.address import configured_address
    from flows.server.probe import is_healthy

    if is_healthy(api := configured_address().api):
        return f"A Prefect server is running at {api}. Stop it: the measurement includes a temporary server."
    if torch and subprocess.run([torch, "-c", "import torch"], capture_output=True, check=False).returncode:
        return f"--torch: {torch} has no PyTorch; name a Python that has it (and pydantic): --torch path/to/python"
    return None


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the tables and the last line, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.bench", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--short", action="store_true", help="few rows, one repeat")
    parser.add_argument(
        "--torch", nargs="?", const=sys.executable, metavar="PYTHON", help="also measure PyTorch, with this Python"
    )
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="checkout of another version, to compare with")
    parser.add_argument("--folder", type=Path, default=Path("results/bench"), help="folder of the JSON file")
    asked = parser.parse_args(arguments)
    os.environ.pop("PREFECT_API_URL", None)
    if reason := find_obstacle(asked.torch):
        print(reason, file=sys.stderr)  # noqa: T201
        return 2
    started, moment = time.monotonic(), time.strftime("%Y-%m-%d-%H%M%S")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        result = measure(SHORT if asked.short else FULL, Path(folder), asked.torch, asked.before)
    from dataclasses import asdict

    from tasks.storage.environment import environment_info

    about = {"short": asked.short, "seconds": time.monotonic() - started, "machine": asdict(environment_info())}
    line = ratios.summary_line(result)
    peak = result["sgemm"]["peak_gflops"]
    summaries = {length: ratios.summarize_repeats(repeats, peak) for length, repeats in result["lengths"].items()}
    asked.folder.mkdir(parents=True, exist_ok=True)
    file = asked.folder / f"{moment}.json"
    file.write_text(json.dumps({**about, "line": line, "summaries": summaries, **result}, indent=2))
    print(format_tables({**about, **result}, summaries))  # noqa: T201
    print(acceptance_table({**about, **result}).to_string(index=False))  # noqa: T201
    print_progress(f"Measurements: {file}")
    print(json.dumps(line))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
