"""Functions that tests run in workers of an executor."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

_gpu: str | None = None


def load_nothing(gpu: str | None = None) -> None:
    """Replace `prepare_worker`, which takes long."""


def set_gpu(gpu: str | None = None) -> None:
    """Remember the GPU of this process."""
    global _gpu
    _gpu = gpu


def assigned_gpu(seconds: float) -> str | None:
    """Return the GPU of this process after some seconds."""
    time.sleep(seconds)
    return _gpu


def count_epochs(epochs: int, on_epoch: Callable[[int, dict[str, float]], None]) -> str:
    """Report epochs."""
    for epoch in range(1, epochs + 1):
        on_epoch(epoch, {"loss": 1 / epoch})
    return f"counted {epochs}"


def process_id(seconds: float) -> int:
    """Return the id of this process after some seconds."""
    time.sleep(seconds)
    return os.getpid()


def kill() -> None:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    """Raise an error."""
    raise ValueError("not this one")


def kill_at_first_call(_name: str, _plot: object, arguments: dict[str, Path]) -> dict[str, bytes]:
    """Kill this process at the first call; later return the files of a figure with nothing to show."""
    calls = len(list(arguments["folder"].glob("call-*")))
    (arguments["folder"] / f"call-{calls}").touch()
    if calls == 0:
        kill()
    return {}
