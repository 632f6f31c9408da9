"""Cache of derived results, stored under keys that are computed from their inputs."""

import hashlib
import json
import logging
from collections.abc import Callable, Collection
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from tasks.config.errors import DamagedFileError
from tasks.config.escape import escape_terminal
from tasks.storage import store
from tasks.storage.archives import Files, pack_files, unpack_files
from tasks.storage.fingerprint import code_version
from tasks.storage.safe_files import reasons

RECORD_KEY = b"record"  # in the schema metadata of a table
Result = TypeVar("Result")
Record = TypeVar("Record")

logger = logging.getLogger(__name__)
library_version = cache(version)  # `version` searches the disk at every call


def cache_key(code: Collection[Callable[..., Any]], libraries: Collection[str], **inputs: object) -> str:
    """Return the key of a result: a hash of everything that decides it.

    Args:
        code: Functions that compute the result. All project code that they use is part of the key.
        libraries: Packages whose versions are part of the key.
        inputs: Everything else, as plain data that JSON can represent.

    Returns:
        16 hexadecimal digits.
    """
    versions = {name: library_version(name) for name in libraries}
    parts = {"code": code_version(*code), "libraries": versions, **inputs}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def load_or_compute(path: Path, compute: Callable[[], Files], parse: Callable[[Files], Result]) -> tuple[Result, bool]:
    """Return the result in an archive of the cache, or compute and store it.

    A damaged archive is computed again, with a warning in the log. If several processes ask for a result at the same
    time, one computes it and the others wait.

    Args:
        path: Zip archive, named by a `cache_key`.
        compute: Returns the files of the result by name.
        parse: Returns the result of the files. Raises `DamagedFileError` if they are not as `compute` returns them.

    Returns:
        The result, and whether it was in the cache.
    """

    def load() -> Result | None:
        content = store.read_bytes(path)
        return None if content is None else parse(unpack_files(content, path))

    def compute_and_store() -> Result:
        files = compute()
        result = parse(files)
        store.write(path, pack_files(files))
        return result

    return _load_or_compute(path, load, compute_and_store)


def load_or_compute_table(
    path: Path,
    compute: Callable[[], tuple[pa.Table | pd.DataFrame, Record]],
    record_type: type[Record],
    check: Callable[[Record], object] | None = None,
) -> tuple[Record, bool]:
    """Return the record of a table in the cache, or compute and store the table.

    A table in the cache is not read: only its record in the schema metadata is. Damage and concurrent calls are handled
    as in `load_or_compute`.

    Args:
        path: Parquet file, named by a `cache_key`.
        compute: Returns the table and its record.
        record_type: Type of the record, a frozen pydantic dataclass, which validates the record that is read.
        check: Raises `DamagedFileError` if a record, or a file that it names, is not as `compute` returns it.

    Returns:
        The record, and whether the table was in the cache.
    """

    def load() -> Record | None:
        metadata = store.metadata(path)
        if metadata is None:
            return None
        record = _parse_record(metadata, record_type, path)
        if check:
            check(record)
        return record

    def compute_and_store() -> Record:
        content, record = compute()
        table = content if isinstance(content, pa.Table) else pa.Table.from_pandas(content, preserve_index=False)
        metadata = {**(table.schema.metadata or {}), RECORD_KEY: TypeAdapter(record_type).dump_json(record)}
        store.write(path, table.replace_schema_metadata(metadata))
        return record

    return _load_or_compute(path, load, compute_and_store)


def _load_or_compute(
    path: Path, load: Callable[[], Result | None], compute: Callable[[], Result]
) -> tuple[Result, bool]:
    """Return a result and whether it was in the cache."""
    with store.locked(path):
        try:
            result = load()
        except DamagedFileError as damage:
            logger.warning("%s. Computing it again.", damage)
            result = None
        if result is None:
            return compute(), False
        store.mark_used(path)
        return result, True


def _parse_record(metadata: dict[bytes, bytes], record_type: type[Record], path: Path) -> Record:
    try:
        return TypeAdapter(record_type).validate_json(metadata[RECORD_KEY])
    except ValidationError as error:
        raise DamagedFileError(f"{escape_terminal(path)} is not valid: {reasons(error)}") from None
    except KeyError:
        raise DamagedFileError(f"{escape_terminal(path)} has no record") from None
