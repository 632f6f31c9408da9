"""The task that loads, checks and splits the data set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect import task
from prefect.logging import get_run_logger

from tasks.config.escape import escape_terminal
from tasks.data.records import Dataset
from tasks.data.stored_reviews import load_dataset
from tasks.execution.prefect_api import completed_state


@task(name="load", task_run_name="load-reviews")
def load(data: str, options: dict[str, Any], data_folder: Path, cache: Path) -> Dataset:
    """Load, check and split the reviews, or find them in the cache.

    Args:
        data: Name of a data set, or path of a file.
        options: Fields of `FileOptions`: how to read a file, and the files of other splits.
        data_folder: Directory of the official reviews.
        cache: Cache directory.

    Returns:
        The description of the data set, with the name of its file in the cache.
    """
    logger = get_run_logger()
    dataset, cached = load_dataset(
        data, data_folder=data_folder, cache=cache, on_progress=_log_tenths(logger.info), **options
    )
    logger.info("%s, fingerprint %s", escape_terminal(dataset.source), dataset.fingerprint[:16])
    return completed_state(dataset, cached=cached)


def _log_tenths(log: Callable[..., None]) -> Callable[[int, int], None]:
    """Return a progress callback that logs every tenth of a download once."""
    logged = -1

    def on_progress(downloaded: int, size: int) -> None:
        nonlocal logged
        if downloaded * 10 // size > logged:
            logged = downloaded * 10 // size
            log("downloaded %d of %d MB", downloaded / 1e6, size / 1e6)

    return on_progress
