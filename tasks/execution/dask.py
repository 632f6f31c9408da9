"""Executor on Dask: on a cluster of the run's own, or on the workers of a running scheduler.

Dask knows the workers, transports calls and results, and replaces workers that die. This module adds what Dask lacks:
the setup of workers, one call per worker at a time, and the time limit.
"""

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any, Self, TypeVar
from uuid import uuid4

from dask import config as dask_config
from distributed import Client, LocalCluster
from prefect.exceptions import TerminationSignal

from tasks.config.errors import ExecutorLostError, TrialTimeoutError, WorkerDiedError
from tasks.config.escape import escape_terminal
from tasks.execution.dask_scheduler import RESPONSE_SECONDS
from tasks.execution.dask_worker import TRIAL_RESOURCE, WorkerSetup, call_on_worker, trial_versions
from tasks.execution.executor import OnEpoch
from tasks.execution.worker import do_nothing
from tasks.training.runtime import prepare_worker

logger = logging.getLogger(__name__)
MAX_SECONDS_WITHOUT_WORKERS = 600
# A running scheduler may get more workers during a run.
THREADS_PER_WORKER = 2
DASK_CONFIG = {
    "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",
    # On a busy machine, the process that replaces a dead one may need longer to start than Dask's limit of 15 s.
    "distributed.deploy.lost-worker-timeout": "1 hour",
}
Result = TypeVar("Result")
Event = tuple[int, dict[str, float]] | None  # an epoch; None if the call ended


