"""Results on disk: real Parquet files, written whole or not at all, checked whenever they are read.

Every file has a neighbour `<name>.sha256` in the format of `sha256sum`. It is written last, so
a file counts as stored only once it is complete; a file that does not match it is damaged and
is never used. Pages carry checksums too, for readers that know nothing of the neighbour.
"""

import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from tasks.config.errors import DamagedFileError as DamagedFileError
from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.storage import safe_files
from tasks.storage.partial_files import is_abandoned, partial_path, partials
from tasks.storage.s3 import get, in_bucket, put
from tasks.storage.safe_files import LARGEST_CHECKSUM, LARGEST_FILE, TABLE, Limits

# Rows that are written, and later read, at a time: few enough for the memory, many enough to be packed well.
ROW_GROUP = 2**16
# Modes of what is made in a results folder, whatever the mode of that folder and the umask.
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700


class NotWrittenError(UserError, OSError):
    """The disk is full, or the folder may not be written to."""


def write(path: Path, content: bytes | pd.DataFrame | pa.Table) -> str:
    """Write `content` to `path`, whole or not at all, and its checksum beside it.

    Args:
        path: Where to; file and folder are for their owner only. An earlier file is replaced.
        content: Bytes as they are; a frame (with its `attrs`) or table as Parquet.

    Returns:
        The sha256 of the file, in hexadecimal.

    Raises:
        NotWrittenError: If the disk is full or the folder not writable; an earlier file stays as it was.
    """
    data = content if isinstance(content, bytes) else parquet(content)
    digest = hashlib.sha256(data).hexdigest()
    checksum, line = _checksum_file(path), f"{digest}  {path.name}\n".encode()
    with writing(path):
        if in_bucket(path):  # an object takes its place whole or not at all
            put(path, data)
            put(checksum, line)
            return digest
        make_folder(path.parent)
        # Both are on the disk before the first takes its place: then a full disk spoils nothing.
        with _beside(path, data) as whole, _beside(checksum, line) as said:
            whole.replace(path)
            said.replace(checksum)
    return digest


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell a person what could not be written, and what to do, where the system refuses.

    Raises:
        NotWrittenError: If it does.
    """
    try:
        yield
    except NotWrittenError:  # already told, of the file itself
        raise
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise NotWrittenError(
            f"{path} could not be written: {reason}. Make room, or let the folder be written to; the same command "
            "then goes on from what is finished."
        ) from error


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for the owner only: `mkdir` would open these to all."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True, mode=PRIVATE_FOLDER)


def create(path: Path, mode: int = PRIVATE_FILE) -> BinaryIO:
    """Open a new file for writing.

    Args:
        path: Where to; nothing may be there yet, no link either, which would lead the content elsewhere.
        mode: Permissions, of which the umask is taken away.

    Raises:
        FileExistsError: If something is there.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags | os.O_CLOEXEC, mode), "wb")


@contextmanager
def replacing(path: Path, mode: int = PRIVATE_FILE) -> Iterator[BinaryIO]:
    """Give a file to write to, which takes the place of `path` if all goes well and is removed if not.

    Args:
        path: Where to; a link there is replaced, not followed.
        mode: Permissions, of which the umask is taken away.

    Raises:
        NotWrittenError: If the system refuses to write.
    """
    partial = partial_path(path)
    try:
        with writing(path):
            with create(partial, mode) as file:
                yield file
                _sync(file)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def unfinished(folder: Path) -> Iterator[None]:
    """Make `folder`, for its owner only, and remove it again if it cannot be filled to the end.

    Raises:
        NotWrittenError: If the system refuses to write, or the folder is there already.
    """
    with writing(folder):
        make_folder(folder.parent)
        folder.mkdir(mode=PRIVATE_FOLDER)
    try:
        with writing(folder):
            yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def read_bytes(path: Path, limit: int = LARGEST_FILE) -> bytes | None:
    """Return exactly the bytes that were written, or None where nothing (complete) is stored.

    Args:
        path: The file, with its checksum beside it.
        limit: The most bytes that it may have.

    Raises:
        DamagedFileError: If the file does not match its checksum, is larger, or no regular file.
    """
    try:
        expected, data = checksum(path), get(path, limit)
    except FileNotFoundError:
        return None
    if hashlib.sha256(data).hexdigest() != expected:
        raise DamagedFileError(f"{escape_terminal(path)} does not match its checksum")
    return data


def checksum(path: Path) -> str:
    """Return the sha256 that was written beside a file, without a look at the file itself.

    Raises:
        FileNotFoundError: Where nothing (complete) is stored.
        DamagedFileError: If it cannot be read.
    """
    return get(_checksum_file(path), LARGEST_CHECKSUM).decode(errors="replace").partition(" ")[0]


def read(path: Path, limits: Limits = TABLE) -> pa.Table | None:
    """Return the table that was written, or None where nothing (complete) is stored.

    Args:
        path: The file, with its checksum beside it.
        limits: The most that it may hold.

    Raises:
        DamagedFileError: If the file does not match its checksum, is no Parquet file, or holds more.
    """
    data = read_bytes(path, limits.file)
    return None if data is None else safe_files.parquet_table(data, path, limits)


def metadata(path: Path) -> dict[bytes, bytes] | None:
    """Return the notes in the schema of the table that was written, without its rows; None and errors as in `read`."""
    data = read_bytes(path, TABLE.file)
    return None if data is None else safe_files.parquet_schema(data, path).metadata or {}


def table(path: Path, limits: Limits = TABLE) -> pa.Table:
    """Return the table that was written, which is known to be there; arguments as of `read`.

    Raises:
        FileNotFoundError: Where nothing (complete) is stored.
        DamagedFileError: As of `read`.
    """
    found = read(path, limits)
    if found is None:
        raise FileNotFoundError(f"{escape_terminal(path)} is gone; run again")
    return found


def frame(path: Path, limits: Limits = TABLE) -> pd.DataFrame:
    """Return the frame that was written, its `attrs` included; arguments and errors as of `table`."""
    return safe_files.as_frame(table(path, limits), path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the right to make `path`; another process that asks for it waits, a dead one holds nothing.

    A bucket knows no such right: two runs at once may make the same there, and the same comes out.
    """
    if in_bucket(path):
        yield
        return
    locks = path.parent / ".locks"
    with writing(locks):
        make_folder(locks)
    with FileLock(locks / f"{path.name}.lock", mode=PRIVATE_FILE):
        yield


def sweep(folder: Path) -> list[Path]:
    """Remove what dead processes left unfinished below `folder`; return those paths.

    Nothing else is touched, whatever its name, and nothing here stops a run: see `is_abandoned`.
    """
    if in_bucket(folder):
        return []
    abandoned = [path for path in partials(folder) if is_abandoned(path)]
    return [path for path in abandoned if _removed(path)]


def parquet(content: pd.DataFrame | pa.Table) -> bytes:
    """Return a frame (with its `attrs`) or table as the bytes of a Parquet file with page checksums."""
    table = content if isinstance(content, pa.Table) else pa.Table.from_pandas(content, preserve_index=False)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True, row_group_size=ROW_GROUP)
    return sink.getvalue()


@contextmanager
def _beside(path: Path, data: bytes) -> Iterator[Path]:
    """Write to a temporary name and sync, for a rename: after a crash there is the old file or the new one."""
    partial = partial_path(path)
    try:
        with create(partial) as file:
            file.write(data)
            _sync(file)
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _checksum_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _removed(path: Path) -> bool:
    """Remove a file, a link or a folder, if the system lets us."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError:
        return False
    return True
