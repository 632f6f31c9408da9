"""Run trials whose worker processes die, hang or fail, and print what came of them: ENGINE TRIALS MINUTES FOLDER.

ENGINE is `local` or `dask`. TRIALS is a JSON object: for each name the number of attempts in which the worker process
dies. MINUTES is the time limit. Each attempt creates a file in FOLDER. Some names have a meaning: `stopped` hangs
instead of dying, `left` exits at its first attempt, `wrong` raises an error, `hungry` runs out of memory.

The last line is JSON: `outcomes` (process id or error by name), `failures` ([name, attempt, reason]) and `run` (id of
the flow run).
"""

import json
import os
import resource
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

from prefect import flow, runtime, task

from tasks.config.errors import translate_out_of_memory
from tasks.config.recipe import Recipe
from tasks.execution import local
from tasks.storage.trial_records import TrialSpec


def attach_worker(parent: int, threads: int, process_id: local.SharedInteger, gpu: str | None) -> None:
    """Initialize a worker process like `local.start_worker`, but without loading TensorFlow, which takes long."""
    local.attach_to_parent(parent, process_id)


def load_nothing(gpu: str | None = None) -> None:
    """Replace `load_tensorflow` on Dask workers."""


@task(task_run_name="{spec.label}")
def train(spec: TrialSpec) -> int:
    """Create a file, die if this attempt has to, and return the process id."""
    count = len(list(spec.folder.glob(spec.name + "-*")))
    (spec.folder / f"{spec.name}-{count}").touch()
    if count < spec.seed:
        time.sleep(0.5)  # as a training would, so that Prefect's server learns of the task run
        os.kill(os.getpid(), signal.SIGSTOP if spec.name == "stopped" else signal.SIGKILL)
    if spec.name == "left" and count == 0:
        time.sleep(0.5)
        exit(1)  # as Prefect does if it cannot start a task run
    if spec.name == "wrong":
        raise ValueError("not this one")
    if spec.name == "hungry":
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        import numpy as np

        with translate_out_of_memory():
            np.ones(1 << 30)
    return os.getpid()


@flow
def run(engine: str, deaths: dict[str, int], minutes: float, folder: Path) -> dict[str, object]:
    """Run the trials with two workers."""
    executor = import_module(f"tasks.execution.{engine}")  # Dask is not imported in local worker processes
    executor.start_worker, executor.load_tensorflow = attach_worker, load_nothing
    specs = [TrialSpec("lstm", count, Recipe(), folder, 1.0, name, name, folder) for name, count in deaths.items()]
    outcomes = list(executor.run_trials(train, specs, workers=2, timeout_minutes=minutes))
    return {
        "outcomes": {each.spec.name: repr(each.error) if each.error else each.result for each in outcomes},
        "failures": [
            [each.spec.name, attempt, reason] for each in outcomes for attempt, reason in enumerate(each.failures, 1)
        ],
        "run": str(runtime.flow_run.id),
    }


if __name__ == "__main__":
    ENGINE, TRIALS, MINUTES, FOLDER = sys.argv[1:]
    print(json.dumps(run(ENGINE, json.loads(TRIALS), float(MINUTES), Path(FOLDER))))  # noqa: T201