class DaskExecutor:
    """Runs functions on Dask workers, one at a time on each.

    A worker that dies or exceeds the time limit affects only the call that it runs. Dask replaces it.
    """

    def __init__(
        self,
        workers: int,
        gpus: Sequence[str] = (),
        timeout_minutes: float = math.inf,
        address: str | None = None,
        prepare: Callable[..., None] = prepare_worker,
    ) -> None:
        """Start a cluster of processes, or connect to a running scheduler, and set up each worker.

        Args:
            workers: Number of workers of a cluster of the run's own.
            gpus: Names of the GPUs, one for each of these workers; empty without GPUs.
            timeout_minutes: Time limit of a call.
            address: Address of a running scheduler with workers; None for a cluster of the run's own.
            prepare: Loads libraries into a worker; called with the keyword `gpu`.

        Raises:
            ExecutorLostError: If the scheduler does not answer.
            UserError: If a worker has other code or libraries.
        """
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self._name = address or "of this run"
        self._timeout_minutes = timeout_minutes
        self._busy: set[str] = set()
        self._changes = threading.Lock()
        self._ending = False
        self._events: dict[str, SimpleQueue[Event]] = {}
        with ExitStack() as stack, self._raise_if_lost():
            self._client = _open_client(stack, workers, address)
            own: dict[str, Any] = {} if address else {"parent": os.getpid(), "gpus": gpus}
            setup = WorkerSetup(trial_versions(), load=prepare, **own)
            self._client.register_plugin(setup)
            stack.callback(self._forget, setup.name)
            self._topic = f"imdb-compare-{uuid4()}"
            self._client.subscribe_topic(self._topic, self._distribute)
            self.threads = THREADS_PER_WORKER * len(self._workers()) if address else workers
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        """Return this executor."""
        return self

    def __exit__(self, *error: object) -> None:
        """Cancel all calls, end the workers of a cluster of the run's own, and disconnect."""
        self._ending = True
        for events in list(self._events.values()):
            events.put(None)
        try:
            self._stack.close()
        except Exception as error:  # an error here must not replace that of the run, or fail a run that has its results
            stopped = isinstance(error, OSError | CancelledError | TimeoutError)
            level = logging.DEBUG if stopped else logging.WARNING
            logger.log(level, "Dask did not close cleanly: %s: %s", type(error).__name__, escape_terminal(error))

    def warm_up(self, load: Callable[[], object] = do_nothing) -> None:
        """Do nothing: the workers were started when the executor was created."""

    def run(self, function: Callable[..., Result], *arguments: Any, on_epoch: OnEpoch | None = None) -> Result:
        """Run a function on a worker; see `executor.Executor.run`."""
        number = str(uuid4())
        events = self._events[number] = SimpleQueue()
        topic = self._topic if on_epoch else None
        with self._raise_if_lost(), self._reserved_worker() as worker:
            # Pinned: Dask would move the call to a busy worker, and count the death of that worker for it.
            future = self._client.submit(
                call_on_worker, function, arguments, number, topic, key=f"imdb-compare-{number}", pure=False,
                workers=[worker], allow_other_workers=False, resources={TRIAL_RESOURCE: 1},
            )  # fmt: skip
            future.add_done_callback(lambda _: events.put(None))
            try:
                self._wait(worker, events, on_epoch)
                result: Result = future.result()
                return result
            finally:
                del self._events[number]
                with suppress(Exception):
                    future.cancel()

    def _wait(self, worker: str, events: SimpleQueue[Event], on_epoch: OnEpoch | None) -> None:
        """Report the epochs of a call until it ends.

        Raises:
            WorkerDiedError: If the worker is gone.
            TrialTimeoutError: If the time limit is exceeded. The worker is then restarted.
        """
        deadline = time.monotonic() + 60 * self._timeout_minutes
        while True:
            try:
                event = events.get(timeout=1)
            except Empty:
                if worker not in self._workers():
                    raise WorkerDiedError from None
                if time.monotonic() > deadline:
                    self._client.restart_workers([worker], timeout=RESPONSE_SECONDS, raise_for_error=False)
                    raise TrialTimeoutError(self._timeout_minutes) from None
                continue
            if event is None:
                if self._ending:
                    raise TerminationSignal(signal.SIGTERM)
                return
            if on_epoch:
                on_epoch(*event)

    @contextmanager
    def _reserved_worker(self) -> Iterator[str]:
        """Wait for a worker without a call, and reserve it.

        Raises:
            ExecutorLostError: If there is no worker for `MAX_SECONDS_WITHOUT_WORKERS`.
        """
        last_seen = time.monotonic()
        while not (worker := self._reserve()):
            if self._ending:
                raise TerminationSignal(signal.SIGTERM)
            last_seen = time.monotonic() if self._workers() else last_seen
            if time.monotonic() - last_seen > MAX_SECONDS_WITHOUT_WORKERS:
                raise ExecutorLostError(f"Dask has had no worker for {MAX_SECONDS_WITHOUT_WORKERS} seconds.")
            time.sleep(0.2)
        try:
            yield worker
        finally:
            with self._changes:
                self._busy.discard(worker)

    def _reserve(self) -> str | None:
        with self._changes:
            free = sorted(self._workers() - self._busy)
            self._busy.update(free[:1])
            return free[0] if free else None

    def _workers(self) -> set[str]:
        """Return the addresses of the workers whose setup has finished.

        `Client.scheduler_info` is not used: it returns an attribute that the client also sets every two seconds, then
        without workers. On a busy machine, workers seemed to be dead.
        """
        scheduler = self._client.scheduler
        if scheduler is None:  # the client is closed
            return set()
        workers = self._client.sync(scheduler.identity, n_workers=-1)["workers"]
        return {address for address, worker in workers.items() if worker["resources"].get(TRIAL_RESOURCE)}

    def _distribute(self, event: tuple[float, dict[str, Any]]) -> None:
        """Pass an epoch that a worker reports to the thread that waits for it."""
        message = event[1]
        if (waiting := self._events.get(message["call"])) is not None:
            waiting.put((message["epoch"], message["scores"]))

    def _forget(self, plugin: str) -> None:
        with suppress(Exception):  # the scheduler may have stopped
            self._client.unsubscribe_topic(self._topic)
            self._client.unregister_worker_plugin(plugin)

    @contextmanager
    def _raise_if_lost(self) -> Iterator[None]:
        """Replace the errors that Dask raises when its scheduler stops.

        Raises:
            TerminationSignal: Instead of any error, if the run ends.
            ExecutorLostError: Instead of these errors.
        """
        try:
            yield
        except Exception as error:
            if self._ending:
                raise TerminationSignal(signal.SIGTERM) from None
            if isinstance(error, CancelledError | OSError) and not isinstance(error, TrialTimeoutError):
                raise ExecutorLostError(f"The Dask scheduler {self._name} no longer answers.") from None
            raise


def _open_client(stack: ExitStack, workers: int, address: str | None) -> Client:
    """Start a cluster, or connect to a running scheduler; `stack` closes both."""
    if address is None:
        stack.enter_context(dask_config.set(DASK_CONFIG))
        cluster = LocalCluster(n_workers=workers, threads_per_worker=1, memory_limit=0, dashboard_address="127.0.0.1:0")
        address = stack.enter_context(cluster).scheduler_address
    return stack.enter_context(Client(address, timeout=RESPONSE_SECONDS))
