"""Write files and directories completely or not at all, readable by their owner only."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tasks.config.errors import NotWrittenError
from tasks.storage.partial_files import partial_path

# Permissions in a results directory, whatever those of that directory and the umask.
PRIVATE_FILE, PRIVATE_DIR = 0o600, 0o700


@contextmanager
def translate_write_errors(path: Path) -> Iterator[None]:
    """Raise one error that says what could not be written and how to continue, instead of the system's error.

    Raises:
        NotWrittenError: If the system refuses to write.
    """
    try:
        yield
    except NotWrittenError:  # names the file itself
        raise
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise NotWrittenError(
            f"{path} could not be written: {reason}. Make room, or make the folder writable. The same command then "
            "continues with what is missing."
        ) from error


def make_private_dir(path: Path) -> None:
    """Create a directory and its missing parents for the owner only; `Path.mkdir` would open the parents to all."""
    if not path.is_dir():
        make_private_dir(path.parent)
        path.mkdir(exist_ok=True, mode=PRIVATE_DIR)


def create_file(path: Path, mode: int = PRIVATE_FILE) -> BinaryIO:
    """Open a new file for writing.

    Args:
        path: The file. It must not exist, not even as a link, which would lead the content to another place.
        mode: Permissions before the umask.

    Raises:
        FileExistsError: If it exists.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags | os.O_CLOEXEC, mode), "wb")


@contextmanager
def replace_file(path: Path, mode: int = PRIVATE_FILE) -> Iterator[BinaryIO]:
    """Yield a partial file that replaces `path` when the block ends, and is removed if it raises.

    Args:
        path: The file to replace. A link is replaced, not followed.
        mode: Permissions before the umask.

    Raises:
        NotWrittenError: If the system refuses to write.
    """
    partial = partial_path(path)
    try:
        with translate_write_errors(path):
            with create_file(partial, mode) as file:
                yield file
                _sync(file)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def create_dir(path: Path) -> Iterator[None]:
    """Create a directory for the owner only, and remove it with its content if the block raises.

    Raises:
        NotWrittenError: If the system refuses to write, or the directory exists.
    """
    with translate_write_errors(path):
        make_private_dir(path.parent)
        path.mkdir(mode=PRIVATE_DIR)
    try:
        with translate_write_errors(path):
            yield
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


@contextmanager
def partial_copy(path: Path, data: bytes) -> Iterator[Path]:
    """Yield a synced partial file with `data` that can be renamed to `path`; it is removed if it is not renamed."""
    partial = partial_path(path)
    try:
        with create_file(partial) as file:
            file.write(data)
            _sync(file)
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
