"""Run trials whose worker processes die, hang or fail, and print what came of them: ENGINE TRIALS MINUTES FOLDER.

ENGINE is `local` or `dask`. TRIALS is a JSON object: for each name the number of attempts in which the worker process
dies. MINUTES is the time limit. Each attempt creates a file in FOLDER. Some names have a meaning: `stopped` and
`hanging` hang instead of dying, `left` exits at its first attempt, `wrong` raises an error, `strange` one that cannot
be unpickled, `hungry` runs out of memory.

The last line is JSON: `outcomes` (process id or reason of the failure by name) and `run` (id of the flow run).
"""

import json
import sys
from pathlib import Path
from unittest.mock import patch

from prefect import flow, runtime
from prefect.task_runners import ThreadPoolTaskRunner

from tasks.config.recipe import Recipe
from tasks.execution.outcomes import collect_trials
from tasks.storage.trial_records import TrialSpec
from tasks.train import train
from tests.helpers.programs import odd_trials


@flow
def run(engine: str, deaths: dict[str, int], minutes: float, folder: Path) -> dict[str, object]:
    """Run the trials with two workers."""
    if engine == "dask":
        from tasks.execution.dask import DaskExecutor as Executor
    else:
        from tasks.execution.local import LocalExecutor as Executor
    specs = [
        TrialSpec("lstm", count, Recipe(epochs=1), folder, 1.0, name, name, folder) for name, count in deaths.items()
    ]
    executor = Executor(2, timeout_minutes=minutes, prepare=odd_trials.load_nothing)
    with ThreadPoolTaskRunner(max_workers=2) as threads, executor, patch("tasks.train.load_or_train", odd_trials.train):
        futures = {
            spec.name: threads.submit(train, {"spec": spec, "cached": None, "executor": executor}) for spec in specs
        }
        trained = collect_trials(specs, futures)
    results = {Path(result.weights).stem: result.parameters for result in trained.results}
    return {"outcomes": results | trained.failures, "run": str(runtime.flow_run.id)}


if __name__ == "__main__":
    ENGINE, TRIALS, MINUTES, FOLDER = sys.argv[1:]
    print(json.dumps(run(ENGINE, json.loads(TRIALS), float(MINUTES), Path(FOLDER))))  # noqa: T201
