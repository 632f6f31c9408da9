"""A cell: one architecture trained with one seed on one data set with one recipe, made once and kept.

Its three files lie under `cells/` in the cache: the history of its epochs (Parquet, with the facts of
the cell in its attributes), its predictions (Parquet) and its weights (safetensors). Their name holds
the cell's key, which covers everything that the cell is made of; what has the key is never made twice.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger

from tasks import store
from tasks.architectures import ARCHITECTURES
from tasks.code_version import code_version
from tasks.preparation import outcome
from tasks.settings import Recipe
from tasks.supervision import supervise
from tasks.training import Split, fit, predict

PREDICTED_SPLITS = ("validation", "test")
LIBRARIES = ("tensorflow", "keras", "numpy")

Call = dict[str, Any]
OnEpoch = Callable[[int, dict[str, float]], None]


def cell_name(architecture: str, seed: int, recipe: Recipe, fingerprint: str) -> str:
    """Name a cell by all that it is made of: `lstm-seed-0-<16 hexadecimal digits>`.

    Args:
        architecture: A name in `ARCHITECTURES`.
        seed: The seed of its weights, order and dropout.
        recipe: What every cell of a comparison shares.
        fingerprint: Of the encoded reviews.
    """
    made_of = {
        "recipe": recipe.model_dump(),
        "data": fingerprint,
        "seed": seed,
        "code": code_version(ARCHITECTURES[architecture], make_cell, fit, predict),
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    return f"{architecture}-seed-{seed}-{key[:16]}"


def stored_cell(folder: Path, name: str) -> dict[str, Any] | None:
    """Return the facts of a cell that is stored whole, or None.

    Raises:
        DamagedFileError: If one of its files is not what was written.
    """
    history = store.read(history_file(folder, name))
    predictions = store.read_bytes(predictions_file(folder, name))
    weights = store.read_bytes(weights_file(folder, name))
    if history is None or predictions is None or weights is None:
        return None
    facts = _facts(history.to_pandas())
    if hashlib.sha256(weights).hexdigest() != facts["weights_sha256"]:
        raise store.DamagedFileError(f"{weights_file(folder, name)} is not of this cell")
    return facts


def make_cell(
    architecture: str,
    seed: int,
    recipe: Recipe,
    encoded: pa.Table,
    *,
    build: Callable[[Recipe], Any],
    on_epoch: OnEpoch | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Train a cell and let it predict; the test reviews are read only after its training has ended.

    Returns:
        The frames history and predictions (none if it diverged), and the weights by name; the facts of
        the cell are the history's `attrs`.
    """
    splits = {name: encoded.filter(pc.equal(encoded["split"], name)) for name in ("train", *PREDICTED_SPLITS)}
    train, validation = (Split.from_table(splits[name]) for name in ("train", "validation"))
    model, history, facts = fit(build, recipe, train, validation, seed, on_epoch)
    history.insert(0, "architecture", architecture)
    history.insert(1, "seed", seed)
    predicted = [
        splits[name]
        .select(["review_id", "split", "label"])
        .append_column(
            "probability", pa.array(predict(model, Split.from_table(splits[name]), max_tokens=recipe.max_tokens))
        )
        .to_pandas()
        for name in (PREDICTED_SPLITS if facts["status"] == "finished" else ())
    ]
    columns = ["review_id", "split", "label", "probability"]
    predictions = pd.concat(predicted, ignore_index=True) if predicted else pd.DataFrame(columns=columns)
    predictions.insert(0, "architecture", architecture)
    predictions.insert(1, "seed", seed)
    history.attrs.update(architecture=architecture, seed=seed, peak_memory_mb=peak_memory_mb(), **facts)
    return history, predictions, {weight.path: weight.numpy() for weight in model.weights}


def store_cell(
    folder: Path, name: str, history: pd.DataFrame, predictions: pd.DataFrame, weights: dict[str, Any]
) -> dict[str, Any]:
    """Write the files of a cell, its facts last, and return these."""
    from safetensors.numpy import save

    file = weights_file(folder, name)
    sha256 = store.write(file, save(weights))
    store.write(predictions_file(folder, name), predictions)
    history.attrs.update(weights=file.name, weights_sha256=sha256)
    store.write(history_file(folder, name), history)
    return _facts(history)


def _facts(history: pd.DataFrame) -> dict[str, Any]:
    return {str(name): fact for name, fact in history.attrs.items()}


def history_file(folder: Path, name: str) -> Path:
    """Say where the history of a cell lies."""
    return folder / "cells" / f"{name}.parquet"


def predictions_file(folder: Path, name: str) -> Path:
    """Say where the predictions of a cell lie."""
    return folder / "cells" / f"{name}.predictions.parquet"


