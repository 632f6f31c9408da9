"""Trainings on Dask: on a cluster of processes of its own, or on the workers of a scheduler that runs already.

Dask knows the workers, brings calls to them and results back, and replaces those that die. Here is what it does not
know: how a process is made ready for training, that one trains a single trial at a time, and when a trial is given up.
"""

import asyncio
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any
from uuid import UUID

from dask import config as dask_config
from dask.base import annotate
from distributed import Client, Security, Worker, WorkerPlugin, wait
from distributed.comm.core import connect
from prefect import Task
from prefect.client.schemas.objects import TaskRunResult
from prefect.futures import PrefectFuture
from prefect_dask.task_runners import DaskTaskRunner

from tasks.config.errors import EngineLostError, TrainingLostError, UserError, without_tracebacks_for_mistakes
from tasks.execution.local import DIED, Call, follow, in_words, mark_crashed, outcome_of
from tasks.models.baselines import BASELINES
from tasks.models.registry import ARCHITECTURES
from tasks.storage.fingerprint import code_version
from tasks.training.runtime import load_tensorflow
from tasks.training.trial import BASELINE_LIBRARIES, LIBRARIES, make_baseline, make_trial

# What a worker has one of once it is ready, so that no other gets a trial, and none gets two at a time.
TRAINING = "imdb-compare-training"
ANSWER_SECONDS = 10
ALONE_SECONDS = 600
CONFIG = {
    "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",
    # A process that takes the place of a dead one needs longer than Dask's 15 s on a busy machine, and would be ended.
    "distributed.deploy.lost-worker-timeout": "1 hour",
}


@dataclass
class Try:
    """One start of a call on a worker; `lost` says how the tries before it ended."""

    call: Call
    worker: str
    lost: list[str]
    started: float = field(default_factory=time.monotonic)
    overdue: bool = False


@dataclass
class Preparation(WorkerPlugin):
    """Makes a worker ready when it joins: code and libraries as here, TensorFlow loaded as in any training.

    Args:
        versions: Of this process.
        parent: This process, if the worker is to end with it.
        gpus: One for each worker of a cluster that numbers its workers; none where they have theirs already.
        load: Loads TensorFlow.
    """

    versions: dict[str, str]
    parent: int | None = None
    gpus: Sequence[str] = ()
    load: Callable[..., None] = load_tensorflow
    name: str = "imdb-compare"
    idempotent: bool = False

    async def setup(self, worker: Worker) -> None:
        """Prepare one worker.

        Raises:
            UserError: If its code or libraries are others: what it trains would be stored under a wrong name.
        """
        mine = made_by()
        if differing := {name: mine[name] for name, value in self.versions.items() if mine[name] != value}:
            raise UserError(
                f"The Dask worker {worker.address} has other versions than this run: {differing}, here "
                f"{ {name: self.versions[name] for name in differing} }. Start its workers from the same checkout, "
                "with the packages of requirements.lock."
            )
        if self.parent:
            follow(self.parent)
        without_tracebacks_for_mistakes()
        self.load(gpu=self.gpus[int(worker.name)] if self.gpus else None)
        await worker.set_resources(**{TRAINING: 1})


def made_by() -> dict[str, str]:
    """Tell what makes trials in this process: a fingerprint of the code, and the libraries' versions."""
    code = code_version(make_trial, make_baseline, *ARCHITECTURES.values(), *BASELINES.values())
    return {"code": code[:16], **{name: version(name) for name in {*LIBRARIES, *BASELINE_LIBRARIES}}}


