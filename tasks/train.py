"""The task that trains one trial, or finds it in the cache."""

import re
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

from tasks.config.errors import telling_of_memory
from tasks.config.recipe import Recipe
from tasks.data.subsample import training_fraction
from tasks.execution.prefect_api import doing_without_server, outcome
from tasks.models.baselines import BASELINES
from tasks.models.registry import builder
from tasks.storage import store
from tasks.storage.trials import history_file, store_trial, stored_or_said
from tasks.training.probe import sgemm_seconds
from tasks.training.trial import Made, OnEpoch, make_baseline, make_trial


@task(name="train", task_run_name="{trial}")
def train(
    architecture: str, seed: int, recipe: Recipe, data: Path, fraction: float, trial: str, name: str, folder: Path
) -> dict[str, Any]:
    """Train and store the trial `name`, or find it stored; the result is the trial's facts."""
    logger = get_run_logger()
    with store.locked(history_file(folder, name)):
        facts = stored_or_said(folder, name, logger.debug)  # damage was said before, when the run was planned
        if facts:
            return outcome(facts, cached=True, message=f"{name} was trained before")
        on_epoch = None if architecture in BASELINES else _progress(recipe.epochs, trial, logger)
        with telling_of_memory():
            probe = sgemm_seconds()
            history, predictions, weights = _make(architecture, seed, recipe, data, fraction, on_epoch)
            history.attrs["probe_seconds"] = (probe + sgemm_seconds()) / 2
            facts = store_trial(folder, name, history, predictions, weights)
    if facts["status"] == "diverged":
        logger.warning("The loss is no longer a number after epoch %d: this seed counts as diverged.", facts["epochs"])
    return outcome(facts, message=f"best epoch {facts['best_epoch']} of {facts['epochs']}")


def _make(architecture: str, seed: int, recipe: Recipe, data: Path, fraction: float, on_epoch: OnEpoch | None) -> Made:
    table = store.table(data)
    if architecture in BASELINES:
        fitted_on = training_fraction(table, fraction)
        return make_baseline(architecture, fitted_on, recipe, learn=BASELINES[architecture])
    return make_trial(architecture, seed, recipe, table, build=builder(architecture), on_epoch=on_epoch)


def _progress(epochs: int, trial: str, logger: Any) -> OnEpoch:
    """Make a callback that tells the log and a progress artifact of each epoch."""
    key = re.sub("[^a-z0-9]+", "-", f"training-{trial}".lower())
    artifact: Any = None
    with doing_without_server(logger.debug):
        artifact = create_progress_artifact(0.0, key=key, description=f"Epochs of {trial}")

    def on_epoch(epoch: int, scores: dict[str, float]) -> None:
        logger.info(
            "epoch %d of at most %d: training loss %.3f, validation loss %.3f, validation accuracy %.3f",
            *(epoch, epochs, scores["train_loss"], scores["validation_loss"], scores["validation_accuracy"]),
        )
        if artifact:
            with doing_without_server(logger.debug):
                update_progress_artifact(artifact, progress=100 * epoch / epochs)

    return on_epoch
