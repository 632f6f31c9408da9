"""Execution of trials in local worker processes.

Each slot has a pool with a single process, so the death of a process affects only the trial that it was training.
"""

import builtins
import math
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect import Task
from prefect.futures import PrefectFuture, as_completed
from prefect.settings import PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED, temporary_settings
from prefect.task_runners import ProcessPoolTaskRunner

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
from tasks.execution.process import end_with_parent
from tasks.execution.run_logging import configure_run_logging
from tasks.storage.trial_records import TrialResult, TrialSpec
from tasks.training.runtime import load_tensorflow

SharedInteger = Any  # multiprocessing ships no public type


@dataclass(frozen=True)
class WorkerSlot:
    """A place for one worker process.

    Attributes:
        stack: Closing it ends the process.
        pool: Task runner with this process only.
        process_id: Id of the process, in shared memory; 0 before it has started.
        gpu: GPU that this process uses alone, if any.
    """

    stack: ExitStack
    pool: ProcessPoolTaskRunner
    process_id: SharedInteger
    gpu: str | None = None


Running = dict[PrefectFuture[Any], Attempt[WorkerSlot]]


def start_worker(parent: int, threads: int = 1, process_id: SharedInteger = None, gpu: str | None = None) -> None:
    """Initialize a worker process: it ends with its parent, and has TensorFlow loaded.

    Args:
        parent: Id of the parent process.
        threads: Number of threads of TensorFlow.
        process_id: Shared integer that receives the id of this process.
        gpu: GPU that this process uses alone, if any.
    """
    attach_to_parent(parent, process_id)
    load_tensorflow(threads, gpu)


def attach_to_parent(parent: int, process_id: SharedInteger = None) -> None:
    """Make this process ignore Ctrl-C and end with its parent.

    Prefect calls `exit()` if it cannot start a task. A pool would return that SystemExit as a result, on which
    Prefect's thread in the parent process ends, and the run would wait forever. Therefore `exit()` ends the process at
    once, which costs one attempt.

    Args:
        parent: Id of the parent process.
        process_id: Shared integer that receives the id of this process.
    """
    builtins.exit = os._exit  # type: ignore[assignment]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent handles it
    end_with_parent(parent)
    if process_id is not None:
        process_id.value = os.getpid()
    configure_run_logging()


def run_trials(
    task: Task[[TrialSpec], TrialResult],
    specs: Sequence[TrialSpec],
    *,
    workers: int,
    gpus: Sequence[str] = (),
    wait_for: Sequence[PrefectFuture[Any]] = (),
    max_attempts: int = MAX_ATTEMPTS,
    timeout_minutes: float = math.inf,
) -> Iterator[TrialOutcome]:
    """Run `task` for each of `specs` in worker processes, and yield the outcomes in the order of completion.

    If a process dies (killed, out of memory) or exceeds the time limit (it is then killed), its trial loses one
    attempt; the other trials are not affected. If the caller stops early, because of an error or a signal, all worker
    processes are killed.

    Args:
        task: The task; its module is imported in the worker processes.
        specs: The trials, in the order in which they start.
        workers: Number of worker processes.
        gpus: Names of the GPUs, one for each process; empty without GPUs.
        wait_for: Futures that the trials depend on, for Prefect's run graph.
        max_attempts: Number of attempts at a trial whose process dies.
        timeout_minutes: Time limit of an attempt, including the start of its process.
    """
    pending = deque(PendingTrial(spec) for spec in specs)
    running: Running = {}
    crashed: dict[UUID, str] = {}
    with ExitStack() as stack, _kill_workers_on_error(running):
        idle = _open_slots(stack, min(workers, len(specs)), gpus)
        while pending or running:
            while idle and pending:
                _start(task, pending.popleft(), idle.pop(), running, wait_for)
            future = _wait_for_first(running, 60 * timeout_minutes)
            attempt = running.pop(future)
            result = result_of(future)
            if isinstance(result, BrokenProcessPool):
                idle.append(_open_slot(stack, attempt.worker.gpu))
                reason = attempt.failure_reason(timeout_minutes)
                crashed[future.task_run_id] = reason
                mark_crashed(crashed)
                if outcome := retry(attempt, reason, pending, max_attempts):
                    yield outcome
                continue
            idle.append(attempt.worker)
            yield ended_outcome(attempt, result, future.task_run_id)
            if not pending and running:  # ending a process takes a second, for which no trial waits now
                idle.pop().stack.close()
        mark_crashed(crashed)


def _open_slots(stack: ExitStack, count: int, gpus: Sequence[str]) -> list[WorkerSlot]:
    """Open slots, each with a GPU of its own if there are GPUs."""
    assigned: Sequence[str | None] = gpus[:count] or [None] * count
    return [_open_slot(stack, gpu) for gpu in assigned]


def _open_slot(stack: ExitStack, gpu: str | None) -> WorkerSlot:
    process_id = multiprocessing.get_context("spawn").Value("i", 0, lock=False)
    pool = ProcessPoolTaskRunner(max_workers=1, initializer=start_worker, initargs=(os.getpid(), 1, process_id, gpu))
    own_stack = stack.enter_context(ExitStack())
    return WorkerSlot(own_stack, own_stack.enter_context(pool), process_id, gpu)


def _start(
    task: Task[[TrialSpec], TrialResult],
    trial: PendingTrial,
    slot: WorkerSlot,
    running: Running,
    wait_for: Sequence[PrefectFuture[Any]],
) -> None:
    """Submit a trial to a slot."""
    with temporary_settings({PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: False}):  # this process has checked it
        future = slot.pool.submit(task, {"spec": trial.spec}, wait_for=wait_for)
    running[future] = Attempt(trial.spec, slot, trial.failures)


def _wait_for_first(running: Running, timeout_seconds: float) -> PrefectFuture[Any]:
    """Wait until an attempt ends, and return its future; kill the process of each attempt above the time limit.

    Only the parent process can enforce the limit: a process that hangs in native code does not check its own clock.
    """
    while True:
        for attempt in running.values():
            process = attempt.worker.process_id.value
            if not attempt.timed_out and time.monotonic() - attempt.started > timeout_seconds and process:
                attempt.timed_out = True
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        with suppress(TimeoutError):
            return next(as_completed(list(running), timeout=None if math.isinf(timeout_seconds) else 1))


@contextmanager
def _kill_workers_on_error(running: Running) -> Iterator[None]:
    """Kill the worker processes if the caller stops early."""
    try:
        yield
    except BaseException:
        for child in multiprocessing.active_children():
            child.kill()
        mark_crashed({future.task_run_id: "the run was ended" for future in running})
        raise
