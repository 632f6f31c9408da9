"""Store files with checksums.

A stored file has a neighbor `<name>.sha256` in the format of `sha256sum`. The checksum is written last, so a file
counts as stored only when it is complete. A file that does not match its checksum is damaged and never used. Tables are
Parquet files; their pages have checksums, too, for readers that ignore the neighbor.
"""

import hashlib
import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.config.errors import DamagedFileError as DamagedFileError
from tasks.config.errors import MissingFileError
from tasks.config.errors import NotWrittenError as NotWrittenError
from tasks.config.escape import escape_terminal
from tasks.storage import safe_parquet
from tasks.storage.atomic_files import translate_write_errors
from tasks.storage.backends import storage_of
from tasks.storage.safe_files import LARGEST_CHECKSUM, LARGEST_FILE
from tasks.storage.safe_parquet import TABLE, Limits

# Rows of a row group, which is the smallest part that can be read: few enough for memory, enough for compression.
ROW_GROUP = 2**16


def write(path: Path, content: bytes | pd.DataFrame | pa.Table) -> str:
    """Write a file and its checksum, completely or not at all.

    Args:
        path: The file, created for its owner only. An earlier file is replaced.
        content: Bytes, or a frame (with its `attrs`) or table, which is written as Parquet.

    Returns:
        The SHA-256 of the file, hexadecimal.

    Raises:
        NotWrittenError: If the disk is full or the directory is not writable. An earlier file stays as it was.
    """
    data = content if isinstance(content, bytes) else parquet(content)
    digest = hashlib.sha256(data).hexdigest()
    checksum_path, line = checksum_file(path), f"{digest}  {path.name}\n".encode()
    with translate_write_errors(path):
        storage_of(path).write({path: data, checksum_path: line})
    return digest


def read_bytes(path: Path, limit: int = LARGEST_FILE) -> bytes | None:
    """Return the content of a stored file, or None if it is not stored (completely).

    Args:
        path: The file.
        limit: Maximum number of bytes.

    Raises:
        DamagedFileError: If the file does not match its checksum, is larger, or is not a regular file.
    """
    try:
        expected, data = checksum(path), storage_of(path).read(path, limit)
    except MissingFileError:
        return None
    if hashlib.sha256(data).hexdigest() != expected:
        raise DamagedFileError(f"{escape_terminal(path)} does not match its checksum")
    return data


def checksum(path: Path) -> str:
    """Return the stored SHA-256 of a file (hexadecimal) without reading the file.

    Raises:
        MissingFileError: If the file is not stored (completely).
        DamagedFileError: If the checksum cannot be read.
    """
    file = checksum_file(path)
    return storage_of(file).read(file, LARGEST_CHECKSUM).decode(errors="replace").partition(" ")[0]


def read(path: Path, limits: Limits = TABLE, columns: Collection[str] | None = None) -> pa.Table | None:
    """Return a stored table, or None if it is not stored (completely).

    Args:
        path: The Parquet file.
        limits: Maximum numbers of bytes and rows.
        columns: Names of the columns to read if they exist; None for all.

    Raises:
        DamagedFileError: If the file does not match its checksum, is not a Parquet file, or is beyond a limit.
    """
    data = read_bytes(path, limits.file)
    return None if data is None else safe_parquet.parquet_table(data, path, limits, columns)


def metadata(path: Path) -> dict[bytes, bytes] | None:
    """Return the schema metadata of a stored table without its rows, or None if it is not stored (completely).

    Raises:
        DamagedFileError: As `read`.
    """
    data = read_bytes(path, TABLE.file)
    return None if data is None else safe_parquet.parquet_schema(data, path).metadata or {}


def table(path: Path, limits: Limits = TABLE, columns: Collection[str] | None = None) -> pa.Table:
    """Return a stored table that must exist.

    Args:
        path: The Parquet file.
        limits: Maximum numbers of bytes and rows.
        columns: Names of the columns to read if they exist; None for all.

    Raises:
        MissingFileError: If it is not stored (completely).
        DamagedFileError: As `read`.
    """
    found = read(path, limits, columns)
    if found is None:
        raise MissingFileError(f"{escape_terminal(path)} does not exist")
    return found


def frame(path: Path, limits: Limits = TABLE) -> pd.DataFrame:
    """Return a stored table that must exist as a frame, with its `attrs`; arguments and errors as `table`."""
    return safe_parquet.as_frame(table(path, limits), path)


def mark_used(path: Path) -> None:
    """Record that a stored file is used, so that it is not removed as an old one; see `tasks.storage.retention`.

    Nothing is recorded in a bucket, and errors are ignored.
    """
    storage_of(path).mark_used(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file. Other processes wait; the lock of a process that dies is released.

    There are no locks in a bucket. Two runs may compute the same file there, with the same result.
    """
    with storage_of(path).lock(path):
        yield


def sweep(folder: Path) -> list[Path]:
    """Remove partial files and directories of dead processes; return their paths.

    Nothing else is removed (see `is_abandoned`), and errors are ignored.

    Args:
        folder: Results directory; nothing is done in a bucket.
    """
    storage = storage_of(folder)
    removed = []
    for path in storage.abandoned_partials(folder):
        with suppress(OSError):
            storage.remove(path)
            removed.append(path)
    return removed


def parquet(content: pd.DataFrame | pa.Table, split_bytes: Collection[str] = ()) -> bytes:
    """Return a frame (with its `attrs`) or table as the bytes of a Parquet file with page checksums.

    Args:
        content: The frame or table.
        split_bytes: Columns of floating-point numbers that hardly repeat. The first bytes of all numbers are stored
            together, then the second bytes, and so on, which compresses better than whole numbers.
    """
    table = content if isinstance(content, pa.Table) else pa.Table.from_pandas(content, preserve_index=False)
    others = [name for name in table.column_names if name not in split_bytes]
    split = {"use_dictionary": others, "column_encoding": dict.fromkeys(split_bytes, "BYTE_STREAM_SPLIT")}
    sink = io.BytesIO()
    pq.write_table(
        table, sink, compression="zstd", write_page_checksum=True, row_group_size=ROW_GROUP,
        **(split if split_bytes else {}),
    )  # fmt: skip
    return sink.getvalue()


def checksum_file(path: Path) -> Path:
    """Return the path of the checksum of a file."""
    return path.with_name(path.name + ".sha256")