def check_scheduler(address: str) -> None:
    """Make sure, before anything is loaded, that a scheduler answers and has workers.

    Raises:
        UserError: If not.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        with ThreadPoolExecutor(1) as thread:  # this one may have an event loop already
            workers = thread.submit(asyncio.run, _count_workers(address)).result()
    except Exception as error:  # what is no scheduler may answer with anything, and Dask raise anything of it
        reason = f"nothing for {ANSWER_SECONDS} seconds" if isinstance(error, TimeoutError) else str(error)
        raise UserError(
            f"No Dask scheduler answers at {address}, which --dask-address names "
            f"({' '.join(reason.split())[:200] or type(error).__name__}). Start one: dask scheduler. "
            "Or leave --dask-address out: the run then has a cluster of its own on this machine."
        ) from None
    if not workers:
        raise UserError(f"The Dask scheduler at {address} has no workers. Start some: dask worker {address}")


async def _count_workers(address: str) -> int:
    """Ask a scheduler for its workers until it has one, or `ANSWER_SECONDS` are over.

    A `Client` would wait for minutes for the answer of something that takes connections and says nothing.

    Raises:
        TimeoutError: If there is no answer.
        Exception: Whatever Dask raises of one that is no scheduler's.
    """
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        async with asyncio.timeout(ANSWER_SECONDS):
            how = Security().get_connection_args("client")
            comm = await connect(address, timeout=ANSWER_SECONDS, **how)
            try:
                await comm.write({"op": "identity", "reply": True})
                answer = await comm.read()
            finally:
                comm.abort()
        if not isinstance(answer, dict) or answer.get("type") != "Scheduler":
            raise ValueError("what answers is no scheduler")
        if answer["workers"] or time.monotonic() > deadline:
            return len(answer["workers"])
        await asyncio.sleep(0.5)


def supervise(
    task: Task[..., Any],
    calls: Sequence[Call],
    *,
    workers: int,
    gpus: Sequence[str] = (),
    address: str | None = None,
    after: Sequence[PrefectFuture[Any]] = (),
    tries: int = 3,
    minutes: float = math.inf,
    on_death: Callable[[Call, int, str], None],
    on_end: Callable[[Call, UUID], None] = lambda *_: None,
) -> Iterator[tuple[Call, Any]]:
    """Run `task` once for each of `calls` on Dask, as many at a time as there are workers that are ready.

    Args:
        task: The task.
        calls: Parameters of each call, in the order of starting.
        workers: How many processes a cluster of its own has.
        gpus: If there are any, one for each of these.
        address: Of a scheduler that runs already, with workers of its own.
        after: What the calls build on, so that Prefect draws it.
        tries: How often a call is started at most, if its worker dies.
        minutes: How long one try may take.
        on_death: Told the call, the number of the try that a worker died with, and what happened.
        on_end: Told a call that ended by itself and its task run, before it is yielded.

    Yields:
        (call, result), or (call, exception) for a call that failed; in the order of finishing.

    Raises:
        EngineLostError: If the scheduler is gone, or has had no worker for `ALONE_SECONDS`.
        UserError: If a worker has other code or libraries.
    """
    waiting: deque[tuple[Call, list[str]]] = deque((call, []) for call in calls)
    running: dict[Any, Try] = {}
    last_seen = time.monotonic()
    with _told_of_loss(address), _cluster(workers, gpus, address) as runner, _cancelling_on_error(running):
        while waiting or running:
            ready = _ready(runner.client)
            last_seen = time.monotonic() if ready else last_seen
            if time.monotonic() - last_seen > ALONE_SECONDS:
                raise EngineLostError(f"Dask has had no worker for {ALONE_SECONDS} seconds.")
            for worker in sorted(ready - {each.worker for each in running.values()})[: len(waiting)]:
                call, lost = waiting.popleft()
                running[_submit(runner, task, call, worker, after)] = Try(call, worker, lost)
            for future in _finished(runner.client, running):
                outcome = _result(future)
                call = running.pop(future).call
                on_end(call, future.task_run_id)
                yield call, outcome
            for future, reason in _died(runner.client, running, minutes):
                ended = running.pop(future)
                future.wrapped_future.cancel()
                mark_crashed({future.task_run_id: reason})
                lost = [*ended.lost, reason]
                on_death(ended.call, len(lost), reason)
                if len(lost) < tries:
                    waiting.append((ended.call, lost))
                else:
                    yield ended.call, TrainingLostError(in_words(lost))


@contextmanager
def _cluster(workers: int, gpus: Sequence[str], address: str | None) -> Iterator[DaskTaskRunner]:
    """Open a cluster of processes, or a connection to the scheduler that runs; every worker of it is made ready."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    dask_config.set(CONFIG)
    own = {"n_workers": workers, "threads_per_worker": 1, "memory_limit": 0, "dashboard_address": "127.0.0.1:0"}
    where: dict[str, Any] = {"address": address} if address else {"cluster_kwargs": own}
    with DaskTaskRunner(**where, client_kwargs={"timeout": ANSWER_SECONDS}) as runner:
        mine: dict[str, Any] = {} if address else {"parent": os.getpid(), "gpus": gpus}
        preparation = Preparation(made_by(), load=load_tensorflow, **mine)
        runner.client.register_plugin(preparation)
        try:
            yield runner
        finally:
            with suppress(Exception):  # the scheduler may be gone
                runner.client.unregister_worker_plugin(preparation.name)


