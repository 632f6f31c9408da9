"""Execution of trials on Dask: on a cluster of the run's own, or on the workers of a running scheduler.

Dask knows the workers, transports trials and results, and replaces workers that die. This module adds what Dask lacks:
the setup of workers, one trial per worker at a time, the time limit, and a limited number of attempts.
"""

import logging
import math
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any

from dask import config as dask_config
from dask.base import annotate
from distributed import Client, wait
from prefect import Task
from prefect.client.schemas.objects import TaskRunResult
from prefect.futures import PrefectFuture
from prefect_dask.task_runners import DaskTaskRunner

from tasks.config.errors import ExecutorLostError
from tasks.execution.attempts import (
    MAX_ATTEMPTS,
    Attempt,
    PendingTrial,
    TrialOutcome,
    ended_outcome,
    mark_crashed,
    result_of,
    retry,
)
from tasks.execution.dask_scheduler import RESPONSE_SECONDS
from tasks.execution.dask_scheduler import check_scheduler as check_scheduler
from tasks.execution.dask_worker import TRIAL_RESOURCE, WorkerSetup, trial_versions
from tasks.storage.trial_records import TrialResult, TrialSpec
from tasks.training.runtime import load_tensorflow

MAX_SECONDS_WITHOUT_WORKERS = 600
DASK_CONFIG = {
    "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",
    # On a busy machine, the process that replaces a dead one may need longer to start than Dask's limit of 15 s.
    "distributed.deploy.lost-worker-timeout": "1 hour",
}
Running = dict[Any, Attempt[str]]  # by Prefect's Dask future; the worker is given by its address


def run_trials(
    task: Task[[TrialSpec], TrialResult],
    specs: Sequence[TrialSpec],
    *,
    workers: int,
    gpus: Sequence[str] = (),
    address: str | None = None,
    wait_for: Sequence[PrefectFuture[Any]] = (),
    max_attempts: int = MAX_ATTEMPTS,
    timeout_minutes: float = math.inf,
) -> Iterator[TrialOutcome]:
    """Run `task` for each of `specs` on Dask, one trial per worker, and yield the outcomes in order of completion.

    Args:
        task: The task.
        specs: The trials, in the order in which they start.
        workers: Number of workers of a cluster of the run's own.
        gpus: Names of the GPUs, one for each of these workers; empty without GPUs.
        address: Address of a running scheduler with workers; None for a cluster of the run's own.
        wait_for: Futures that the trials depend on, for Prefect's run graph.
        max_attempts: Number of attempts at a trial whose worker dies.
        timeout_minutes: Time limit of an attempt.

    Raises:
        ExecutorLostError: If the scheduler stops, or has no worker for `MAX_SECONDS_WITHOUT_WORKERS`.
        UserError: If a worker has other code or libraries.
    """
    pending = deque(PendingTrial(spec) for spec in specs)
    running: Running = {}
    last_seen = time.monotonic()
    with _raise_if_lost(address), _open_cluster(workers, gpus, address) as runner, _cancel_on_error(running):
        while pending or running:
            ready = _ready_workers(runner.client)
            last_seen = time.monotonic() if ready else last_seen
            if time.monotonic() - last_seen > MAX_SECONDS_WITHOUT_WORKERS:
                raise ExecutorLostError(f"Dask has had no worker for {MAX_SECONDS_WITHOUT_WORKERS} seconds.")
            for worker in sorted(ready - {attempt.worker for attempt in running.values()})[: len(pending)]:
                trial = pending.popleft()
                future = _submit(runner, task, trial.spec, worker, wait_for)
                running[future] = Attempt(trial.spec, worker, trial.failures)
            for future in _wait_for_finished(runner.client, running):
                result = _result(future)
                yield ended_outcome(running.pop(future), result, future.task_run_id)
            for future, reason in _lost_attempts(runner.client, running, timeout_minutes):
                attempt = running.pop(future)
                future.wrapped_future.cancel()
                mark_crashed({future.task_run_id: reason})
                if outcome := retry(attempt, reason, pending, max_attempts):
                    yield outcome


