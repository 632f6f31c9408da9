"""The task that tokenizes the data set and builds the vocabulary."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from prefect import task
from prefect.logging import get_run_logger

from tasks.config.escape import escape_terminal
from tasks.data import tokenization
from tasks.data.subsample import training_fraction
from tasks.execution.prefect_api import outcome
from tasks.storage import store, table_fingerprint
from tasks.storage.fingerprint import code_version
from tasks.storage.prepared import TokenNotes, check_notes, key, prepared
from tasks.storage.s3 import in_bucket
from tasks.storage.safe_files import VOCABULARY


@task(name="encode", task_run_name="encode-reviews-{fraction}")
def encode(
    facts: dict[str, Any], fraction: float, vocabulary_size: int, max_tokens: int, tokenizer: str, folder: Path
) -> dict[str, Any]:
    """Encode the reviews, of the training reviews a fraction, and with its words alone.

    The result holds the `file` of the tokens, the `vocabulary` file and the `fingerprint`; and what they were made of:
    `train_fraction`, and the `reviews_file` with its fingerprint `reviews`.
    """
    logger = get_run_logger()
    how: dict[str, Any] = {"vocabulary_size": vocabulary_size, "max_tokens": max_tokens, "tokenizer": tokenizer}
    code = code_version(tokenization.encode, training_fraction)
    made_of = key(reviews=facts["fingerprint"], fraction=fraction, code=code, pyarrow=version("pyarrow"), **how)
    path = folder / "encoded" / f"encoded-{made_of}.parquet"
    words = folder / "encoded" / f"vocabulary-{made_of}.parquet"

    def make() -> tuple[Any, dict[str, Any]]:
        file = folder / "reviews" / facts["file"]
        if fraction == 1 and not in_bucket(file):  # read in parts: a million reviews need not be in memory at once
            table, vocabulary = tokenization.encode(file, **how)
        else:
            table, vocabulary = tokenization.encode(training_fraction(store.table(file), fraction).to_pandas(), **how)
        store.write(words, vocabulary)
        return table, {"fingerprint": table_fingerprint.fingerprint(table), "file": path.name, "vocabulary": words.name}

    def check(notes: dict[str, Any]) -> None:
        check_notes(notes, TokenNotes, path, file=path.name, vocabulary=words.name)
        if store.read_bytes(words, VOCABULARY.file) is None:  # models are of no use without it
            raise store.DamagedFileError(f"{escape_terminal(words)} is gone")

    notes, cached = prepared(path, make, logger.warning, check)
    made_from = {"train_fraction": fraction, "reviews": facts["fingerprint"], "reviews_file": facts["file"]}
    return outcome({**notes, **made_from}, cached=cached)
