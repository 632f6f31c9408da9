"""Results on disk: real Parquet files, written whole or not at all, checked whenever they are read.

Every file has a neighbour `<name>.sha256` in the format of `sha256sum`. It is written last, so
a file counts as stored only once it is complete; a file that does not match it is damaged and
is never used. Pages carry checksums too, for readers that know nothing of the neighbour.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock


class DamagedFileError(Exception):
    """A stored file is not what was written."""


def write(path: Path, content: bytes | pd.DataFrame | pa.Table) -> str:
    """Write `content` to `path`, whole or not at all, and its checksum beside it.

    Args:
        path: Where to; the folder is made, readable for its owner only.
        content: Bytes as they are; a frame (with its `attrs`) or table as Parquet.

    Returns:
        The sha256 of the file, in hexadecimal.

    Raises:
        OSError: If the disk is full or the folder not writable; an earlier file stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    data = content if isinstance(content, bytes) else parquet(content)
    digest = hashlib.sha256(data).hexdigest()
    _replace(path, data)
    _replace(_checksum_file(path), f"{digest}  {path.name}\n".encode())
    return digest


def read_bytes(path: Path) -> bytes | None:
    """Return exactly the bytes that were written, or None where nothing (complete) is stored.

    Raises:
        DamagedFileError: If the file does not match its checksum.
    """
    try:
        expected = _checksum_file(path).read_text(errors="replace").split()[:1]
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if [hashlib.sha256(data).hexdigest()] != expected:
        raise DamagedFileError(f"{path} does not match its checksum")
    return data


def read(path: Path) -> pa.Table | None:
    """Return the table that was written, or None where nothing (complete) is stored.

    Raises:
        DamagedFileError: If the file does not match its checksum.
    """
    data = read_bytes(path)
    if data is None:
        return None
    return pq.read_table(pa.BufferReader(data), page_checksum_verification=True)


def table(path: Path) -> pa.Table:
    """Return the table that was written, which is known to be there.

    Raises:
        FileNotFoundError: Where nothing (complete) is stored.
        DamagedFileError: If the file does not match its checksum.
    """
    found = read(path)
    if found is None:
        raise FileNotFoundError(f"{path} is gone; run again")
    return found


def frame(path: Path) -> pd.DataFrame:
    """Return the frame that was written, its `attrs` included; raises as `table` does."""
    return table(path).to_pandas()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the right to make `path`; another process that asks for it waits, a dead one holds nothing."""
    locks = path.parent / ".locks"
    locks.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(locks / f"{path.name}.lock"):
        yield


def sweep(folder: Path) -> list[Path]:
    """Remove what processes that are no longer alive left unfinished below `folder`; return those paths."""
    abandoned = [path for path in folder.rglob(".*.partial") if not _alive(int(path.suffixes[-2][1:]))]
    for path in abandoned:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return abandoned


def parquet(content: pd.DataFrame | pa.Table) -> bytes:
    """Return a frame (with its `attrs`) or table as the bytes of a Parquet file with page checksums."""
    table = content if isinstance(content, pa.Table) else pa.Table.from_pandas(content, preserve_index=False)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue())


def _replace(path: Path, data: bytes) -> None:
    """Write to a temporary name, sync, rename: after a crash there is the old file or the new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _checksum_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
