"""Simulate thirty nightly runs: `python -m tests.simulations.nightly [--nights 6 --drop 4 --empty 5]`.

The real flow runs once per date on generated reviews, in one process and on one temporary server. From one date on
Keras has another version and some predictions are wrong: this nightly run must raise an alarm. On a later date all
trainings fail: this nightly run must fail, and no other. One of a hundred unchanged nightly runs may raise an alarm, so
one further alarm is allowed, but none about training times; it is listed like the others.

Each nightly run is reported on stderr. The history and the figure of the trend are kept in results/nights. The last
line of stdout is JSON: `nights`, `alarms` and `failed_nights` (positions of nightly runs, from 1), and `time_alarms`
(number). The exit code is 1 if they are not as expected. A simulation of thirty nightly runs takes about ten minutes.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from tests.conftest import ROOT

FIRST = date(2026, 1, 1)
WRONG_SHARE = 0.1  # share of predictions that are inverted after the simulated drop
OPTIONS: dict[str, Any] = {
    "architectures": ("simple_rnn", "lstm"), "seeds": 3, "new_seeds": 1, "epochs": 2, "units": 6, "embedding_size": 8,
    "max_tokens": 12, "vocabulary_size": 50, "batch_size": 64, "dropout": 0.1, "learning_rate": 0.02,
}  # fmt: skip


def write_reviews(path: Path, rows: int = 4_000) -> Path:
    """Write short reviews of words that are more or less frequent in each class, so that scores depend on the seed."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(rows) % 2)
    words = np.array([f"word{number}" for number in range(40)])
    odds = np.exp(rng.normal(0, 0.5, len(words)))
    frequencies = np.stack([1 / odds, odds])
    frequencies /= frequencies.sum(axis=1, keepdims=True)
    texts = [
        " ".join([*rng.choice(words, 10, p=frequencies[label]), f"number{row}"]) for row, label in enumerate(labels)
    ]
    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False)
    return path


@contextmanager
def simulate_drop() -> Iterator[None]:
    """Give Keras another version, and invert some predictions of the networks."""
    from tasks.training import trial

    train_network = trial.train_network

    def train_worse_network(*arguments: Any, **options: Any) -> Any:
        trained = train_network(*arguments, **options)
        wrong = np.random.default_rng(len(trained.predictions)).random(len(trained.predictions)) < WRONG_SHARE
        probability = trained.predictions["probability"]
        predictions = trained.predictions.assign(probability=probability.where(~wrong, 1 - probability))
        return replace(trained, predictions=predictions)

    def other_version(name: str) -> str:
        return "9.9.9" if name == "keras" else version(name)

    with (
        patch("tasks.training.cached_trial.train_network", train_worse_network),
        patch("tasks.training.trial.version", other_version),
        patch("tasks.storage.environment.version", other_version),
    ):
        yield


@contextmanager
def simulate_failure() -> Iterator[None]:
    """Let every training of a network fail."""
    with patch("tasks.training.cached_trial.train_network", side_effect=OSError("simulated failure")):
        yield


def simulate(nights: int, drop: int, empty: int, folder: Path) -> tuple[list[int], list[int], int]:
    """Run the flow for each date.

    Returns:
        The positions (from 1) of nightly runs with an alarm, and of failed ones; the number of alarms about times.
    """
    from flows.imdb_compare import imdb_compare
    from tasks.config.errors import TrialsFailedError
    from tasks.execution.in_process import InProcessExecutor
    from tasks.nightly.alarm_table import alarm_table
    from tasks.nightly.history import read_history, select_first_occurrences
    from tasks.nightly.losses import TIMES

    options = OPTIONS | {"data": str(write_reviews(folder / "reviews.csv")), "results": str(folder)}
    failed = []
    for position in range(1, nights + 1):
        night, started, state = FIRST + timedelta(days=position - 1), time.monotonic(), "completed"
        with ExitStack() as changes:
            changes.enter_context(patch("tasks.execution.executor._create_executor", lambda _: InProcessExecutor()))
            if position >= drop:
                changes.enter_context(simulate_drop())
            if position == empty:
                changes.enter_context(simulate_failure())
            try:
                imdb_compare(**options, nightly_date=night, run_name=f"{night}-nightly")
            except TrialsFailedError:
                failed.append(position)
                state = "failed"
        seconds = time.monotonic() - started
        print(f"nightly run {position:>2}  {night}  {seconds:5.1f} s  {state}", file=sys.stderr)  # noqa: T201
    alarms = alarm_table(select_first_occurrences(read_history(folder)))
    positions = sorted({(night - FIRST).days + 1 for night in alarms["night"]})
    return positions, failed, int(alarms["metric"].isin(TIMES).sum())


def main() -> int:
    """Simulate, print the trend, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulations.nightly", description=__doc__.split("\n")[0])
    parser.add_argument("--nights", type=int, default=30, help="number of nightly runs (default: 30)")
    parser.add_argument("--drop", type=int, default=20, help="first nightly run with the drop (default: 20)")
    parser.add_argument("--empty", type=int, default=25, help="nightly run without results (default: 25)")
    options = parser.parse_args()
    folder = ROOT / "results" / "nights"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    os.environ.update(PREFECT_LOGGING_LEVEL="CRITICAL", PREFECT_SERVER_ANALYTICS_ENABLED="false")
    from prefect.testing.utilities import prefect_test_harness

    from flows.cli.history import format_history
    from tasks.training.runtime import load_tensorflow

    load_tensorflow()
    with prefect_test_harness(server_startup_timeout=120):
        alarms, failed, times = simulate(options.nights, options.drop, options.empty, folder)
    print(format_history(folder, None), file=sys.stderr)  # noqa: T201
    print(json.dumps({"nights": options.nights, "alarms": alarms, "failed_nights": failed, "time_alarms": times}))  # noqa: T201
    return 0 if options.drop in alarms and len(alarms) <= 2 and failed == [options.empty] and not times else 1


if __name__ == "__main__":
    sys.exit(main())
