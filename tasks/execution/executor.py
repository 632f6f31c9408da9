"""Execution of all trials of a comparison, on local processes or on a Dask cluster."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from uuid import UUID

from prefect import Task
from prefect.client.schemas.objects import State, StateDetails
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.states import Completed

from tasks.config.errors import TrialAbortedError, UserError
from tasks.execution import local
from tasks.execution.attempts import TrialOutcome
from tasks.execution.plan import training_time_rank
from tasks.models.gpus import parallel_trials, visible_gpus
from tasks.storage.trial_records import TrialResult, TrialSpec
from tasks.storage.trials import find_trial

DASK_PACKAGE = "prefect-dask>=0.3.7"
READ_THREADS = 16  # reading from a bucket is mostly waiting


@dataclass(frozen=True)
class ExecutionConfig:
    """Where and how trials run.

    Attributes:
        engine: "processes" or "dask".
        dask_address: Address of a running Dask scheduler; None for a cluster of the run's own.
        workers: Number of trials at a time; None for the default.
        trial_timeout_minutes: Time limit of one attempt at a trial.
    """

    engine: str
    dask_address: str | None
    workers: int | None
    trial_timeout_minutes: float


@dataclass(frozen=True)
class TrainingOutcome:
    """Outcome of all trials of a comparison.

    Attributes:
        results: Result of each trial that succeeded, in the order of the plan.
        failures: Reason by label of each trial that failed.
        states: States that a later task can wait for, so that Prefect's run graph shows the dependency.
    """

    results: list[TrialResult]
    failures: dict[str, str]
    states: list[State[Any]]


def check_engine(engine: str, address: str | None) -> None:
    """Check that the engine is available, before any data is loaded.

    Raises:
        UserError: If Dask is not installed, its scheduler does not answer, or an address is given without Dask.
    """
    if engine == "processes":
        if address:
            raise UserError(f"dask_address: received {address!r:.120}, but engine is 'processes'. Add --engine dask.")
        return
    if find_spec("prefect_dask") is None:
        raise UserError(f"engine: 'dask' needs a package that is not installed: pip install '{DASK_PACKAGE}'")
    if address:
        from tasks.execution.dask import check_scheduler

        check_scheduler(address)


def train_all(
    train: Task[[TrialSpec], TrialResult],
    specs: Sequence[TrialSpec],
    *,
    wait_for: Sequence[PrefectFuture[Any]],
    config: ExecutionConfig,
) -> TrainingOutcome:
    """Load the trials that are in the cache, and train the others, those with the longest training first.

    Args:
        train: The task that trains a trial or loads it from the cache.
        specs: The trials.
        wait_for: Futures that the trials depend on, for Prefect's run graph.
        config: Where and how trials run.
    """
    cached = _cached_names(specs)
    futures = {
        spec.name: train.submit(spec, wait_for=wait_for, return_state=False) for spec in specs if spec.name in cached
    }
    results = {name: future.result() for name, future in futures.items()}
    task_runs = {name: future.task_run_id for name, future in futures.items()}
    missing = [spec for spec in specs if spec.name not in cached]
    get_run_logger().info(
        "%d of %d trials are in the cache; training %d.", len(specs) - len(missing), len(specs), len(missing)
    )
    # Long trainings start first, so that no core is idle at the end.
    missing.sort(key=lambda spec: (spec.train_fraction, training_time_rank(spec.architecture)), reverse=True)
    failures: dict[str, str] = {}
    for outcome in _with_progress(run_trials(train, missing, config, wait_for), len(missing)):
        name = outcome.spec.name
        if outcome.result is None:
            failures[outcome.spec.label] = _reason(outcome.error)
            continue
        results[name] = outcome.result
        if outcome.task_run_id:
            task_runs[name] = outcome.task_run_id
    # Two fractions with the same reviews share one trial.
    found = [
        results[spec.name].model_copy(update={"train_fraction": spec.train_fraction})
        for spec in specs if spec.name in results
    ]  # fmt: skip
    return TrainingOutcome(found, failures, [_finished_state(task_runs[name]) for name in results if name in task_runs])


def _cached_names(specs: Sequence[TrialSpec]) -> set[str]:
    """Return the names of the trials that are in the cache and not damaged."""
    with ThreadPoolExecutor(READ_THREADS) as pool:
        # In a copy of the context, so that warnings appear in the log of the flow run.
        futures = [pool.submit(copy_context().run, find_trial, spec.folder, spec.name) for spec in specs]
        return {spec.name for spec, future in zip(specs, futures, strict=True) if future.result() is not None}


def run_trials(
    train: Task[[TrialSpec], TrialResult],
    specs: Sequence[TrialSpec],
    config: ExecutionConfig,
    wait_for: Sequence[PrefectFuture[Any]],
) -> Iterator[TrialOutcome]:
    """Run `train` for each of `specs` with the configured engine; see `local.run_trials`."""
    if not specs:
        return iter(())
    gpus = [] if config.dask_address else visible_gpus()
    workers, timeout = parallel_trials(config.workers, gpus), config.trial_timeout_minutes
    if config.engine == "processes":
        return local.run_trials(train, specs, workers=workers, gpus=gpus, wait_for=wait_for, timeout_minutes=timeout)
    from tasks.execution import dask

    return dask.run_trials(
        train, specs, address=config.dask_address, workers=workers, gpus=gpus, wait_for=wait_for,
        timeout_minutes=timeout,
    )  # fmt: skip


def _with_progress(outcomes: Iterator[TrialOutcome], total: int) -> Iterator[TrialOutcome]:
    """Log the number of finished trainings and an upper bound of the remaining time after each outcome."""
    started = time.monotonic()
    for count, outcome in enumerate(outcomes, start=1):
        yield outcome
        # Long trainings start first, so the mean duration so far is an upper bound for the others.
        minutes = (time.monotonic() - started) / count * (total - count) / 60
        get_run_logger().info("%d of %d trainings done, at most about %.0f min left", count, total, minutes)


def _reason(error: Exception | None) -> str:
    """Format why a trial failed."""
    return str(error) if isinstance(error, TrialAbortedError) else f"{type(error).__name__}: {error}"


def _finished_state(task_run: UUID) -> State[Any]:
    """Return a state of a task run that a task can wait for; the pool of its future is already closed."""
    return Completed(data=True, state_details=StateDetails(task_run_id=task_run))
