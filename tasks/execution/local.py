"""Trainings in processes of their own: each in a lane with one process, so that a death costs one try of one trial."""

import builtins
import math
import multiprocessing
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import httpx
from prefect import Task
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.futures import PrefectFuture, as_completed
from prefect.settings import (
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED,
    temporary_settings,
)
from prefect.states import Crashed
from prefect.task_runners import ProcessPoolTaskRunner

from tasks.config.errors import TrainingLostError, without_tracebacks_for_mistakes
from tasks.execution.process import end_with_parent
from tasks.training.runtime import load_tensorflow

Call = dict[str, Any]
DIED = "its process died"


class Lane(NamedTuple):
    """A process that trains.

    Attributes:
        stack: Closing it ends the process.
        pool: A pool of that process alone.
        process: Its id in shared memory, 0 before it has started.
        gpu: The one that it has for itself.
    """

    stack: ExitStack
    pool: ProcessPoolTaskRunner
    process: Any
    gpu: str | None = None


@dataclass
class Try:
    """One start of a call in a lane; `lost` says how the tries before it ended."""

    call: Call
    lane: Lane
    lost: list[str]
    started: float = field(default_factory=time.monotonic)
    overdue: bool = False


def start_worker(parent: int, threads: int = 1, process: Any = None, gpu: str | None = None) -> None:
    """Prepare a process that trains: TensorFlow loaded, an end when the parent ends.

    Args:
        parent: The id of the process that must be alive.
        threads: How many TensorFlow may use.
        process: Where to write this process's id, in shared memory.
        gpu: The one that this process has for itself, if it has one.
    """
    follow(parent, process)
    load_tensorflow(threads, gpu)


def follow(parent: int, process: Any = None) -> None:
    """Leave Ctrl-C to the parent, end when it ends, and write this process's id into shared memory.

    Prefect calls exit() where it cannot even begin a task. A pool would hand SystemExit over as a result, on which
    Prefect's thread in the parent ends, and the run waits for ever; the end of the process costs one try.
    """
    builtins.exit = os._exit  # type: ignore[assignment]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    end_with_parent(parent)
    if process is not None:
        process.value = os.getpid()
    without_tracebacks_for_mistakes()


def supervise(
    task: Task[..., Any],
    calls: Sequence[Call],
    *,
    workers: int,
    gpus: Sequence[str] = (),
    after: Sequence[PrefectFuture[Any]] = (),
    tries: int = 3,
    minutes: float = math.inf,
    on_death: Callable[[Call, int, str], None],
    on_end: Callable[[Call, UUID], None] = lambda *_: None,
) -> Iterator[tuple[Call, Any]]:
    """Run `task` once for each of `calls`, `workers` at a time, and yield each call with what came of it.

    A process that dies (out of memory, killed) or takes too long (and is killed for it) costs its own call one
    try; the others keep what they have. When the caller stops early, by an error or a signal, the processes are killed.

    Args:
        task: The task; its module is imported in the workers.
        calls: Parameters of each call, in the order of starting.
        workers: How many processes, each with one lane of calls.
        gpus: If there are any, one for each process.
        after: What the calls build on, so that Prefect draws it.
        tries: How often a call is started at most, if its process dies.
        minutes: How long one try may take, the start of its process included.
        on_death: Told the call, the number of the try that a process died with, and what happened.
        on_end: Told a call that ended by itself and its task run, before it is yielded.

    Yields:
        (call, result), or (call, exception) for a call that failed; in the order of finishing.
    """
    waiting: deque[tuple[Call, list[str]]] = deque((call, []) for call in calls)
    running: dict[PrefectFuture[Any], Try] = {}
    crashed: dict[UUID, str] = {}
    with ExitStack() as stack, _killing_on_error(running):
        lanes = min(workers, len(calls))
        chosen: Sequence[str | None] = gpus[:lanes] or [None] * lanes
        idle = [_lane(stack, gpu) for gpu in chosen]
        while waiting or running:
            while idle and waiting:
                (call, lost), lane = waiting.popleft(), idle.pop()
                with temporary_settings({PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: False}):  # done by this process
                    running[lane.pool.submit(task, call, wait_for=after)] = Try(call, lane, lost)
            future = _first_done(running, 60 * minutes)
            ended = running.pop(future)
            outcome = outcome_of(future)
            if not isinstance(outcome, BrokenProcessPool):
                idle.append(ended.lane)
                on_end(ended.call, future.task_run_id)
                yield ended.call, outcome
                if not waiting and running:  # a process takes a second to end, which nobody waits for now
                    idle.pop().stack.close()
                continue
            idle.append(_lane(stack, ended.lane.gpu))
            reason = f"it ran longer than {minutes:g} minutes (--trial-timeout-minutes)" if ended.overdue else DIED
            lost = [*ended.lost, reason]
            crashed[future.task_run_id] = reason
            mark_crashed(crashed)
            on_death(ended.call, len(lost), reason)
            if len(lost) < tries:
                waiting.append((ended.call, lost))
            else:
                yield ended.call, TrainingLostError(in_words(lost))
        mark_crashed(crashed)


