"""The task that trains one trial in a worker, or returns it from the cache."""

import logging
import re

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from tasks.config.log_filters import EXPECTED_ERRORS
from tasks.execution.executor import Executor, OnEpoch
from tasks.execution.prefect_api import completed_state, ignore_api_errors
from tasks.execution.progress import EpochFinished, TrialFinished, TrialStarted, report_event
from tasks.execution.retries import MAX_ATTEMPTS, lost_its_worker
from tasks.models.baselines import BASELINES
from tasks.storage.trial_records import TrialResult, TrialSpec
from tasks.training.cached_trial import load_or_train


@task(
    name="train", task_run_name="{spec.label}", cache_policy=NO_CACHE,
    retries=MAX_ATTEMPTS - 1, retry_condition_fn=lost_its_worker,
)  # fmt: skip
def train(spec: TrialSpec, cached: TrialResult | None, executor: Executor) -> TrialResult:
    """Return the trial from the cache, or train it in a worker, which stores it there.

    Args:
        spec: The trial.
        cached: Its result, if it is in the cache.
        executor: Runs the training.
    """
    if cached:
        report_event(TrialFinished(spec.label, "cached"))
        return completed_state(cached, cached=True, message=f"{spec.name} is in the cache")
    epochs = 0 if spec.architecture in BASELINES else spec.epochs
    on_epoch = report_epochs(spec.label, epochs) if epochs else None
    report_event(TrialStarted(spec.label, epochs))
    try:
        result = executor.run(load_or_train, spec, on_epoch=on_epoch)
    except BaseException as error:
        report_event(TrialFinished(spec.label, "failed"))
        if isinstance(error, Exception) and not isinstance(error, EXPECTED_ERRORS):
            get_run_logger().error("Where the error was raised:", exc_info=True)  # Prefect logs the message only
        raise
    report_event(TrialFinished(spec.label, "trained" if result.status == "finished" else "diverged"))
    if result.status == "diverged":
        get_run_logger().warning(
            "The loss became NaN or infinite after epoch %d: this seed counts as diverged.", result.epochs
        )
    return completed_state(result, message=f"best epoch {result.best_epoch} of {result.epochs}")


def report_epochs(label: str, epochs: int) -> OnEpoch:
    """Create a progress artifact, and return a callback that reports each epoch and updates the artifact.

    Args:
        label: Label of the trial.
        epochs: Maximum number of epochs.
    """
    key = re.sub("[^a-z0-9]+", "-", f"training-{label}".lower())
    artifact = None
    with ignore_api_errors(level=logging.DEBUG):
        artifact = create_progress_artifact(0.0, key=key, description=f"Epochs of {label}")

    def on_epoch(epoch: int, scores: dict[str, float]) -> None:
        names = ("train_loss", "validation_loss", "validation_accuracy")
        report_event(EpochFinished(label, epoch, epochs, *(scores[name] for name in names)))
        if artifact:
            with ignore_api_errors(level=logging.DEBUG):
                update_progress_artifact(artifact, progress=100 * epoch / epochs)  # type: ignore[arg-type]

    return on_epoch
