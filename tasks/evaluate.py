"""The task that evaluates the trials of a run."""

from importlib import import_module
from pathlib import Path

from prefect import task
from prefect.artifacts import create_table_artifact

from tasks.execution.prefect_api import ignore_api_errors
from tasks.reporting.tabular import table_records
from tasks.statistics.evaluation_tables import Frames
from tasks.statistics.frames import load_or_compute_frames
from tasks.storage.trial_records import TrialResult

# Libraries that the statistics load when they need them.
LIBRARIES = (
    "scipy.optimize", "scipy.stats", "sklearn.metrics", "statsmodels.stats.contingency_tables",
    "statsmodels.stats.multitest", "statsmodels.stats.proportion",
)  # fmt: skip


def load_libraries() -> None:
    """Load the libraries of the statistics into this process, which takes about a second."""
    for library in LIBRARIES:
        import_module(library)


@task(name="evaluate", task_run_name="evaluate")
def evaluate_trials(trials: list[TrialResult], reviews: str, folder: Path, metric: str) -> Frames:
    """Score all trials, compare the architectures, and create the artifacts with the scores and costs of all trials.

    Args:
        trials: Results of all trials.
        reviews: File name of the reviews in the cache.
        folder: Cache folder.
        metric: Main metric, or the default by the balance of the classes.

    Returns:
        The tables of the evaluation by name.

    Raises:
        UserError: If every network diverged, or if the metric is not defined for the labels.
    """
    frames = load_or_compute_frames(trials, reviews, folder, metric)
    with ignore_api_errors(retries=2):
        create_table_artifact(table_records(frames["scores"]), key="scores", description="Scores of all trials")
        create_table_artifact(table_records(frames["trials"]), key="cells", description="Costs of all trials")
    return frames
