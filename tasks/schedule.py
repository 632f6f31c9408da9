"""Which cells a comparison needs: those in the cache are found, the others trained, the costliest first."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State, StateDetails
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.states import Completed

from tasks import store
from tasks.architectures import ARCHITECTURES, builder
from tasks.baselines import BASELINES
from tasks.cells import Made, OnEpoch, cell_name, history_file, make_baseline, make_cell, store_cell, stored_cell
from tasks.errors import TrainingLostError, UserError, telling_of_memory
from tasks.gpus import trainings_at_a_time, visible_gpus
from tasks.learning_curve import training_fraction
from tasks.preparation import doing_without_server, outcome
from tasks.probe import sgemm_seconds
from tasks.settings import Recipe
from tasks.supervision import supervise

Call = dict[str, Any]
DASK = "prefect-dask>=0.3.7"
# From cheap to costly: on reviews by the ten thousand, the linear baselines take longer than the cheapest network.
BY_COST = ["majority", "simple_rnn", *BASELINES, *ARCHITECTURES]


def plan(
    architectures: Sequence[str], seeds: Sequence[int], recipe: Recipe, encoded: Sequence[dict[str, Any]], folder: Path
) -> list[Call]:
    """List the calls of `train` that a comparison needs: every architecture with every seed, and every baseline once.

    Args:
        architectures: In the order in which they are to be reported.
        seeds: Of each of them.
        recipe: What the networks share.
        encoded: What `encode` gave for each fraction of the training reviews.
        folder: The cache.
    """
    calls = []
    for notes in encoded:
        fraction = notes["train_fraction"]
        whole = fraction == max(each["train_fraction"] for each in encoded)
        networks = (notes["fingerprint"], folder / "encoded" / notes["file"])
        texts = (f"{notes['reviews']} {fraction}", folder / "reviews" / notes["reviews_file"])
        cells = [(a, seed, *networks) for a in architectures for seed in seeds]
        for name, seed, fingerprint, file in [*cells, *((baseline, 0, *texts) for baseline in BASELINES)]:
            called = f"{name}-seed-{seed}" + ("" if whole else f"-fraction-{fraction}")
            made_of = {"architecture": name, "seed": seed, "recipe": recipe, "data": file, "fraction": fraction}
            stored = cell_name(name, seed, recipe, fingerprint)
            calls.append({**made_of, "cell": called, "name": stored, "folder": folder})
    return calls


@task(name="train", task_run_name="{cell}")
def train(
    architecture: str, seed: int, recipe: Recipe, data: Path, fraction: float, cell: str, name: str, folder: Path
) -> dict[str, Any]:
    """Train and store the cell `name`, or find it stored; the result is the cell's facts."""
    logger = get_run_logger()
    with store.locked(history_file(folder, name)):
        facts = _stored_or_said(folder, name, logger.debug)  # damage was said before, when the run was planned
        if facts:
            return outcome(facts, cached=True, message=f"{name} was trained before")
        on_epoch = None if architecture in BASELINES else _progress(recipe.epochs, cell, logger)
        with telling_of_memory():
            probe = sgemm_seconds()
            history, predictions, weights = _make(architecture, seed, recipe, data, fraction, on_epoch)
            history.attrs["probe_seconds"] = (probe + sgemm_seconds()) / 2
            facts = store_cell(folder, name, history, predictions, weights)
    if facts["status"] == "diverged":
        logger.warning("The loss is no longer a number after epoch %d: this seed counts as diverged.", facts["epochs"])
    return outcome(facts, message=f"best epoch {facts['best_epoch']} of {facts['epochs']}")


def _make(architecture: str, seed: int, recipe: Recipe, data: Path, fraction: float, on_epoch: OnEpoch | None) -> Made:
    table = store.table(data)
    if architecture in BASELINES:
        fitted_on = training_fraction(table, fraction)
        return make_baseline(architecture, fitted_on, recipe, learn=BASELINES[architecture])
    return make_cell(architecture, seed, recipe, table, build=builder(architecture), on_epoch=on_epoch)


def _stored_or_said(folder: Path, name: str, say: Callable[[str], None]) -> dict[str, Any] | None:
    try:
        return stored_cell(folder, name)
    except store.DamagedFileError as damage:
        say(f"{damage}: {name} is trained again")
        return None


