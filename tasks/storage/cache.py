"""What follows from other results, kept: made once, then found in the cache under all that it was made of."""

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Callable, Collection
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tasks.config.escape import escape_terminal
from tasks.storage import store
from tasks.storage.fingerprint import code_version
from tasks.storage.safe_files import LARGEST_DIRECTORY

Files = dict[str, bytes]


def key(code: Collection[Callable[..., Any]], libraries: Collection[str], **made_of: object) -> str:
    """Hash all that decides a result to 16 hexadecimal digits for a file's name.

    Args:
        code: The functions that make it; what they reach in the project counts, too.
        libraries: Packages whose versions count.
        made_of: The rest, plain data that JSON can hold.
    """
    versions = {name: _version(name) for name in libraries}
    everything = {"code": code_version(*code), "libraries": versions, **made_of}
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:16]


def kept(
    path: Path,
    make: Callable[[], Files],
    say: Callable[[str], None],
    check: Callable[[Files], object] = len,
) -> Files:
    """Return the files that are kept together at `path`, made now if they are not there or damaged.

    Args:
        path: A zip file in the cache, named by a `key`.
        make: Gives the files by name.
        say: Told of damage.
        check: Raises DamagedFileError where files are not of the kind that `make` gives; by default any will do.
    """
    with store.locked(path):  # two runs at once make it once
        try:
            found = store.read_bytes(path)
            if found is not None:
                files = unpacked(found, path)
                check(files)
                return files
        except store.DamagedFileError as damage:
            say(f"{damage}: made again")
        files = make()
        check(files)
        store.write(path, packed(files))
        return files


_version = cache(version)  # which searches the disk every time


def packed(files: Files) -> bytes:
    """Put files into a zip file, as they are: what is kept here is compressed already."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # with no time, so that the same is the same bytes
    return buffer.getvalue()


def unpacked(content: bytes, path: Path) -> Files:
    """Take the files out of a zip file, in memory and in their order.

    Files lie in it as they are, never compressed: together they are no larger than the archive.

    Raises:
        DamagedFileError: If it is not as `packed` makes it; `path` is named in the message.
    """
    end = content[-22:]  # the record that ends an archive without a comment
    if (
        end[:4] != b"PK\5\6"
        or content[-42:-38] == b"PK\6\7"
        or int.from_bytes(end[12:16], "little") > LARGEST_DIRECTORY
    ):
        raise store.DamagedFileError(f"{escape_terminal(path)} is no archive of this project")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            there = archive.infolist()
            if any(each.compress_type != zipfile.ZIP_STORED for each in there):
                raise store.DamagedFileError(f"{escape_terminal(path)} holds compressed files")
            if sum(each.file_size for each in there) > len(content) or len({each.filename for each in there}) < len(
                there
            ):
                raise store.DamagedFileError(f"{escape_terminal(path)} holds files that overlap")
            return {each.filename: archive.read(each) for each in there}
    except (zipfile.BadZipFile, RuntimeError, ValueError, KeyError, EOFError, OSError, struct.error) as error:
        raise store.DamagedFileError(f"{escape_terminal(path)} is no archive of this project") from error
