"""Loaded reviews in the cache."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from tasks.config.errors import DamagedFileError
from tasks.config.escape import escape_terminal
from tasks.data.datasets import load_reviews, source_fingerprint
from tasks.data.download import Progress
from tasks.data.records import Dataset
from tasks.storage.cache import cache_key, load_or_compute_table
from tasks.storage.layout import reviews_file, reviews_name

LOADING_LIBRARIES = ("pandas", "pyarrow", "scikit-learn")


def load_dataset(
    data: str,
    *,
    text_column: str,
    label_column: str,
    positive: str | None,
    group: str | None,
    data_folder: Path,
    cache: Path,
    on_progress: Progress | None = None,
) -> tuple[Dataset, bool]:
    """Load, check and split reviews and store them in the cache, or find them there.

    The cache key covers the content of the source. A second call with the same file only computes its checksum.

    Args:
        data: Name of a data set, or path of a file; the next four describe the columns of a file.
        text_column: Column of the texts.
        label_column: Column of the labels.
        positive: Label of the positive class; None for the usual labels.
        group: Column whose values must not be split across training and test; None if there is none.
        data_folder: Directory of the official reviews.
        cache: Cache directory.
        on_progress: Called during a download with the bytes downloaded so far and the size.

    Returns:
        The description of the data set, with the name of its file in the cache, and whether it was in the cache.

    Raises:
        UserError: If the reviews cannot be used, with all problems and how to fix them.
    """
    options = {"text_column": text_column, "label_column": label_column, "group": group, "positive": positive}
    source = source_fingerprint(data, data_folder=data_folder)
    path = reviews_file(cache, reviews_name(cache_key([load_reviews], LOADING_LIBRARIES, source=source, **options)))

    def compute() -> tuple[pd.DataFrame, Dataset]:
        loaded = load_reviews(
            data, text_column=text_column, label_column=label_column, positive=positive, group=group,
            data_folder=data_folder, on_progress=on_progress,
        )  # fmt: skip
        return loaded.frame, replace(loaded.dataset, file=path.name)

    def check(dataset: Dataset) -> None:
        if dataset.file != path.name:
            raise DamagedFileError(f"{escape_terminal(path)} names other files")

    return load_or_compute_table(path, compute, Dataset, check)
