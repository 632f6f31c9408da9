"""Reviews loaded and encoded, once: what was prepared from the same source in the same way is found in the cache."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
from prefect import task
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Completed
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks import encoding, store
from tasks.code_version import code_version
from tasks.escape import escape_terminal
from tasks.learning_curve import training_fraction
from tasks.remote import in_bucket
from tasks.reviews import load_reviews, source_fingerprint
from tasks.safe_files import VOCABULARY, reasons


def prepared(
    path: Path,
    make: Callable[[], tuple[Any, dict[str, Any]]],
    say: Callable[[str], None],
    check: Callable[[dict[str, Any]], object] = len,
) -> tuple[dict[str, Any], bool]:
    """Return the notes of the table at `path`, made now if it is not there, and whether it was there.

    Args:
        path: A Parquet file in the cache, named by all that it is made of.
        make: Gives the frame or table, and notes on it (plain data that JSON can hold).
        say: Told of damage.
        check: Raises DamagedFileError where notes, or what they name, are not as `make` gives them.
    """
    with store.locked(path):
        try:
            found = store.metadata(path)
            if found is not None:
                noted = _notes(found, path)
                check(noted)
                return noted, True
        except store.DamagedFileError as damage:
            say(f"{damage}: made again")
        content, notes = make()
        table = content if isinstance(content, pa.Table) else pa.Table.from_pandas(content, preserve_index=False)
        metadata = {**(table.schema.metadata or {}), b"notes": json.dumps(notes).encode()}
        store.write(path, table.replace_schema_metadata(metadata))
        return notes, False


def _notes(found: dict[bytes, bytes], path: Path) -> dict[str, Any]:
    try:
        notes = json.loads(found[b"notes"])
    except (KeyError, ValueError, RecursionError) as error:
        raise store.DamagedFileError(f"{escape_terminal(path)} has no notes") from error
    if not isinstance(notes, dict):
        raise store.DamagedFileError(f"{escape_terminal(path)} has no notes")
    return notes


class ReviewNotes(BaseModel):
    """What is noted of loaded reviews, as far as later steps use it."""

    model_config = ConfigDict(strict=True)

    source: str
    rows: dict[str, int]
    caveats: list[str]
    classes: list[str] = Field(min_length=2, max_length=2)
    fingerprint: str = Field(pattern=r"^[0-9a-f]{64}$")
    file: str


class TokenNotes(BaseModel):
    """What is noted of encoded reviews."""

    model_config = ConfigDict(strict=True)

    fingerprint: str = Field(pattern=r"^[0-9a-f]{64}$")
    file: str
    vocabulary: str


def check_notes(notes: dict[str, Any], model: type[BaseModel], path: Path, **files: str) -> None:
    """Check notes, and that they name no other files than these.

    Raises:
        DamagedFileError: Naming `path`.
    """
    try:
        model.model_validate(notes)
    except ValidationError as error:
        raise store.DamagedFileError(f"{escape_terminal(path)} is not valid: {reasons(error)}") from None
    if any(notes[name] != file for name, file in files.items()):
        raise store.DamagedFileError(f"{escape_terminal(path)} names other files")


def key(**made_of: object) -> str:
    """Hash plain data to 16 hexadecimal digits for a file's name."""
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def doing_without_server(say: Callable[..., None], retries: int = 0) -> Iterator[None]:
    """Let a run go on where Prefect's server does not take what is only shown there.

    Args:
        say: Told what went wrong.
        retries: How often a request is repeated. Prefect's own 5 take a minute; at every epoch, that would never end.
    """
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: retries}):
            yield
    except httpx.HTTPError as error:
        say("Prefect's server did not take this: %s", error)


def outcome(data: dict[str, Any], *, cached: bool = False, message: str | None = None) -> Any:
    """Make the state that a task ends in: its result is `data`, and Prefect's page shows what came from the cache."""
    return Completed(name="Cached" if cached else "Completed", message=message, data=data)


