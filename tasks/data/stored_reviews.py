"""Loaded reviews in the cache."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.config.errors import DamagedFileError
from tasks.config.escape import escape_terminal
from tasks.config.file_options import FileOptions
from tasks.data.datasets import check_source, load_reviews, source_fingerprint
from tasks.data.download import Progress
from tasks.data.records import Dataset
from tasks.storage.cache import cache_key, load_or_compute_table
from tasks.storage.layout import reviews_file, reviews_name

LOADING_LIBRARIES = ("pandas", "pyarrow", "scikit-learn")


def load_dataset(
    data: str,
    *,
    data_folder: Path,
    cache: Path,
    on_progress: Progress | None = None,
    **options: Any,
) -> tuple[Dataset, bool]:
    """Load, check and split reviews and store them in the cache, or find them there.

    The cache key covers the content of the source. A second call with the same file only computes its checksum.

    Args:
        data: Name of a data set, or path of a file.
        data_folder: Directory of the official reviews.
        cache: Cache directory.
        on_progress: Called during a download with the bytes downloaded so far and the size.
        options: Fields of `FileOptions`: how to read a file, and the files of other splits.

    Returns:
        The description of the data set, with the name of its file in the cache, and whether it was in the cache.

    Raises:
        UserError: If the reviews cannot be used, with all problems and how to fix them.
    """
    check_source(data, **options)
    source = source_fingerprint(data, data_folder=data_folder, **options)
    key = FileOptions(**options).model_dump(exclude={"test_data", "validation_data"})  # `source` covers these files
    path = reviews_file(cache, reviews_name(cache_key([load_reviews], LOADING_LIBRARIES, source=source, **key)))

    def compute() -> tuple[pd.DataFrame, Dataset]:
        loaded = load_reviews(data, data_folder=data_folder, on_progress=on_progress, **options)
        return loaded.frame, replace(loaded.dataset, file=path.name)

    def check(dataset: Dataset) -> None:
        if dataset.file != path.name:
            raise DamagedFileError(f"{escape_terminal(path)} names other files")

    return load_or_compute_table(path, compute, Dataset, check)
