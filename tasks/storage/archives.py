"""Zip archives of the cache."""

import io
import struct
import zipfile
from pathlib import Path

from tasks.config.errors import DamagedFileError
from tasks.config.escape import escape_terminal
from tasks.storage.safe_files import LARGEST_DIRECTORY

Files = dict[str, bytes]


def pack_files(files: Files) -> bytes:
    """Return files as the bytes of a zip archive.

    The files are not compressed: Parquet, PNG and SVG files compress little or are small. The archive contains no
    times, so equal files result in equal bytes.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def unpack_files(content: bytes, path: Path) -> Files:
    """Return the files of a zip archive in their order.

    Compressed and overlapping files are refused, so the files together are not larger than the archive.

    Args:
        content: The archive.
        path: File of the archive, named in messages.

    Raises:
        DamagedFileError: If the archive is not as `pack_files` returns it.
    """
    where = escape_terminal(path)
    if not _has_small_directory(content):
        raise DamagedFileError(f"{where} is not an archive of this project")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise DamagedFileError(f"{where} contains compressed files")
            size = sum(entry.file_size for entry in entries)
            if size > len(content) or len({entry.filename for entry in entries}) < len(entries):
                raise DamagedFileError(f"{where} contains files that overlap")
            return {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, RuntimeError, ValueError, KeyError, EOFError, OSError, struct.error) as error:
        raise DamagedFileError(f"{where} is not an archive of this project") from error


def _has_small_directory(content: bytes) -> bool:
    """Check the end record of an archive before its directory is read: no comment, no ZIP64, a directory within limits.

    Source: PKWARE, APPNOTE.TXT, .ZIP File Format Specification, section 4.3.
    """
    end = content[-22:]  # the length of an end record without a comment
    has_zip64 = content[-42:-38] == b"PK\6\7"
    return end[:4] == b"PK\5\6" and not has_zip64 and int.from_bytes(end[12:16], "little") <= LARGEST_DIRECTORY
