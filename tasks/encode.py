"""The task that tokenizes the data set and builds the vocabulary."""

from pathlib import Path
from typing import Any

import pyarrow as pa
from prefect import task

from tasks.config.errors import DamagedFileError
from tasks.config.escape import escape_terminal
from tasks.data import tokenization
from tasks.data.records import Dataset, EncodedDataset, EncodedFiles
from tasks.data.subsample import keep_training_fraction
from tasks.execution.prefect_api import completed_state
from tasks.storage import store, table_fingerprint
from tasks.storage.backends import storage_of
from tasks.storage.cache import cache_key, load_or_compute_table
from tasks.storage.layout import encoded_file, encoded_name, reviews_file, vocabulary_file, vocabulary_name
from tasks.storage.safe_parquet import VOCABULARY


@task(name="encode", task_run_name="encode-reviews-{fraction}")
def encode(
    dataset: Dataset, fraction: float, vocabulary_size: int, max_tokens: int, tokenizer: str, cache: Path
) -> EncodedDataset:
    """Encode the reviews with a fraction of the training reviews, or find them in the cache.

    Args:
        dataset: The loaded reviews.
        fraction: Share of the training reviews to keep, above 0 to 1. The vocabulary is built from them.
        vocabulary_size: Number of different token ids, padding and the unknown token included.
        max_tokens: Number of tokens kept of each review, its last ones.
        tokenizer: Name in `tokenization.TOKENIZERS`.
        cache: Cache directory.

    Returns:
        The description of the encoded data set, with the names of its files in the cache.
    """
    options: dict[str, Any] = {"vocabulary_size": vocabulary_size, "max_tokens": max_tokens, "tokenizer": tokenizer}
    code = (tokenization.encode, keep_training_fraction)
    key = cache_key(code, ["pyarrow"], reviews=dataset.fingerprint, fraction=fraction, **options)
    path, vocabulary_path = encoded_file(cache, encoded_name(key)), vocabulary_file(cache, vocabulary_name(key))

    def compute() -> tuple[pa.Table, EncodedFiles]:
        reviews = reviews_file(cache, dataset.file)
        if fraction == 1:  # read in parts, so that any number of reviews fits in memory
            with storage_of(reviews).local_file(reviews) as file:
                table, vocabulary = tokenization.encode(file, **options)
        else:
            kept = keep_training_fraction(store.table(reviews), fraction)
            table, vocabulary = tokenization.encode(kept.to_pandas(), **options)
        store.write(vocabulary_path, vocabulary)
        return table, EncodedFiles(path.name, vocabulary_path.name, table_fingerprint.fingerprint(table))

    def check(files: EncodedFiles) -> None:
        check_encoded_files(files, path, vocabulary_path)

    files, cached = load_or_compute_table(path, compute, EncodedFiles, check)
    encoded = EncodedDataset(files.file, files.vocabulary, files.fingerprint, fraction, dataset)
    return completed_state(encoded, cached=cached)


def check_encoded_files(files: EncodedFiles, path: Path, vocabulary_path: Path) -> None:
    """Check that a record names these files, and that the vocabulary can be read.

    Raises:
        DamagedFileError: If it names other files, or the vocabulary is missing or damaged.
    """
    if (files.file, files.vocabulary) != (path.name, vocabulary_path.name):
        raise DamagedFileError(f"{escape_terminal(path)} names other files")
    if store.read_bytes(vocabulary_path, VOCABULARY.file) is None:  # trained models cannot be used without it
        raise DamagedFileError(f"{escape_terminal(vocabulary_path)} does not exist")
