"""Submission of the `train` tasks of a plan."""

from collections.abc import Mapping, Sequence
from typing import Any

from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from tasks.execution.executor import Executor
from tasks.execution.plan import starting_order
from tasks.storage.trial_records import TrialResult, TrialSpec
from tasks.train import train


def submit_trials(
    specs: Sequence[TrialSpec],
    cached: Mapping[str, TrialResult],
    executor: Executor,
    in_workers: ThreadPoolTaskRunner[Any],
    *wait_for: PrefectFuture[Any],
) -> dict[str, PrefectFuture[TrialResult]]:
    """Submit the task of each trial in the order of `starting_order`, and return the futures by the name of the trial.

    Args:
        specs: The trials.
        cached: Results of those that are in the cache, by name.
        executor: Runs the trainings.
        in_workers: Task runner with a thread for each worker of the executor.
        wait_for: Tasks whose results the trials read.
    """
    return {
        spec.name: in_workers.submit(
            train, {"spec": spec, "cached": cached.get(spec.name), "executor": executor}, wait_for=wait_for
        )
        for spec in starting_order(specs)
    }
