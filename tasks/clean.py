"""The task that removes what a nightly run no longer needs."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from prefect import task
from prefect.logging import get_run_logger

from tasks.config.errors import DamagedFileError
from tasks.config.parameters import UNUSED_DAYS
from tasks.execution.flow_runs import delete_flow_runs, find_old_flow_runs
from tasks.nightly.history import read_history
from tasks.nightly.selection import find_reused_trials
from tasks.reporting.formatting import format_bytes
from tasks.storage.retention import plan_removal, remove


@task(name="clean", task_run_name="clean")
def clean(results: Path, keep_runs: int) -> None:
    """Remove old run directories, what is unused in the cache, and old flow runs in Prefect.

    A failure is logged as a warning, because the results of the run are complete without it.

    Args:
        results: The results folder.
        keep_runs: Number of run directories to keep.
    """
    logger = get_run_logger()
    try:
        keep_trials = find_reused_trials(read_history(results), date.today())
        removed = remove(plan_removal(results, keep_runs=keep_runs, older_than=UNUSED_DAYS, keep_trials=keep_trials))
        logger.info("Removed %d old items (%s).", len(removed.items), format_bytes(removed.size()))
    except (OSError, DamagedFileError) as error:
        logger.warning("Old results were not removed: %s", error)
    deleted = delete_flow_runs(find_old_flow_runs(datetime.now(UTC) - timedelta(days=UNUSED_DAYS)))
    logger.info("Deleted %d old flow runs in Prefect.", deleted)
