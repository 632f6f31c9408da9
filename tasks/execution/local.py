"""Executor with worker processes on this machine."""

import itertools
import json
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self, TypeVar

from loky.backend import get_context
from pebble import ProcessExpired, ProcessFuture, ProcessPool
from prefect.exceptions import TerminationSignal

from tasks.config.errors import TrialTimeoutError, WorkerDiedError
from tasks.execution.executor import OnEpoch
from tasks.execution.worker import Prepare, call, do_nothing, start_worker
from tasks.training.runtime import prepare_worker

Result = TypeVar("Result")
Event = tuple[int, dict[str, float]] | None  # an epoch; None if the call ended


class LocalExecutor:
    """Runs functions in worker processes on this machine.

    A worker that dies or exceeds a time limit affects only the call that it runs, and is replaced. Workers end with
    this process, however it ends.
    """

    def __init__(
        self,
        workers: int,
        gpus: Sequence[str] = (),
        timeout_minutes: float | None = None,
        prepare: Prepare = prepare_worker,
    ) -> None:
        """Prepare the executor. The processes start at the first call.

        Args:
            workers: Number of processes.
            gpus: Names of the GPUs, at least one for each process; empty without GPUs.
            timeout_minutes: Time limit of a call; None for no limit.
            prepare: Loads libraries into a new process; called with the keyword `gpu`.
        """
        self.threads = workers
        self._timeout_minutes = timeout_minutes
        self._locks = tempfile.TemporaryDirectory(prefix="imdb-compare-")
        self._reader, self._writer = Pipe(duplex=False)
        self._setup = (os.getpid(), self._writer, tuple(gpus), Path(self._locks.name), prepare)
        self._pool = self._new_pool()
        self._pool_changes = threading.Lock()
        self._ending = False
        self._numbers = itertools.count()
        self._events: dict[int, SimpleQueue[Event]] = {}
        threading.Thread(target=_distribute, args=(self._reader, self._events), daemon=True).start()

    def __enter__(self) -> Self:
        """Return this executor."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the workers at once. Calls of `run` that wait for them raise `TerminationSignal`."""
        with self._pool_changes:
            self._ending = True
            self._pool.stop()  # type: ignore[no-untyped-call]
            self._pool.join()
        for events in list(self._events.values()):
            events.put(None)
        self._writer.close()
        self._locks.cleanup()

    def warm_up(self, load: Callable[[], object] = do_nothing) -> None:
        """Make idle processes load libraries, see `executor.Executor.warm_up`."""
        for _ in range(self.threads):
            self._schedule(load)

    def run(self, function: Callable[..., Result], *arguments: Any, on_epoch: OnEpoch | None = None) -> Result:
        """Run a function in a worker process; see `executor.Executor.run`."""
        number = next(self._numbers)
        events = self._events[number] = SimpleQueue()
        try:
            future = self._schedule(call, function, arguments, number if on_epoch else None)
            future.add_done_callback(lambda done: events.put(None) if not on_epoch or done.exception() else None)
            for epoch in iter(events.get, None):
                if on_epoch:
                    on_epoch(*epoch)
            if self._ending:
                raise TerminationSignal(signal.SIGTERM)
            return future.result()
        except (ProcessExpired, BrokenProcessPool):
            raise WorkerDiedError from None
        except TimeoutError:
            raise TrialTimeoutError(self._timeout_minutes) from None
        finally:
            del self._events[number]

    def _schedule(self, function: Callable[..., Any], *arguments: Any) -> ProcessFuture[Any]:
        """Schedule a call; in a new pool if all processes of the last one died before their first call."""
        seconds = None if self._timeout_minutes is None else 60 * self._timeout_minutes
        with self._pool_changes:
            if self._ending:
                raise TerminationSignal(signal.SIGTERM)
            if not self._pool.active:
                self._pool.stop()  # type: ignore[no-untyped-call]
                self._pool.join()
                self._pool = self._new_pool()
            return self._pool.schedule(function, args=arguments, timeout=seconds)

    def _new_pool(self) -> ProcessPool:
        context = get_context("loky")
        return ProcessPool(self.threads, initializer=start_worker, initargs=self._setup, context=context)


def _distribute(reader: Connection, events: dict[int, SimpleQueue[Event]]) -> None:
    """Pass the epochs that workers report to the threads that wait for them, until all writers have closed the pipe."""
    with suppress(EOFError, OSError):
        while True:
            number, epoch, scores = json.loads(reader.recv_bytes())
            if number in events:
                events[number].put((epoch, scores) if epoch else None)