def weights_file(folder: Path, name: str) -> Path:
    """Say where the weights of a cell lie."""
    return folder / "cells" / f"{name}.safetensors"


def peak_memory_mb() -> float:
    """Return the most memory that this process has held so far, in MB."""
    import resource
    import sys

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


@task(name="train", task_run_name="{architecture}-seed-{seed}")
def train(architecture: str, seed: int, recipe: Recipe, encoded: Path, name: str, folder: Path) -> dict[str, Any]:
    """Train and store the cell `name`, or find it stored; the result is the cell's facts."""
    logger = get_run_logger()
    with store.locked(history_file(folder, name)):
        facts = _stored_or_said(folder, name, logger.debug)  # damage was said before, when the run was planned
        if facts:
            return outcome(facts, cached=True, message=f"{name} was trained before")
        table = store.read(encoded)
        if table is None:
            raise FileNotFoundError(f"the encoded reviews {encoded} are gone; run again")
        on_epoch = _progress(recipe.epochs, f"{architecture}-seed-{seed}", logger.info)
        facts = store_cell(
            folder,
            name,
            *make_cell(architecture, seed, recipe, table, build=ARCHITECTURES[architecture], on_epoch=on_epoch),
        )
    if facts["status"] == "diverged":
        logger.warning("The loss is no longer a number after epoch %d: this seed counts as diverged.", facts["epochs"])
    return outcome(facts, message=f"best epoch {facts['best_epoch']} of {facts['epochs']}")


def _stored_or_said(folder: Path, name: str, say: Callable[[str], None]) -> dict[str, Any] | None:
    try:
        return stored_cell(folder, name)
    except store.DamagedFileError as damage:
        say(f"{damage}: {name} is trained again")
        return None


def _progress(epochs: int, cell: str, say: Callable[..., None]) -> OnEpoch:
    """Make a callback that tells the log and a progress artifact of each epoch."""
    artifact: Any = create_progress_artifact(
        0.0, key=f"training-{cell}".replace("_", "-"), description=f"Epochs of {cell}"
    )

    def on_epoch(epoch: int, scores: dict[str, float]) -> None:
        say(
            "epoch %d of at most %d: training loss %.3f, validation loss %.3f, validation accuracy %.3f",
            *(epoch, epochs, scores["train_loss"], scores["validation_loss"], scores["validation_accuracy"]),
        )
        update_progress_artifact(artifact, progress=100 * epoch / epochs)

    return on_epoch


def plan(architectures: Sequence[str], seeds: int, recipe: Recipe, encoded: dict[str, Any], folder: Path) -> list[Call]:
    """List the calls of `train` that a comparison needs, the architectures in the order that is asked for."""
    fingerprint, file = encoded["fingerprint"], folder / "encoded" / encoded["file"]
    shared = {"recipe": recipe, "encoded": file, "folder": folder}
    return [
        {"architecture": a, "seed": seed, "name": cell_name(a, seed, recipe, fingerprint), **shared}
        for a in architectures
        for seed in range(seeds)
    ]


def train_all(
    calls: list[Call], *, after: PrefectFuture[Any], folder: Path, workers: int
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Train what is not stored yet, in processes, the costliest architectures first; find the rest in the cache.

    Returns:
        The facts of each cell that there is now, in the order of `calls`; and the reason for each that failed.
    """
    logger = get_run_logger()
    # ARCHITECTURES goes from cheap to costly: what takes long starts first, and no core idles at the end.
    missing = [call for call in reversed(calls) if _stored_or_said(folder, call["name"], logger.warning) is None]
    found = {call["name"]: train.submit(**call, wait_for=[after]) for call in calls if call not in missing}
    facts = {name: future.result() for name, future in found.items()}
    logger.info("%d of %d cells are in the cache; training %d.", len(facts), len(calls), len(missing))
    failures: dict[str, str] = {}
    started = time.monotonic()

    def say_death(call: dict[str, Any], attempt: int) -> None:
        logger.warning("The process of %s died (try %d).", call["name"], attempt)

    finished = supervise(train, missing, workers=workers, after=[after], on_death=say_death)
    for count, (call, result) in enumerate(finished, start=1):
        if isinstance(result, Exception):
            failures[f"{call['architecture']}-seed-{call['seed']}"] = f"{type(result).__name__}: {result}"
        else:
            facts[call["name"]] = result
        # What takes long goes first, so the mean so far is a bound on the rest.
        minutes = (time.monotonic() - started) / count * (len(missing) - count) / 60
        logger.info("%d of %d trainings done, at most about %.0f min left", count, len(missing), minutes)
    return [facts[call["name"]] for call in calls if call["name"] in facts], failures