def _progress(epochs: int, cell: str, logger: Any) -> OnEpoch:
    """Make a callback that tells the log and a progress artifact of each epoch."""
    key = re.sub("[^a-z0-9]+", "-", f"training-{cell}".lower())
    artifact: Any = None
    with doing_without_server(logger.debug):
        artifact = create_progress_artifact(0.0, key=key, description=f"Epochs of {cell}")

    def on_epoch(epoch: int, scores: dict[str, float]) -> None:
        logger.info(
            "epoch %d of at most %d: training loss %.3f, validation loss %.3f, validation accuracy %.3f",
            *(epoch, epochs, scores["train_loss"], scores["validation_loss"], scores["validation_accuracy"]),
        )
        if artifact:
            with doing_without_server(logger.debug):
                update_progress_artifact(artifact, progress=100 * epoch / epochs)

    return on_epoch


def _cost(architecture: str) -> int:
    """Rank an architecture by what its training takes; of the user's own nothing is known, so they start first."""
    return BY_COST.index(architecture) if architecture in BY_COST else len(BY_COST)


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
        from tasks.dask_engine import check_scheduler

        check_scheduler(address)


def trainings(power: Power, calls: list[Call], **how: Any) -> Iterator[tuple[Call, Any]]:
    """Run `train` for each call, in processes or on Dask; see `supervise` of either."""
    gpus = visible_gpus() if calls and not power.dask_address else []
    how |= {"workers": trainings_at_a_time(power.workers, gpus), "gpus": gpus, "minutes": power.minutes}
    if not calls:
        return iter(())
    if power.engine == "processes":
        return supervise(train, calls, **how)
    from tasks import dask_engine

    return dask_engine.supervise(train, calls, address=power.dask_address, **how)


def train_all(
    calls: list[Call],
    *,
    after: Sequence[PrefectFuture[Any]],
    folder: Path,
    power: Power,
) -> tuple[list[dict[str, Any]], dict[str, str], list[State[Any]]]:
    """Train what is not stored yet, in processes, the costliest first; find the rest in the cache.

    Args:
        calls: Of `train`.
        after: What the calls build on, so that Prefect draws it.
        folder: The cache.
        power: What trains; a training that takes longer than its minutes is ended and tried again.

    Returns:
        The facts of each cell that there is now, in the order of `calls`, with its `train_fraction`; the reason for
        each that failed; and what may be waited for in the place of those that ended well, so that Prefect draws it.
    """
    logger = get_run_logger()
    with ThreadPoolExecutor(16) as pool:  # reading from a bucket is waiting
        stored = list(pool.map(lambda call: _stored_or_said(folder, call["name"], logger.warning), calls))
    missing = [call for call, facts in zip(calls, stored, strict=True) if facts is None]
    found = {call["name"]: train.submit(**call, wait_for=after) for call in calls if call not in missing}
    facts = {name: future.result() for name, future in found.items()}
    logger.info("%d of %d cells are in the cache; training %d.", len(calls) - len(missing), len(calls), len(missing))
    # What takes long starts first, so that no core idles at the end.
    missing.sort(key=lambda call: (call["fraction"], _cost(call["architecture"])), reverse=True)
    failures: dict[str, str] = {}
    runs = {name: future.task_run_id for name, future in found.items()}
    started = time.monotonic()

    def say_death(call: Call, attempt: int, reason: str) -> None:
        logger.warning("%s: %s (try %d).", call["cell"], reason, attempt)

    def note_run(call: Call, task_run: UUID) -> None:
        runs[call["name"]] = task_run

    finished = trainings(power, missing, after=after, on_death=say_death, on_end=note_run)
    for count, (call, result) in enumerate(finished, start=1):
        if isinstance(result, Exception):
            known = isinstance(result, TrainingLostError)
            failures[call["cell"]] = str(result) if known else f"{type(result).__name__}: {result}"
        else:
            facts[call["name"]] = result
        # What takes long goes first, so the mean so far is a bound on the rest.
        minutes = (time.monotonic() - started) / count * (len(missing) - count) / 60
        logger.info("%d of %d trainings done, at most about %.0f min left", count, len(missing), minutes)
    there = [call for call in calls if call["name"] in facts]
    cells = [{**facts[call["name"]], "train_fraction": call["fraction"]} for call in there]
    return cells, failures, [done(runs[name]) for name in facts if name in runs]


def done(task_run: UUID) -> State[Any]:
    """Make a state that a task can wait for: the lanes whose futures these were are closed."""
    return Completed(data=True, state_details=StateDetails(task_run_id=task_run))