@contextmanager
def _open_cluster(workers: int, gpus: Sequence[str], address: str | None) -> Iterator[DaskTaskRunner]:
    """Start a cluster of processes, or connect to a running scheduler, and set up each worker."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    dask_config.set(DASK_CONFIG)
    options = {"n_workers": workers, "threads_per_worker": 1, "memory_limit": 0, "dashboard_address": "127.0.0.1:0"}
    cluster: dict[str, Any] = {"address": address} if address else {"cluster_kwargs": options}
    with DaskTaskRunner(**cluster, client_kwargs={"timeout": RESPONSE_SECONDS}) as runner:
        own: dict[str, Any] = {} if address else {"parent": os.getpid(), "gpus": gpus}
        setup = WorkerSetup(trial_versions(), load=load_tensorflow, **own)
        runner.client.register_plugin(setup)
        try:
            yield runner
        finally:
            with suppress(Exception):  # the scheduler may have stopped
                runner.client.unregister_worker_plugin(setup.name)


def _ready_workers(client: Client) -> set[str]:
    """Return the addresses of the workers whose setup has finished."""
    workers = client.scheduler_info()["workers"]
    return {address for address, worker in workers.items() if worker["resources"].get(TRIAL_RESOURCE)}


def _submit(
    runner: DaskTaskRunner,
    task: Task[[TrialSpec], TrialResult],
    spec: TrialSpec,
    worker: str,
    wait_for: Sequence[PrefectFuture[Any]],
) -> Any:
    """Submit a trial to one worker only. Dask would move it to a busy worker, and count that worker's death for it."""
    dependencies: Any = {"data": {TaskRunResult(id=future.task_run_id) for future in wait_for}}
    with annotate(workers=[worker], allow_other_workers=False, resources={TRIAL_RESOURCE: 1}):
        return runner.submit(task, {"spec": spec}, dependencies=dependencies)


def _wait_for_finished(client: Client, running: Running, seconds: float = 1) -> list[Any]:
    """Wait for up to `seconds` until a future is done, and return all futures that are."""
    if not running:
        time.sleep(seconds)
    with client.as_current(), suppress(TimeoutError):
        wait([future.wrapped_future for future in running], timeout=seconds, return_when="FIRST_COMPLETED")
    return [future for future in running if future.wrapped_future.done()]


def _result(future: Any) -> Any:
    """Return the result or exception of a future.

    Raises:
        CancelledError: If the future was cancelled, which happens only if the scheduler is lost.
    """
    result = result_of(future)
    if isinstance(result, CancelledError):
        raise result
    return result


def _lost_attempts(client: Client, running: Running, timeout_minutes: float) -> list[tuple[Any, str]]:
    """Return the futures whose worker is gone, with the reason; restart the workers of attempts above the limit."""
    for attempt in running.values():
        if time.monotonic() - attempt.started > 60 * timeout_minutes and not attempt.timed_out:
            attempt.timed_out = True
            client.restart_workers([attempt.worker], timeout=RESPONSE_SECONDS, raise_for_error=False)
    alive = set(client.scheduler_info()["workers"])
    return [
        (future, attempt.failure_reason(timeout_minutes))
        for future, attempt in running.items() if attempt.worker not in alive
    ]  # fmt: skip


@contextmanager
def _raise_if_lost(address: str | None) -> Iterator[None]:
    """Replace the errors that Dask raises when its scheduler stops.

    Raises:
        ExecutorLostError: Instead of these errors.
    """
    try:
        yield
    except (CancelledError, OSError):
        raise ExecutorLostError(f"The Dask scheduler {address or 'of this run'} no longer answers.") from None


@contextmanager
def _cancel_on_error(running: Running) -> Iterator[None]:
    """Cancel the trials that have not started if the caller stops early."""
    try:
        yield
    except BaseException:
        with suppress(Exception):
            for future in running:
                future.wrapped_future.cancel()
        mark_crashed({future.task_run_id: "the run was ended" for future in running})
        raise
