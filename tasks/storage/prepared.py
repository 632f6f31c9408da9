"""Tables that are computed once and then read from the cache."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.config.escape import escape_terminal
from tasks.storage import store
from tasks.storage.safe_files import reasons


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
