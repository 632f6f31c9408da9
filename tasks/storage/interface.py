"""Interface of the storages: what the project does with a results directory, wherever it is."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Entry:
    """A file or directory in a directory.

    Attributes:
        path: Its path.
        is_dir: Whether it is a directory.
        size: Size in bytes; 0 for a directory.
        modified: Time of the last change in seconds since 1970; NaN for a directory of an object store.
    """

    path: Path
    is_dir: bool
    size: int
    modified: float


class Storage(Protocol):
    """Operations on a results directory.

    Paths of an object store have the methods of `Path`, but are not instances of it. Code outside of the storages uses
    them only to join names and to print.
    """

    def read(self, path: Path, limit: int) -> bytes:
        """Return the content of a file.

        Args:
            path: The file.
            limit: Maximum number of bytes; no more are read.

        Raises:
            FileNotFoundError: If it does not exist.
            DamagedFileError: If it is larger, cannot be read, or is not a regular file.
            OSError: If an object cannot be downloaded.
        """
        ...

    def write(self, contents: Mapping[Path, bytes]) -> None:
        """Write files of one directory in their order, each completely or not at all.

        Raises:
            OSError: If a file cannot be written.
        """
        ...

    def lock(self, path: Path, *, wait: bool = True) -> AbstractContextManager[bool]:
        """Hold the lock of a file. The lock of a process that dies is released. An object store has no locks.

        Args:
            path: The file.
            wait: Whether to wait while another process holds the lock.

        Returns:
            A context manager whose value is False if another process holds the lock.
        """
        ...

    def entries(self, folder: Path) -> list[Entry]:
        """Return the files and directories in a directory, sorted by name; empty if it does not exist.

        Symbolic links and special files are left out.
        """
        ...

    def modified(self, path: Path) -> float:
        """Return the time of the last change of a file, in seconds since 1970.

        Raises:
            FileNotFoundError: If it does not exist.
        """
        ...

    def state(self, path: Path) -> tuple[int, int, int] | None:
        """Return inode, size in bytes and time of the last change (ns) of a file; None if it is an object.

        Raises:
            FileNotFoundError: If it does not exist.
        """
        ...

    def mark_used(self, path: Path) -> None:
        """Set the time of the last change of a file to now, if the storage can; errors are ignored."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file or directory, if it exists. Of a link only the link is removed.

        A directory disappears first as a whole, or first its run.json, so that no incomplete run is ever found.

        Raises:
            OSError: If it cannot be removed.
        """
        ...

    def remove_lock(self, path: Path) -> None:
        """Remove the lock of a file, while it is held."""
        ...

    def abandoned_partials(self, folder: Path) -> list[Path]:
        """Return the partial files and directories of dead processes in a results directory."""
        ...

    def working_dir(self, results: Path) -> AbstractContextManager[Path]:
        """Yield a local results directory to prepare a run directory in: `results` itself, or a temporary one."""
        ...

    def publish(self, folder: Path, target: Path) -> bool:
        """Move or copy a complete local directory to `target`; return False if there is something of that name."""
        ...

    def set_latest(self, results: Path, target: str) -> None:
        """Let `latest` point to a run, given as `runs/<name>`."""
        ...

    def read_latest(self, results: Path) -> str | None:
        """Return the target of `latest`; None if it is a directory, as in some copies of a results directory.

        Raises:
            FileNotFoundError: If there is no `latest`.
        """
        ...

    def local_file(self, path: Path) -> AbstractContextManager[Path]:
        """Yield a local file with the content of a file: itself, or a temporary copy."""
        ...

    def uri(self, path: Path) -> str:
        """Return the address of a file, for links."""
        ...