def _ready(client: Client) -> set[str]:
    """Return the addresses of the workers that are there and prepared."""
    workers = client.scheduler_info()["workers"]
    return {address for address, worker in workers.items() if worker["resources"].get(TRAINING)}


def _submit(
    runner: DaskTaskRunner, task: Task[..., Any], call: Call, worker: str, after: Sequence[PrefectFuture[Any]]
) -> Any:
    """Start a call on one worker and no other; Dask would move it to a busy one, and blame it for that one's end."""
    before: Any = {"data": {TaskRunResult(id=future.task_run_id) for future in after}}
    with annotate(workers=[worker], allow_other_workers=False, resources={TRAINING: 1}):
        return runner.submit(task, call, dependencies=before)


def _finished(client: Client, running: dict[Any, Try], seconds: float = 1) -> list[Any]:
    """Return the futures that are done, after `seconds` at the latest."""
    if not running:
        time.sleep(seconds)
    with client.as_current(), suppress(TimeoutError):
        wait([future.wrapped_future for future in running], timeout=seconds, return_when="FIRST_COMPLETED")
    return [future for future in running if future.wrapped_future.done()]


def _result(future: Any) -> Any:
    outcome = outcome_of(future)
    if isinstance(outcome, CancelledError):  # by the loss of the scheduler: nobody else cancels
        raise outcome
    return outcome


def _died(client: Client, running: dict[Any, Try], minutes: float) -> list[tuple[Any, str]]:
    """Return the futures whose worker is gone, with the reason; end the workers of those that take too long."""
    late = f"it ran longer than {minutes:g} minutes (--trial-timeout-minutes)"
    for attempt in running.values():
        if time.monotonic() - attempt.started > 60 * minutes and not attempt.overdue:
            attempt.overdue = True
            client.restart_workers([attempt.worker], timeout=ANSWER_SECONDS, raise_for_error=False)
    there = set(client.scheduler_info()["workers"])
    lost = [(future, attempt) for future, attempt in running.items() if attempt.worker not in there]
    return [(future, late if attempt.overdue else DIED) for future, attempt in lost]


@contextmanager
def _told_of_loss(address: str | None) -> Iterator[None]:
    """Say in one sentence that the scheduler is gone.

    Raises:
        EngineLostError: In place of what Dask raises then.
    """
    try:
        yield
    except (CancelledError, OSError):
        raise EngineLostError(f"The Dask scheduler {address or 'of this run'} no longer answers.") from None


@contextmanager
def _cancelling_on_error(running: dict[Any, Try]) -> Iterator[None]:
    """Take back what has not begun when the caller stops early: nobody waits for it any more."""
    try:
        yield
    except BaseException:
        with suppress(Exception):
            for future in running:
                future.wrapped_future.cancel()
        mark_crashed({future.task_run_id: "the run was ended" for future in running})
        raise
