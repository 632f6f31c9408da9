"""Trainings in processes of their own: each in a lane with one process, so that a death costs one try of one cell."""

import math
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import httpx
from prefect import Task
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.futures import PrefectFuture, as_completed
from prefect.states import Crashed
from prefect.task_runners import ProcessPoolTaskRunner

from tasks.errors import TrainingLostError, without_tracebacks_for_mistakes

Call = dict[str, Any]
DIED = "its process died"


class Lane(NamedTuple):
    """A pool of one process, and the id of that process in shared memory (0 before it has started)."""

    pool: ProcessPoolTaskRunner
    process: Any


@dataclass
class Try:
    """One start of a call in a lane; `lost` says how the tries before it ended."""

    call: Call
    lane: Lane
    lost: list[str]
    started: float = field(default_factory=time.monotonic)
    overdue: bool = False


def start_worker(parent: int, threads: int = 1, process: Any = None) -> None:
    """Prepare a process that trains: a fixed number of threads, TensorFlow loaded, an end when the parent ends.

    The number of threads is fixed, not cores divided by workers: the same seed gives the same weights only
    with the same number, and a second thread gains nothing on layers of this size.

    Args:
        parent: The id of the process that must be alive.
        threads: How many TensorFlow may use.
        process: Where to write this process's id, in shared memory.
    """
    follow(parent, process)
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", OMP_NUM_THREADS=str(threads), TF_ENABLE_ONEDNN_OPTS="1")
    with _quiet():
        import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def follow(parent: int, process: Any = None) -> None:
    """Leave Ctrl-C to the parent, end when it ends, and write this process's id into shared memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if process is not None:
        process.value = os.getpid()
    without_tracebacks_for_mistakes()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep native code from the terminal: TensorFlow's import reports the missing GPU, whatever its log level."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def supervise(
    task: Task[..., Any],
    calls: Sequence[Call],
    *,
    workers: int,
    after: Sequence[PrefectFuture[Any]] = (),
    tries: int = 3,
    minutes: float = math.inf,
    on_death: Callable[[Call, int, str], None],
) -> Iterator[tuple[Call, Any]]:
    """Run `task` once for each of `calls`, `workers` at a time, and yield each call with what came of it.

    A process that dies (out of memory, killed) or takes too long (and is killed for it) costs its own call one
    try; the others keep what they have. When the caller stops early, by an error or a signal, the processes are killed.

    Args:
        task: The task; its module is imported in the workers.
        calls: Parameters of each call, in the order of starting.
        workers: How many processes, each with one lane of calls.
        after: What the calls build on, so that Prefect draws it.
        tries: How often a call is started at most, if its process dies.
        minutes: How long one try may take, the start of its process included.
        on_death: Told the call, the number of the try that a process died with, and what happened.

    Yields:
        (call, result), or (call, exception) for a call that failed; in the order of finishing.
    """
    waiting: deque[tuple[Call, list[str]]] = deque((call, []) for call in calls)
    running: dict[PrefectFuture[Any], Try] = {}
    crashed: dict[UUID, str] = {}
    with ExitStack() as stack, _killing_on_error(running):
        idle = [_lane(stack) for _ in range(min(workers, len(calls)))]
        while waiting or running:
            while idle and waiting:
                (call, lost), lane = waiting.popleft(), idle.pop()
                running[lane.pool.submit(task, call, wait_for=after)] = Try(call, lane, lost)
            future = _first_done(running, 60 * minutes)
            ended = running.pop(future)
            outcome = _outcome(future)
            if not isinstance(outcome, BrokenProcessPool):
                idle.append(ended.lane)
                yield ended.call, outcome
                continue
            idle.append(_lane(stack))
            reason = f"it ran longer than {minutes:g} minutes (--cell-minutes)" if ended.overdue else DIED
            lost = [*ended.lost, reason]
            crashed[future.task_run_id] = reason
            _mark_crashed(crashed)
            on_death(ended.call, len(lost), reason)
            if len(lost) < tries:
                waiting.append((ended.call, lost))
            else:
                yield ended.call, TrainingLostError(_in_words(lost))
        _mark_crashed(crashed)


def _lane(stack: ExitStack) -> Lane:
    process = multiprocessing.get_context("spawn").Value("i", 0, lock=False)
    pool = ProcessPoolTaskRunner(max_workers=1, initializer=start_worker, initargs=(os.getpid(), 1, process))
    return Lane(stack.enter_context(pool), process)


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


def _outcome(future: PrefectFuture[Any]) -> Any:
    try:
        return future.result()
    except Exception as error:
        return error


def _in_words(lost: list[str]) -> str:
    """Say how the tries of a call ended, and what may help."""
    said = ", ".join(f"{reason} {times} {'time' if times == 1 else 'times'}" for reason, times in Counter(lost).items())
    return said + (" (killed, or out of memory: try fewer --workers or a smaller --batch-size)" if DIED in lost else "")


def _mark_crashed(crashed: dict[UUID, str]) -> None:
    """Tell Prefect of task runs whose process died: nobody else does, and they would run on its page for ever.

    The server hears of a task run a moment after it has begun; what it does not know yet stays in `crashed`.
    """
    with suppress(httpx.HTTPError), get_client(sync_client=True) as client:
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
        _mark_crashed({future.task_run_id: "the run was ended" for future in running})
        raise


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
