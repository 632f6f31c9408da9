"""What follows from other results, kept: made once, then found in the cache under all that it was made of."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Collection
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tasks import store
from tasks.code_version import code_version

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


def kept(path: Path, make: Callable[[], Files], say: Callable[[str], None]) -> Files:
    """Return the files that are kept together at `path`, made now if they are not there or damaged.

    Args:
        path: A zip file in the cache, named by a `key`.
        make: Gives the files by name.
        say: Told of damage.
    """
    with store.locked(path):  # two runs at once make it once
        try:
            found = store.read_bytes(path)
        except store.DamagedFileError as damage:
            say(f"{damage}: made again")
            found = None
        if found is None:
            files = make()
            store.write(path, packed(files))
            return files
        return unpacked(found)


_version = cache(version)  # which searches the disk every time


def packed(files: Files) -> bytes:
    """Put files into a zip file, as they are: what is kept here is compressed already."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # with no time, so that the same is the same bytes
    return buffer.getvalue()


def unpacked(content: bytes) -> Files:
    """Take the files out of a zip file, in memory and in their order."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
