"""The task that evaluates all trials."""

from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from tasks.execution.prefect_api import doing_without_server
from tasks.reporting.tabular import table_records
from tasks.statistics.frames import Frames, kept_frames


@task(name="evaluate", task_run_name="evaluate")
def evaluate_trials(trials: list[dict[str, Any]], reviews: str, folder: Path) -> Frames:
    """Score every trial on validation and test, compare the architectures, and put the scores on Prefect's page."""
    frames = kept_frames(trials, reviews, folder, get_run_logger().warning)
    with doing_without_server(get_run_logger().warning, retries=2):
        create_table_artifact(table_records(frames["scores"]), key="scores", description="Every trial's scores")
        create_table_artifact(table_records(frames["trials"]), key="cells", description="Every trial and what it cost")
    return frames
