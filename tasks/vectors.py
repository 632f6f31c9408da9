"""The task that reads the word vectors of a vocabulary."""

from dataclasses import replace
from pathlib import Path

from prefect import task
from prefect.logging import get_run_logger

from tasks.config.escape import escape_terminal
from tasks.data.records import EncodedDataset
from tasks.data.word_vectors import VectorSource, add_vectors, describe_vectors
from tasks.execution.prefect_api import completed_state


@task(name="vectors", task_run_name="read-vectors-{encoded.train_fraction}")
def read_vectors(encoded: EncodedDataset, source: VectorSource, cache: Path) -> EncodedDataset:
    """Read the word vectors of the vocabulary, or find them in the cache.

    Args:
        encoded: Encoded reviews.
        source: File of vectors.
        cache: Cache directory.

    Returns:
        The description of the encoded reviews, with that of the vectors.
    """
    vectors, cached = add_vectors(encoded, source, cache)
    for sentence in describe_vectors(vectors):
        get_run_logger().info("%s", escape_terminal(sentence))
    return completed_state(replace(encoded, vectors=vectors), cached=cached)