@task(name="load", task_run_name="load-reviews")
def load(
    data: str,
    text_column: str,
    label_column: str,
    positive: str | None,
    group: str | None,
    data_folder: Path,
    folder: Path,
) -> dict[str, Any]:
    """Load, check and split the reviews; the result is what is known of them, and the `file` in which they lie."""
    logger = get_run_logger()
    columns: dict[str, Any] = {"text_column": text_column, "label_column": label_column, "group": group}
    how = columns | {"positive": positive}
    made_of = key(
        source=source_fingerprint(data, data_folder=data_folder),
        code=code_version(load_reviews),
        libraries=[version(name) for name in ("pandas", "pyarrow", "scikit-learn")],
        **how,
    )
    path = folder / "reviews" / f"reviews-{made_of}.parquet"

    def make() -> tuple[Any, dict[str, Any]]:
        reviews = load_reviews(data, data_folder=data_folder, on_progress=_tenths(logger.info), **how)
        return reviews, {**{str(name): fact for name, fact in reviews.attrs.items()}, "file": path.name}

    facts, cached = prepared(
        path, make, logger.warning, lambda notes: check_notes(notes, ReviewNotes, path, file=path.name)
    )
    logger.info("%s, fingerprint %s", escape_terminal(facts["source"]), facts["fingerprint"][:16])
    return outcome(facts, cached=cached)


def _tenths(say: Callable[..., None]) -> Callable[[int, int], None]:
    """Make a callback for a download that speaks at every tenth of it."""
    said = -1

    def on_progress(there: int, size: int) -> None:
        nonlocal said
        if there * 10 // size > said:
            said = there * 10 // size
            say("downloaded %d of %d MB", there / 1e6, size / 1e6)

    return on_progress


@task(name="encode", task_run_name="encode-reviews-{fraction}")
def encode(
    facts: dict[str, Any], fraction: float, vocabulary_size: int, max_tokens: int, tokeniser: str, folder: Path
) -> dict[str, Any]:
    """Encode the reviews, of the training reviews a fraction, and with its words alone.

    The result holds the `file` of the tokens, the `vocabulary` file and the `fingerprint`; and what they were made of:
    `train_fraction`, and the `reviews_file` with its fingerprint `reviews`.
    """
    logger = get_run_logger()
    how: dict[str, Any] = {"vocabulary_size": vocabulary_size, "max_tokens": max_tokens, "tokeniser": tokeniser}
    code = code_version(encoding.encode, training_fraction)
    made_of = key(reviews=facts["fingerprint"], fraction=fraction, code=code, pyarrow=version("pyarrow"), **how)
    path = folder / "encoded" / f"encoded-{made_of}.parquet"
    words = folder / "encoded" / f"vocabulary-{made_of}.parquet"

    def make() -> tuple[Any, dict[str, Any]]:
        file = folder / "reviews" / facts["file"]
        if fraction == 1 and not in_bucket(file):  # read in parts: a million reviews need not be in memory at once
            table, vocabulary = encoding.encode(file, **how)
        else:
            table, vocabulary = encoding.encode(training_fraction(store.table(file), fraction).to_pandas(), **how)
        store.write(words, vocabulary)
        return table, {"fingerprint": encoding.fingerprint(table), "file": path.name, "vocabulary": words.name}

    def check(notes: dict[str, Any]) -> None:
        check_notes(notes, TokenNotes, path, file=path.name, vocabulary=words.name)
        if store.read_bytes(words, VOCABULARY.file) is None:  # models are of no use without it
            raise store.DamagedFileError(f"{escape_terminal(words)} is gone")

    notes, cached = prepared(path, make, logger.warning, check)
    made_from = {"train_fraction": fraction, "reviews": facts["fingerprint"], "reviews_file": facts["file"]}
    return outcome({**notes, **made_from}, cached=cached)
