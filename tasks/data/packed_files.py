"""Open files as bytes: plain, compressed, or the only data file of a ZIP archive."""

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.data.limits import raise_too_many_bytes

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
ARCHIVE = ".zip"
COMPRESSED = (*COMPRESSIONS, ARCHIVE)
SHOWN_MEMBERS = 5


def open_bytes(path: Path, limit: float) -> io.BufferedReader:
    """Open a file for reading, decompressed.

    Args:
        path: The file.
        limit: Maximum number of decompressed bytes.

    Raises:
        UserError: If the file is longer than the limit (a compressed one when as many bytes have been read), or is a
            ZIP archive without exactly one data file.
    """
    suffix = path.suffix.lower()
    if suffix not in COMPRESSED and path.stat().st_size > limit:
        raise_too_many_bytes(path, limit)
    stream = _open_member(path) if suffix == ARCHIVE else pa.input_stream(path, compression=COMPRESSIONS.get(suffix))
    return io.BufferedReader(_LimitedBytes(stream, path, limit), 2**16)


def data_name(path: Path) -> str:
    """Return the name of the data in a file: that of the only member of a ZIP archive, or without `.gz` and `.zst`.

    Raises:
        UserError: If a ZIP archive does not have exactly one data file.
    """
    if path.suffix.lower() == ARCHIVE:
        return only_member(path).filename
    return path.stem if path.suffix.lower() in COMPRESSIONS else path.name


def only_member(path: Path) -> zipfile.ZipInfo:
    """Return the only file of a ZIP archive, apart from those that macOS adds.

    Raises:
        UserError: If there is none or several, with their names, or if it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if not each.is_dir() and not _is_hidden(each.filename)]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UserError(f"{escape_terminal(path)} is no readable ZIP archive ({escape_terminal(error)}).") from None
    if len(members) != 1:
        names = ", ".join(escape_terminal(each.filename, 60) for each in members[:SHOWN_MEMBERS])
        more = ", …" if len(members) > SHOWN_MEMBERS else ""
        raise UserError(
            f"{escape_terminal(path)} holds {len(members):,} files, and one is needed: {names}{more}. Unpack it "
            f"(unzip {escape_terminal(path.name)}), and name the file that is meant."
        )
    if members[0].flag_bits & 1:
        raise UserError(f"{escape_terminal(path)} is encrypted. Unpack it: unzip {escape_terminal(path.name)}")
    return members[0]


def _is_hidden(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(".")


def _open_member(path: Path) -> BinaryIO:
    member = only_member(path)
    archive = zipfile.ZipFile(path)
    try:
        return _Member(archive, archive.open(member))
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        archive.close()
        raise UserError(f"{escape_terminal(path)} is no readable ZIP archive ({escape_terminal(error)}).") from None


class _Member(io.BufferedReader):
    """A member of an archive, which is closed with it. A damage becomes an `OSError`, as in the other formats."""

    def __init__(self, archive: zipfile.ZipFile, member: Any) -> None:
        super().__init__(member)
        self.archive = archive

    def readinto(self, buffer: Any) -> int:
        try:
            return super().readinto(buffer)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise OSError(str(error)) from error

    def close(self) -> None:
        super().close()
        self.archive.close()


class _LimitedBytes(io.RawIOBase):
    """The bytes of a stream up to a limit.

    Raises:
        UserError: On reading beyond the limit.
    """

    def __init__(self, stream: Any, path: Path, limit: float) -> None:
        super().__init__()
        self.stream, self.path, self.limit, self.count = stream, path, limit, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self.stream.readinto(buffer)
        self.count += count
        if self.count > self.limit:
            raise_too_many_bytes(self.path, self.limit)
        return count

    def close(self) -> None:
        self.stream.close()
        super().close()
