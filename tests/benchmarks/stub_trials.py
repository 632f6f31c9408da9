"""How long a run takes for 1,000 trials of 10 ms with two workers: what Prefect and the executor cost per trial.

    python -m tests.benchmarks.stub_trials [--trials 1000] [--executor local|in_process]

A temporary Prefect server runs beside it. The last line is JSON: seconds from the first submission to the last result,
CPU seconds and peak memory of this process. With the executor `in_process` the trials do nothing, so that only
Prefect's share remains.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flows.server.lifecycle import running_server
from tests.benchmarks import stub_work


def measure(count: int, kind: str) -> dict[str, float]:
    """Run the trials in a flow, and return what they cost."""
    from prefect import flow
    from prefect.task_runners import ThreadPoolTaskRunner

    from tasks.config.recipe import Recipe
    from tasks.execution.in_process import InProcessExecutor
    from tasks.execution.local import LocalExecutor
    from tasks.execution.outcomes import collect_trials
    from tasks.storage.trial_records import TrialSpec
    from tasks.train import train

    executor: Any = LocalExecutor(2, prepare=stub_work.load_nothing) if kind == "local" else InProcessExecutor()
    stub = stub_work.sleep if kind == "local" else stub_work.return_at_once

    @flow(name="stub-trials")
    def run(folder: str) -> float:
        place = Path(folder)
        specs = [
            TrialSpec("lstm", number, Recipe(epochs=1), place, 1.0, f"stub-{number}", f"stub-{number}", place)
            for number in range(count)
        ]
        with ThreadPoolTaskRunner(max_workers=executor.threads) as threads, executor:
            started = time.perf_counter()
            futures = {
                spec.name: threads.submit(train, {"spec": spec, "cached": None, "executor": executor}) for spec in specs
            }
            outcomes = collect_trials(specs, futures)
            seconds = time.perf_counter() - started
        assert len(outcomes.results) == count, outcomes.failures
        return seconds

    with tempfile.TemporaryDirectory() as folder, patch("tasks.train.load_or_train", stub):
        seconds = run(folder)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"trials": count, "seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1e3}


def main() -> int:
    """Measure, and print the result."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stub_trials")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--executor", choices=("local", "in_process"), default="local")
    options = parser.parse_args()
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
    with running_server(meanwhile=lambda: import_module("prefect")):
        print(json.dumps(measure(options.trials, options.executor)))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
