"""Run trials on local processes or on a Dask cluster."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from prefect import Task
from prefect.client.schemas.objects import State, StateDetails
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.states import Completed

from tasks.config.errors import TrainingLostError, UserError
from tasks.execution.local import supervise
from tasks.execution.plan import Call, _cost
from tasks.models.gpus import trainings_at_a_time, visible_gpus
from tasks.storage.trials import stored_or_said

DASK = "prefect-dask>=0.3.7"


class Power(NamedTuple):
    """What trains: `processes` or `dask`, on a scheduler that runs already or not, how many at a time, how long."""

    engine: str
    dask_address: str | None
    workers: int | None
    minutes: float


def check_engine(engine: str, address: str | None) -> None:
    """Make sure, before anything is loaded, that there will be something to train on.

    Raises:
        UserError: If Dask is not installed, or its scheduler does not answer.
    """
    if engine == "processes":
        if address:
            raise UserError(f"dask_address: received {address!r:.120}, but engine is 'processes'. Add --engine dask.")
        return
    if find_spec("prefect_dask") is None:
        raise UserError(f"engine: 'dask' needs a package that is not installed: pip install '{DASK}'")
    if address:
        from tasks.execution.dask import check_scheduler

        check_scheduler(address)


def trainings(task: Task[..., Any], power: Power, calls: list[Call], **how: Any) -> Iterator[tuple[Call, Any]]:
    """Run `task` for each call, in processes or on Dask; see `supervise` of either."""
    gpus = visible_gpus() if calls and not power.dask_address else []
    how |= {"workers": trainings_at_a_time(power.workers, gpus), "gpus": gpus, "minutes": power.minutes}
    if not calls:
        return iter(())
    if power.engine == "processes":
        return supervise(task, calls, **how)
    from tasks.execution import dask

    return dask.supervise(task, calls, address=power.dask_address, **how)


def train_all(
    train: Task[..., Any],
    calls: list[Call],
    *,
    after: Sequence[PrefectFuture[Any]],
    folder: Path,
    power: Power,
) -> tuple[list[dict[str, Any]], dict[str, str], list[State[Any]]]:
    """Train what is not stored yet, in processes, the costliest first; find the rest in the cache.

    Args:
        train: The task.
        calls: Its parameters.
        after: What the calls build on, so that Prefect draws it.
        folder: The cache.
        power: What trains; a training that takes longer than its minutes is ended and tried again.

    Returns:
        The facts of each trial that there is now, in the order of `calls`, with its `train_fraction`; the reason for
        each that failed; and what may be waited for in the place of those that ended well, so that Prefect draws it.
    """
    logger = get_run_logger()
    with ThreadPoolExecutor(16) as pool:  # reading from a bucket is waiting
        stored = list(pool.map(lambda call: stored_or_said(folder, call["name"], logger.warning), calls))
    missing = [call for call, facts in zip(calls, stored, strict=True) if facts is None]
    found = {call["name"]: train.submit(**call, wait_for=after) for call in calls if call not in missing}
    facts = {name: future.result() for name, future in found.items()}
    logger.info("%d of %d trials are in the cache; training %d.", len(calls) - len(missing), len(calls), len(missing))
    # What takes long starts first, so that no core idles at the end.
    missing.sort(key=lambda call: (call["fraction"], _cost(call["architecture"])), reverse=True)
    failures: dict[str, str] = {}
    runs = {name: future.task_run_id for name, future in found.items()}
    started = time.monotonic()

    def say_death(call: Call, attempt: int, reason: str) -> None:
        logger.warning("%s: %s (try %d).", call["trial"], reason, attempt)

    def note_run(call: Call, task_run: UUID) -> None:
        runs[call["name"]] = task_run

    finished = trainings(train, power, missing, after=after, on_death=say_death, on_end=note_run)
    for count, (call, result) in enumerate(finished, start=1):
        if isinstance(result, Exception):
            known = isinstance(result, TrainingLostError)
            failures[call["trial"]] = str(result) if known else f"{type(result).__name__}: {result}"
        else:
            facts[call["name"]] = result
        # What takes long goes first, so the mean so far is a bound on the rest.
        minutes = (time.monotonic() - started) / count * (len(missing) - count) / 60
        logger.info("%d of %d trainings done, at most about %.0f min left", count, len(missing), minutes)
    there = [call for call in calls if call["name"] in facts]
    trials = [{**facts[call["name"]], "train_fraction": call["fraction"]} for call in there]
    return trials, failures, [done(runs[name]) for name in facts if name in runs]


def done(task_run: UUID) -> State[Any]:
    """Make a state that a task can wait for: the lanes whose futures these were are closed."""
    return Completed(data=True, state_details=StateDetails(task_run_id=task_run))
