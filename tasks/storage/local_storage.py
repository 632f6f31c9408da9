"""Results on the local disk."""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from tasks.storage.atomic_files import PRIVATE_FILE, make_private_dir, partial_copy, translate_write_errors
from tasks.storage.interface import Entry
from tasks.storage.layout import latest_link
from tasks.storage.partial_files import NAME, is_abandoned, partial_path, partials
from tasks.storage.safe_files import read_limited


class LocalStorage:
    """Results on the local disk; see `Storage`."""

    def read(self, path: Path, limit: int) -> bytes:
        """Return the content of a regular file."""
        return read_limited(path, limit)

    def write(self, contents: Mapping[Path, bytes]) -> None:
        """Write files for their owner only. All are on the disk before the first one gets its name."""
        with ExitStack() as partial_files:
            copies = {}
            for path, content in contents.items():
                make_private_dir(path.parent)
                copies[path] = partial_files.enter_context(partial_copy(path, content))
            for path, copy in copies.items():
                copy.replace(path)

    @contextmanager
    def lock(self, path: Path, *, wait: bool = True) -> Iterator[bool]:
        """Hold the lock of a file."""
        lock = _lock_file(path)
        with translate_write_errors(lock.parent):
            make_private_dir(lock.parent)
        held = FileLock(lock, mode=PRIVATE_FILE)
        try:
            held.acquire(timeout=-1 if wait else 0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            held.release()

    def entries(self, folder: Path) -> list[Entry]:
        """Return the regular files and directories in a directory that is not a link."""
        if folder.is_symlink():
            return []
        try:
            with os.scandir(folder) as found:
                return sorted(filter(None, map(_entry, found)), key=lambda entry: entry.path.name)
        except OSError:
            return []

    def modified(self, path: Path) -> float:
        """Return the time of the last change of a file."""
        return path.lstat().st_mtime

    def state(self, path: Path) -> tuple[int, int, int] | None:
        """Return inode, size and time of the last change of a file."""
        status = path.lstat()
        return status.st_ino, status.st_size, status.st_mtime_ns

    def mark_used(self, path: Path) -> None:
        """Set the time of the last change to now."""
        with suppress(OSError):
            os.utime(path, follow_symlinks=False)

    def remove(self, path: Path) -> None:
        """Remove a file or directory. A directory is renamed first; if this process dies, `sweep` removes the rest."""
        with suppress(FileNotFoundError):
            if not path.is_dir() or path.is_symlink():
                path.unlink()
                return
            if not NAME.fullmatch(path.name):
                path = path.rename(partial_path(path))
            shutil.rmtree(path)

    def remove_lock(self, path: Path) -> None:
        """Remove the lock of a file. A process that waits for it notices and creates a new one."""
        _lock_file(path).unlink(missing_ok=True)

    def abandoned_partials(self, folder: Path) -> list[Path]:
        """Return the partial files and directories of dead processes."""
        return [path for path in partials(folder) if is_abandoned(path)]

    @contextmanager
    def working_dir(self, results: Path) -> Iterator[Path]:
        """Yield the results directory itself."""
        yield results

    def publish(self, folder: Path, target: Path) -> bool:
        """Rename a directory. Another run may take the name at the same time."""
        if os.path.lexists(target):
            return False
        try:
            folder.rename(target)  # fails if a directory with content exists
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                return False
            raise
        return True

    def set_latest(self, results: Path, target: str) -> None:
        """Replace the symbolic link."""
        latest = latest_link(results)
        link = partial_path(latest)
        try:
            with translate_write_errors(latest):
                link.symlink_to(target)
                link.replace(latest)
        finally:
            link.unlink(missing_ok=True)

    def read_latest(self, results: Path) -> str | None:
        """Return the target of the symbolic link, without following it."""
        latest = latest_link(results)
        if latest.is_symlink():
            return str(latest.readlink())
        if not latest.exists():
            raise FileNotFoundError(latest)
        return None

    @contextmanager
    def local_file(self, path: Path) -> Iterator[Path]:
        """Yield the file itself."""
        yield path

    def uri(self, path: Path) -> str:
        """Return a file URI."""
        return path.absolute().as_uri()


def _lock_file(path: Path) -> Path:
    return path.parent / ".locks" / f"{path.name}.lock"


def _entry(found: os.DirEntry[str]) -> Entry | None:
    """Return a regular file or directory; None for anything else, or if it was removed in the meantime."""
    try:
        is_dir, status = found.is_dir(follow_symlinks=False), found.stat(follow_symlinks=False)
        if not is_dir and not found.is_file(follow_symlinks=False):
            return None
    except OSError:
        return None
    return Entry(Path(found.path), is_dir, 0 if is_dir else status.st_size, status.st_mtime)
