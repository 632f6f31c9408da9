"""Executors: where the work of tasks runs. A task waits in a thread of the run while its function runs elsewhere."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from prefect import Task
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from tasks.config.parameters import Parameters
from tasks.execution.worker import do_nothing
from tasks.models.gpus import parallel_trials, visible_gpus

Result = TypeVar("Result")
OnEpoch = Callable[[int, dict[str, float]], None]  # number of the epoch from 1, and its scores by name


class Executor(Protocol):
    """Runs functions outside of this process.

    Attributes:
        threads: Number of threads that keep its workers busy.
    """

    threads: int

    def run(self, function: Callable[..., Result], *arguments: Any, on_epoch: OnEpoch | None = None) -> Result:
        """Run a function in a worker, and wait for its result.

        If it runs longer than the time limit of the executor, the worker is killed and replaced.

        Args:
            function: A function of a module.
            arguments: Its arguments.
            on_epoch: Called in this thread for each epoch; the function then receives the keyword `on_epoch`, too.

        Raises:
            WorkerDiedError: If the worker died.
            TrialTimeoutError: If the time limit was exceeded.
            ExecutorLostError: If there is no executor any more.
            TerminationSignal: If the run ends.
            Exception: What the function raised.
        """
        ...

    def warm_up(self, load: Callable[[], object] = do_nothing) -> None:
        """Make idle workers load libraries while this process does something else. They are started if necessary.

        Args:
            load: A function of a module that loads libraries; by default only what a new worker loads.
        """
        ...

    def __enter__(self) -> Self:
        """Return this executor."""
        ...

    def __exit__(self, *error: object) -> None:
        """End the workers at once. Calls of `run` that wait for them raise `TerminationSignal`."""
        ...


@dataclass(frozen=True)
class WorkerPool:
    """The workers of a run, and the threads of this process in which tasks wait for them.

    Attributes:
        executor: Runs functions in the workers.
        task_runner: Has a thread for each worker, so that a task that waits for a worker is not shown as running.
    """

    executor: Executor
    task_runner: ThreadPoolTaskRunner[Any]

    def submit(
        self, task: Task[Any, Result], wait_for: Iterable[PrefectFuture[Any]], **parameters: Any
    ) -> PrefectFuture[Result]:
        """Submit a task that runs a function in a worker: its parameter `executor` is that of the pool."""
        return self.task_runner.submit(task, {**parameters, "executor": self.executor}, wait_for)


@contextmanager
def open_workers(parameters: Parameters, warm_up: bool) -> Iterator[WorkerPool]:
    """Open the workers of a run.

    If the run is interrupted, the workers end first, and with them the tasks that wait for their results.

    Args:
        parameters: Parameters of the run.
        warm_up: Whether to start the workers now; otherwise they start at the first call.
    """
    executor = _create_executor(parameters)
    task_runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=executor.threads)
    with task_runner, executor:
        if warm_up:
            executor.warm_up()
        yield WorkerPool(executor, task_runner)


def _create_executor(parameters: Parameters) -> Executor:
    gpus = [] if parameters.dask_address else visible_gpus()
    workers, timeout_minutes = parallel_trials(parameters.workers, gpus), parameters.trial_timeout_minutes
    if parameters.engine == "processes":
        from tasks.execution.local import LocalExecutor

        return LocalExecutor(workers, gpus, timeout_minutes)
    from tasks.execution.dask import DaskExecutor

    return DaskExecutor(workers, gpus, timeout_minutes, parameters.dask_address)
