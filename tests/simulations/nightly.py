"""Thirty nightly runs in ten minutes: `python -m tests.simulations.nightly [--nights 6 --drop 4 --empty 5]`.

The real flow runs night after night on made-up reviews, with dates of its own, in one process and on one temporary
server. From one night on a library is another one, and what it trains is wrong more often: an alarm must come that
night, and say which library. On a later night every training breaks: that night must fail, and no other. The check may
be wrong on two unchanged nights of a hundred, so one further alarm is let pass; it is listed like the others.

Each night's line goes to stderr; the history and the picture of the trend stay in results/nights. The last line is
JSON: `nights`, `alarms` (places of the nights that raised one) and `failed_nights`; the exit code is 1 where they are
not as they must be.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from tests.conftest import ROOT

FIRST = date(2026, 1, 1)
WRONG = 0.1  # share of answers that are turned round from the planted drop on
ASKED: dict[str, Any] = {
    "architectures": ("simple_rnn", "lstm"), "seeds": 3, "new_seeds": 1, "epochs": 2, "units": 6, "embedding_size": 8,
    "max_tokens": 12, "vocabulary_size": 50, "batch_size": 64, "dropout": 0.1, "learning_rate": 0.02,
}  # fmt: skip


def reviews(path: Path, rows: int = 4_000) -> Path:
    """Write short reviews of words that speak for a class more or less: what is learned differs from seed to seed."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(rows) % 2)
    words = np.array([f"word{number}" for number in range(40)])
    odds = np.exp(rng.normal(0, 0.5, len(words)))
    chances = np.stack([1 / odds, odds])
    chances /= chances.sum(axis=1, keepdims=True)
    texts = [" ".join([*rng.choice(words, 10, p=chances[label]), f"number{row}"]) for row, label in enumerate(labels)]
    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False)
    return path


def one_by_one(train: Any, _: object, calls: list[dict[str, Any]], **how: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Train in this process: TensorFlow is then loaded once for all nights."""
    for call in calls:
        try:
            yield call, train.submit(**call, wait_for=how["after"]).result()
        except Exception as error:
            yield call, error


@contextmanager
def worse() -> Iterator[None]:
    """Let Keras be another one, after which some answers are wrong."""
    from tasks.training import trial

    def make_trial(*given: Any, **how: Any) -> Any:
        history, predictions, weights = trial.make_trial(*given, **how)
        turned = np.random.default_rng(len(predictions)).random(len(predictions)) < WRONG
        chance = predictions["probability"]
        return history, predictions.assign(probability=chance.where(~turned, 1 - chance)), weights

    def other(name: str) -> str:
        return "9.9.9" if name == "keras" else version(name)

    with (
        patch("tasks.train.make_trial", make_trial),
        patch("tasks.training.trial.version", other),
        patch("tasks.report.version", other),
    ):
        yield


@contextmanager
def broken() -> Iterator[None]:
    """Let every training fail."""
    with patch("tasks.train.make_trial", side_effect=OSError("planted: nothing can be trained")):
        yield


def simulate(nights: int, drop: int, empty: int, folder: Path) -> tuple[list[int], list[int]]:
    """Run the nights; return the places (from 1) of those with an alarm and of those that failed."""
    from flows.imdb_compare import imdb_compare
    from tasks.config.errors import TrialsFailedError
    from tasks.nightly import history
    from tasks.nightly.detection import alarms_of

    options = ASKED | {"data": str(reviews(folder / "reviews.csv")), "results": str(folder)}
    failed = []
    for place in range(1, nights + 1):
        night, started, state = FIRST + timedelta(days=place - 1), time.monotonic(), "completed"
        with ExitStack() as planted:
            planted.enter_context(patch("tasks.execution.executor.trainings", one_by_one))
            if place >= drop:
                planted.enter_context(worse())
            if place == empty:
                planted.enter_context(broken())
            try:
                imdb_compare(**options, night=night, run_name=f"{night}-nightly")
            except TrialsFailedError:
                failed.append(place)
                state = "failed"
        print(f"night {place:>2}  {night}  {time.monotonic() - started:5.1f} s  {state}", file=sys.stderr)  # noqa: T201
    found = alarms_of(history.fresh(history.read(folder, print)))
    return sorted({(night - FIRST).days + 1 for night in found["night"]}), failed


def main() -> int:
    """Simulate, show the trend, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulations.nightly", description=__doc__.split("\n")[0])
    parser.add_argument("--nights", type=int, default=30, help="how many (default: 30)")
    parser.add_argument("--drop", type=int, default=20, help="the night of the planted drop (default: 20)")
    parser.add_argument("--empty", type=int, default=25, help="the night that measures nothing (default: 25)")
    asked = parser.parse_args()
    folder = ROOT / "results" / "nights"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    os.environ.update(PREFECT_LOGGING_LEVEL="CRITICAL", PREFECT_SERVER_ANALYTICS_ENABLED="false")
    from prefect.testing.utilities import prefect_test_harness

    from flows.cli.history import told
    from tasks.training.runtime import load_tensorflow

    load_tensorflow()
    with prefect_test_harness(server_startup_timeout=120):
        alarms, failed = simulate(asked.nights, asked.drop, asked.empty, folder)
    print(told(folder, None), file=sys.stderr)  # noqa: T201
    print(json.dumps({"nights": asked.nights, "alarms": alarms, "failed_nights": failed}))  # noqa: T201
    return 0 if asked.drop in alarms and len(alarms) <= 2 and failed == [asked.empty] else 1


if __name__ == "__main__":
    sys.exit(main())
