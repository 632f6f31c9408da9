"""The task that trains one trial, or loads it from the cache."""

import logging
import re
from contextlib import suppress

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

from tasks.config.errors import DamagedFileError, translate_out_of_memory
from tasks.data.subsample import keep_training_fraction
from tasks.evaluation.trial_evaluation import store_evaluation
from tasks.execution.prefect_api import completed_state, ignore_api_errors
from tasks.models.baselines import BASELINES
from tasks.models.registry import builder
from tasks.storage import store
from tasks.storage.layout import history_file
from tasks.storage.trial_records import TrainedTrial, TrialResult, TrialSpec
from tasks.storage.trials import read_trial, store_trial
from tasks.training.loop import OnEpoch
from tasks.training.probe import sgemm_seconds
from tasks.training.trial import train_baseline, train_network


@task(name="train", task_run_name="{spec.label}")
def train(spec: TrialSpec) -> TrialResult:
    """Train a trial and store it in the cache, or load it from there."""
    with store.locked(history_file(spec.folder, spec.name)):
        if cached := _read_cached(spec):
            return completed_state(cached, cached=True, message=f"{spec.name} is in the cache")
        with translate_out_of_memory():
            probe = sgemm_seconds()
            trial = train_trial(spec)
            probe = (probe + sgemm_seconds()) / 2
            result = store_trial(spec.folder, spec.name, trial, spec.train_fraction, probe_seconds=probe)
            store_evaluation(result, spec.folder)
    if result.status == "diverged":
        get_run_logger().warning(
            "The loss became NaN or infinite after epoch %d: this seed counts as diverged.", result.epochs
        )
    return completed_state(result, message=f"best epoch {result.best_epoch} of {result.epochs}")


def _read_cached(spec: TrialSpec) -> TrialResult | None:
    """Return the result in the cache, or None if it is missing or damaged."""
    with suppress(DamagedFileError):  # already logged when the cache was searched
        if result := read_trial(spec.folder, spec.name):
            return result.model_copy(update={"train_fraction": spec.train_fraction})
    return None


def train_trial(spec: TrialSpec) -> TrainedTrial:
    """Train a network or a baseline."""
    data = store.table(spec.data)
    if spec.architecture in BASELINES:
        reviews = keep_training_fraction(data, spec.train_fraction)
        return train_baseline(spec.architecture, reviews, spec.recipe, learn=BASELINES[spec.architecture])
    build, on_epoch = builder(spec.architecture), report_progress(spec.label, spec.recipe.epochs)
    return train_network(spec.architecture, spec.seed, spec.recipe, data, build=build, on_epoch=on_epoch)


def report_progress(label: str, epochs: int) -> OnEpoch:
    """Create a progress artifact, and return a callback that logs each epoch and updates the artifact.

    Args:
        label: Label of the trial.
        epochs: Maximum number of epochs.
    """
    run_logger = get_run_logger()
    key = re.sub("[^a-z0-9]+", "-", f"training-{label}".lower())
    artifact = None
    with ignore_api_errors(level=logging.DEBUG):
        artifact = create_progress_artifact(0.0, key=key, description=f"Epochs of {label}")

    def on_epoch(epoch: int, scores: dict[str, float]) -> None:
        run_logger.info(
            "epoch %d of at most %d: training loss %.3f, validation loss %.3f, validation accuracy %.3f",
            *(epoch, epochs, scores["train_loss"], scores["validation_loss"], scores["validation_accuracy"]),
        )
        if artifact:
            with ignore_api_errors(level=logging.DEBUG):
                update_progress_artifact(artifact, progress=100 * epoch / epochs)  # type: ignore[arg-type]

    return on_epoch
