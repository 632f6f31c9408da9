"""Local worker processes: their setup, and the messages that they send to the run.

Workers are started by loky's variant of the spawn method, which does not import the main module of the run again. So a
script needs no guard, and a worker imports only what its trials need.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from copy import copy
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")
Prepare = Callable[..., None]  # called with the keyword `gpu`

_events: Connection
_gpu_lock: Any = None  # held until the process ends


def start_worker(parent: int, events: Connection, gpus: Sequence[str], locks: Path, prepare: Prepare) -> None:
    """Set up a worker process: it ends with its parent and has its libraries loaded.

    Args:
        parent: Id of the parent process.
        events: Pipe to the parent. Messages of up to `select.PIPE_BUF` bytes are written at once, so the workers share
            it without a lock, which a process that is killed would keep.
        gpus: Names of the GPUs; this process takes one that no other worker uses. Empty without GPUs.
        locks: Directory of the locks of the GPUs.
        prepare: Loads libraries.
    """
    global _events
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the executor ends a worker at once, whatever it does
    attach_to_parent(parent)
    _events = events
    prepare(gpu=claim_gpu(gpus, locks) if gpus else None)


def attach_to_parent(parent: int) -> None:
    """Ignore Ctrl-C in this process, and start a thread that ends it as soon as its parent process has ended.

    Args:
        parent: Id of the parent process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it reaches the whole process group; the parent handles it

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def claim_gpu(gpus: Sequence[str], locks: Path) -> str:
    """Return a GPU that no other worker of the run uses. It is free again when this process ends, however it ends.

    Args:
        gpus: Names of the GPUs, at least as many as workers.
        locks: Directory of one lock file per GPU.
    """
    global _gpu_lock
    from filelock import FileLock, Timeout

    while True:
        for number, gpu in enumerate(gpus):
            lock = FileLock(locks / f"gpu-{number}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            _gpu_lock = lock
            return gpu
        time.sleep(0.1)  # the worker that this one replaces is still ending


def call(function: Callable[..., Result], arguments: Sequence[Any], call_id: int | None) -> Result:
    """Call a function in a worker process.

    Args:
        function: The function.
        arguments: Its positional arguments.
        call_id: If given, the function also receives `on_epoch`, which sends an event with this id to the parent.
            The event of epoch 0 is the last one.
    """

    def on_epoch(epoch: int, scores: dict[str, float]) -> None:
        _events.send_bytes(json.dumps([call_id, epoch, scores]).encode())

    try:
        if call_id is None:
            return function(*arguments)
        result = function(*arguments, on_epoch=on_epoch)
        on_epoch(0, {})  # so that the parent waits for all earlier events, although the result may arrive before them
        return result
    except SystemExit:
        os._exit(1)  # it would end the thread of the parent process that receives it
    except Exception as error:
        if _is_transferable(error):
            raise
        raise RuntimeError(f"{type(error).__name__}: {error}") from None


def _is_transferable(error: Exception) -> bool:
    """Return whether the parent process can build an equal exception, which `copy` does like multiprocessing.

    If it cannot, the whole pool breaks.
    """
    try:
        copy(error)
    except Exception:
        return False
    return True


def do_nothing() -> None:
    """Return. Scheduling this function starts the worker processes."""
