"""The storage of a path: the local disk or an object store."""

from pathlib import Path

from tasks.storage.interface import Storage
from tasks.storage.local_storage import LocalStorage
from tasks.storage.object_storage import ObjectStorage

LOCAL, OBJECTS = LocalStorage(), ObjectStorage()


def storage_of(path: Path) -> Storage:
    """Return the storage that a path belongs to. Paths of an object store are not instances of `Path`."""
    return LOCAL if isinstance(path, Path) else OBJECTS
