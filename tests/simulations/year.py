"""Simulate a year of nightly runs without training: `python -m tests.simulations.year [--nights 30 --keep-runs 60]`.

Each night writes the files of the default configuration in their real sizes: five new trials, the evaluation, the
figures and the run directory of all reported trials, and the history. Weights, figures and reports are random bytes;
trials and run tables are real. Then the retention policy of the schedule is applied. Days pass by making all files
older. The results directory is temporary.

Each thirtieth night is reported on stderr. The last line of stdout is JSON: `nights`, `largest_gb` (largest size of the
results directory), `written_gb` (size without removal), and `seconds` (of the slowest retention). The exit code is 1 if
the results directory became larger than 4 GB, or if a trial of a remaining run cannot be read.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd

from tasks.config.recipe import Recipe
from tasks.nightly.history import HistoryPartition, read_history, write_run
from tasks.nightly.history_rows import HistoryRun, build_rows
from tasks.nightly.seeds import nightly_seeds
from tasks.nightly.selection import NightlySelection, find_reused_trials
from tasks.reporting.run_directory import compact_predictions
from tasks.storage import store
from tasks.storage.layout import cache_dir, evaluation_file, figure_file, history_file, run_dir, run_table
from tasks.storage.retention import plan_removal, remove
from tasks.storage.trial_records import TrainedTrial, TrainingFacts, TrialResult, TrialSpec
from tasks.storage.trials import read_result, read_trial, store_trial
from tests.helpers.stored_runs import add_run

FIRST = date(2026, 1, 1)
LIMIT_GB = 4
FIRST_SEEDS = 3
REVIEWS = {"validation": 4_004, "test": 5_003}
# Parameters of the networks of the default configuration, with four bytes each.
PARAMETERS = {
    "simple_rnn": 648_385, "lstm": 673_153, "stacked_lstm": 706_177, "bidirectional_lstm": 706_241,
    "deep_lstm": 739_201,
}  # fmt: skip
BASELINES = {"majority": 1, "tfidf_logistic": 200_000, "nb_svm": 900_000}
# Bytes of a nightly run with 33 seeds: each figure in the cache and in the run directory, the page, other tables.
FIGURES, FIGURE_BYTES, REPORT_BYTES, TABLES_BYTES, EVALUATION_BYTES = 17, 265_000, 6_200_000, 1_500_000, 250_000
RECIPE = Recipe()
PARTITION = HistoryPartition.from_recipe("f" * 64, RECIPE, 1.0)


@cache
def review_ids(split: str) -> tuple[str, ...]:
    """Return made-up ids of the reviews of a split, as long as real ones."""
    rng = np.random.default_rng(len(split))
    return tuple(f"{number:016x}-0" for number in rng.integers(0, 2**63, REVIEWS[split]))


def make_predictions(architecture: str, seed: int) -> pd.DataFrame:
    """Make predictions that are correlated over trials, as those of real trials are."""
    own, shared = np.random.default_rng(seed), np.random.default_rng(0)
    frames = []
    for split, count in REVIEWS.items():
        labels = (np.arange(count) % 2).astype(np.int8)
        logits = (2 * labels - 1) * 2 + 1.5 * shared.standard_normal(count) + own.standard_normal(count)
        columns = {"architecture": architecture, "seed": seed, "review_id": review_ids(split), "split": split}
        frames.append(pd.DataFrame({**columns, "label": labels, "probability": 1 / (1 + np.exp(-logits))}))
    return pd.concat(frames, ignore_index=True).astype({"probability": np.float32})


def make_history(architecture: str, seed: int) -> pd.DataFrame:
    """Make a history of eight epochs."""
    epochs = {"epoch": np.repeat(np.arange(1, 9), 2), "split": ["train", "validation"] * 8}
    scores = dict.fromkeys(("loss", "accuracy", "precision", "recall", "seconds"), 0.5)
    return pd.DataFrame({"architecture": architecture, "seed": seed, **epochs, **scores})


def train(spec: TrialSpec) -> TrialResult:
    """Store a trial with random weights."""
    parameters = (PARAMETERS | BASELINES)[spec.architecture]
    rng = np.random.default_rng(spec.seed)
    facts = TrainingFacts(
        architecture=spec.architecture, seed=spec.seed, parameters=parameters, train_seconds=60.0, epochs=8,
        best_epoch=5, status="finished", train_reviews=32_000,
    )  # fmt: skip
    trained = TrainedTrial(
        make_history(spec.architecture, spec.seed), make_predictions(spec.architecture, spec.seed),
        {"w": rng.standard_normal(parameters, dtype=np.float32)}, facts,
    )  # fmt: skip
    return store_trial(spec.folder, spec.name, trained, probe_seconds=1.0)


def find(spec: TrialSpec) -> TrialResult | None:
    """Return a stored trial as `read_trial` does, but without reading its weights and predictions."""
    path = history_file(spec.folder, spec.name)
    if store.read_bytes(path) is None:
        return None
    store.mark_used(path)
    return read_result(spec.folder, spec.name)


def plan(seeds: list[int], folder: Path) -> list[TrialSpec]:
    """Return the trials of the default configuration with these seeds."""
    trials = [(name, seed) for name in PARAMETERS for seed in seeds] + [(name, 0) for name in BASELINES]
    return [
        TrialSpec(name, seed, RECIPE, Path("x"), 1.0, f"{name}-seed-{seed}", f"{name}-seed-{seed}-{7:016x}", folder)
        for name, seed in trials
    ]


def run_night(results: Path, night: date, rng: np.random.Generator) -> None:
    """Write what a nightly run writes."""
    folder, new_seeds = cache_dir(results), nightly_seeds(night, 1)
    selection = NightlySelection(night, FIRST_SEEDS, 1, PARTITION, read_history(results))
    specs = selection.select_trials(lambda seeds: plan(list(seeds), folder))
    trials = [find(spec) or train(spec) for spec in specs]
    scores = [
        {"architecture": each.architecture, "seed": each.seed, "split": "test", "metric": "accuracy", "value": 0.9}
        for each in trials
    ]
    started = datetime(night.year, night.month, night.day, 3, tzinfo=UTC)
    code = dict.fromkeys([*PARAMETERS, *BASELINES], "one")
    run = HistoryRun(f"{night}-nightly", night, started, len(new_seeds), code, {"keras": "3"}, {"cores": 2}, {})
    write_run(results, PARTITION, f"{night}-x", build_rows(run, specs, trials, pd.DataFrame(scores)))
    store.write(evaluation_file(folder, rng.bytes(8).hex()), rng.bytes(EVALUATION_BYTES))
    for number in range(FIGURES):
        store.write(figure_file(folder, f"figure_{number}", rng.bytes(8).hex()), rng.bytes(FIGURE_BYTES))
    tables = {f"other_{number}": rng.bytes(TABLES_BYTES // 4) for number in range(4)}
    tables["predictions"] = predictions_of(tuple(spec.name for spec in specs), folder)
    target = run_dir(results, run.name)
    for name, content in tables.items():
        path = run_table(target, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (target / "report.html").write_bytes(rng.bytes(REPORT_BYTES))
    add_run(results, run.name, started, [spec.name for spec in specs])


@cache
def _measured_size(trials: int) -> int:
    """Return the size of the table of the predictions of a number of trials."""
    frames = [make_predictions("lstm", seed) for seed in range(trials)]
    return len(compact_predictions(pd.concat(frames, ignore_index=True)))


def predictions_of(names: tuple[str, ...], folder: Path) -> bytes:
    """Return random bytes of the size of the table of the predictions of these trials."""
    return np.random.default_rng(0).bytes(_measured_size(len(names)))


def let_a_day_pass(results: Path) -> None:
    """Make all files of the results a day older."""
    for folder, _, files in os.walk(results):
        for name in files:
            path = Path(folder) / name
            status = path.lstat()
            os.utime(path, (status.st_atime, status.st_mtime - 24 * 3600), follow_symlinks=False)


def size_gb(results: Path) -> float:
    """Return the size of all files in a directory in GB."""
    return sum(path.lstat().st_size for path in results.rglob("*")) / 1e9


def unreadable_trials(results: Path) -> list[str]:
    """Return the names of trials to which a run refers, but which cannot be read."""
    names = set()
    for path in results.glob("runs/*/tables/trials.parquet"):
        names |= set(pd.read_parquet(path)["weights"].str.removesuffix(".safetensors"))
    return sorted(name for name in names if read_trial(cache_dir(results), name) is None)


def main() -> int:
    """Simulate, report, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulations.year", description=__doc__.split("\n")[0])
    parser.add_argument("--nights", type=int, default=365, help="number of nightly runs (default: 365)")
    parser.add_argument("--keep-runs", type=int, default=60, help="as in the schedule (default: 60)")
    options = parser.parse_args()
    rng, largest, removed_gb, slowest = np.random.default_rng(0), 0.0, 0.0, 0.0
    with tempfile.TemporaryDirectory(prefix="imdb-compare-year-") as temporary, patch("os.fsync"):
        results = Path(temporary)
        for position in range(options.nights):
            night = FIRST + timedelta(days=position)
            run_night(results, night, rng)
            largest, started = max(largest, size_gb(results)), time.monotonic()
            keep_trials = find_reused_trials(read_history(results), night)
            removal = plan_removal(results, keep_runs=options.keep_runs, older_than=14, keep_trials=keep_trials)
            removed_gb += remove(removal).size() / 1e9
            slowest = max(slowest, time.monotonic() - started)
            if position % 30 == 29:
                print(f"{night}: {size_gb(results):.2f} GB, {removed_gb:.2f} GB removed", file=sys.stderr)  # noqa: T201
            let_a_day_pass(results)
        unreadable, left = unreadable_trials(results), size_gb(results)
    report = {"nights": options.nights, "largest_gb": round(largest, 2), "written_gb": round(left + removed_gb, 2)}
    print(json.dumps(report | {"seconds": round(slowest, 2), "unreadable": unreadable}))  # noqa: T201
    return 0 if largest < LIMIT_GB and not unreadable else 1


if __name__ == "__main__":
    sys.exit(main())
