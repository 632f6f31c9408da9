"""The task that loads, checks and splits the data set."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import task
from prefect.logging import get_run_logger

from tasks.config.errors import DamagedFileError
from tasks.config.escape import escape_terminal
from tasks.data.datasets import load_reviews, source_fingerprint
from tasks.data.records import Dataset
from tasks.execution.prefect_api import completed_state
from tasks.storage.cache import cache_key, load_or_compute_table
from tasks.storage.layout import reviews_file, reviews_name

LOADING_LIBRARIES = ("pandas", "pyarrow", "scikit-learn")


@task(name="load", task_run_name="load-reviews")
def load(
    data: str,
    text_column: str,
    label_column: str,
    positive: str | None,
    group: str | None,
    data_folder: Path,
    cache: Path,
) -> Dataset:
    """Load, check and split the reviews, or find them in the cache.

    Args:
        data: Name of a data set, or path of a file; the next four describe the columns of a file.
        text_column: Column of the texts.
        label_column: Column of the labels.
        positive: Label of the positive class; None for the usual labels.
        group: Column whose values must not be split across training and test; None if there is none.
        data_folder: Directory of the official reviews.
        cache: Cache directory.

    Returns:
        The description of the data set, with the name of its file in the cache.
    """
    logger = get_run_logger()
    options: dict[str, Any] = {
        "text_column": text_column,
        "label_column": label_column,
        "group": group,
        "positive": positive,
    }
    source = source_fingerprint(data, data_folder=data_folder)
    path = reviews_file(cache, reviews_name(cache_key([load_reviews], LOADING_LIBRARIES, source=source, **options)))

    def compute() -> tuple[pd.DataFrame, Dataset]:
        loaded = load_reviews(data, data_folder=data_folder, on_progress=_log_tenths(logger.info), **options)
        return loaded.frame, replace(loaded.dataset, file=path.name)

    def check(dataset: Dataset) -> None:
        if dataset.file != path.name:
            raise DamagedFileError(f"{escape_terminal(path)} names other files")

    dataset, cached = load_or_compute_table(path, compute, Dataset, check)
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