def _lane(stack: ExitStack, gpu: str | None) -> Lane:
    process = multiprocessing.get_context("spawn").Value("i", 0, lock=False)
    pool = ProcessPoolTaskRunner(max_workers=1, initializer=start_worker, initargs=(os.getpid(), 1, process, gpu))
    own = stack.enter_context(ExitStack())
    return Lane(own, own.enter_context(pool), process, gpu)


def _first_done(running: dict[PrefectFuture[Any], Try], seconds: float) -> PrefectFuture[Any]:
    """Wait until a try ends; kill the process of each that takes longer than `seconds`, which ends it, too.

    Only the parent can: a process that hangs in native code, or is stopped, does not look at its own clock.
    """
    while True:
        for each in running.values():
            if not each.overdue and time.monotonic() - each.started > seconds and each.lane.process.value:
                each.overdue = True
                with suppress(ProcessLookupError):
                    os.kill(each.lane.process.value, signal.SIGKILL)
        with suppress(TimeoutError):
            return next(as_completed(list(running), timeout=None if math.isinf(seconds) else 1))


def outcome_of(future: PrefectFuture[Any]) -> Any:
    """Wait for a future and return its result, or the exception that came in its place."""
    try:
        return future.result()
    except Exception as error:
        return error


def in_words(lost: list[str]) -> str:
    """Say how the tries of a call ended, and what may help."""
    said = ", ".join(f"{reason} {times} {'time' if times == 1 else 'times'}" for reason, times in Counter(lost).items())
    return said + (" (killed, or out of memory: try fewer --workers or a smaller --batch-size)" if DIED in lost else "")


def mark_crashed(crashed: dict[UUID, str]) -> None:
    """Tell Prefect of task runs whose process died: nobody else does, and they would run on its page for ever.

    The server hears of a task run a moment after it has begun; what it does not know yet stays in `crashed`, and so
    does all if no server answers: it is asked again at the next death, and nobody waits for it.
    """
    at_once = temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0})
    with suppress(httpx.HTTPError), at_once, get_client(sync_client=True) as client:
        for task_run, reason in list(crashed.items()):
            with suppress(ObjectNotFound):
                client.set_task_run_state(task_run, Crashed(message=reason), force=True)
                del crashed[task_run]


@contextmanager
def _killing_on_error(running: dict[PrefectFuture[Any], Try]) -> Iterator[None]:
    """End what still runs, at once, when the caller stops early: nobody waits for it any more."""
    try:
        yield
    except BaseException:
        for child in multiprocessing.active_children():
            child.kill()
        mark_crashed({future.task_run_id: "the run was ended" for future in running})
        raise
