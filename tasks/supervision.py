"""Trainings in processes of their own: each in a lane with one process, so that a death costs one try of one cell."""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from prefect import Task
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ProcessPoolTaskRunner

Call = dict[str, Any]
Lane = ProcessPoolTaskRunner


def start_worker(parent: int, threads: int = 1) -> None:
    """Prepare a process that trains: a fixed number of threads, TensorFlow loaded, an end when the parent ends.

    The number of threads is fixed, not cores divided by workers: the same seed gives the same weights only
    with the same number, and a second thread gains nothing on layers of this size.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", OMP_NUM_THREADS=str(threads), TF_ENABLE_ONEDNN_OPTS="1")
    with _quiet():
        import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


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


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def supervise(
    task: Task[..., Any],
    calls: Sequence[Call],
    *,
    workers: int,
    after: Sequence[PrefectFuture[Any]] = (),
    tries: int = 3,
    on_death: Callable[[Call, int], None],
) -> Iterator[tuple[Call, Any]]:
    """Run `task` once for each of `calls`, `workers` at a time, and yield each call with what came of it.

    A process that dies (out of memory, killed) costs its own call one try; the others keep what they have.
    When the caller stops early, by an error or a signal, the processes are killed.

    Args:
        task: The task; its module is imported in the workers.
        calls: Parameters of each call, in the order of starting.
        workers: How many processes, each with one lane of calls.
        after: What the calls build on, so that Prefect draws it.
        tries: How often a call is started at most, if its process dies.
        on_death: Told the call and the try that a process died with.

    Yields:
        (call, result), or (call, exception) for a call that failed; in the order of finishing.
    """
    waiting = deque((call, 1) for call in calls)
    running: dict[PrefectFuture[Any], tuple[Lane, Call, int]] = {}
    with ExitStack() as stack, _killing_on_error():
        idle = [_lane(stack) for _ in range(min(workers, len(calls)))]
        while waiting or running:
            while idle and waiting:
                (call, attempt), lane = waiting.popleft(), idle.pop()
                running[lane.submit(task, call, wait_for=after)] = lane, call, attempt
            future = next(as_completed(list(running)))
            lane, call, attempt = running.pop(future)
            outcome = _outcome(future)
            if not isinstance(outcome, BrokenProcessPool):
                idle.append(lane)
                yield call, outcome
                continue
            idle.append(_lane(stack))
            on_death(call, attempt)
            if attempt < tries:
                waiting.append((call, attempt + 1))
            else:
                yield call, RuntimeError(f"its process died {tries} times")


def _lane(stack: ExitStack) -> Lane:
    return stack.enter_context(ProcessPoolTaskRunner(max_workers=1, initializer=start_worker, initargs=(os.getpid(),)))


def _outcome(future: PrefectFuture[Any]) -> Any:
    try:
        return future.result()
    except Exception as error:
        return error


@contextmanager
def _killing_on_error() -> Iterator[None]:
    """End what still runs, at once, when the caller stops early: nobody waits for it any more."""
    try:
        yield
    except BaseException:
        for child in multiprocessing.active_children():
            child.kill()
        raise
