"""Executor that runs functions in the calling thread."""

import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar

from tasks.execution.executor import OnEpoch
from tasks.execution.worker import do_nothing

Result = TypeVar("Result")


class InProcessExecutor:
    """Runs one function at a time in this process. For tests: it neither isolates failures nor limits time."""

    threads = 1

    def __init__(self) -> None:
        """Create the executor."""
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> Self:
        """Return this executor."""
        return self

    def __exit__(self, *error: object) -> None:
        """Do nothing."""

    def warm_up(self, load: Callable[[], object] = do_nothing) -> None:
        """Do nothing."""

    def run(self, function: Callable[..., Result], *arguments: Any, on_epoch: OnEpoch | None = None) -> Result:
        """Call a function; see `executor.Executor.run`."""
        with self._one_at_a_time:
            return function(*arguments, **({"on_epoch": on_epoch} if on_epoch else {}))
