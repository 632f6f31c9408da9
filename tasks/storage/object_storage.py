"""Results in an object store: in S3 (`s3://`), or for tests in the memory of the process (`memory://`).

Paths are those of universal-pathlib. Their file systems (fsspec) replace an object completely or not at all. There are
no locks: two runs may compute the same file, with the same result.

Credentials of S3 come from the environment by the rules of AWS (AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_ENDPOINT_URL, a
role of the machine, …) on each machine. They are never a parameter and are not sent to other processes.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from tasks.config.errors import DamagedFileError, MissingFileError
from tasks.config.escape import escape_terminal
from tasks.storage.interface import Entry
from tasks.storage.layout import latest_link
from tasks.storage.safe_files import LARGEST_FILE, LARGEST_NAME

# Written last and removed first: a run directory without it is no finished run.
RECORD = "run.json"


class ObjectStorage:
    """Results in an object store; see `Storage`."""

    def read(self, path: Path, limit: int) -> bytes:
        """Return the content of an object by one request, of at most `limit` bytes."""
        try:
            with self._system_errors():
                content = _first_bytes(cast(Any, path), limit + 1)
        except FileNotFoundError as error:
            raise MissingFileError(f"{escape_terminal(path)} does not exist") from error
        if len(content) > limit:
            raise DamagedFileError(f"{escape_terminal(path)} is larger than {limit:,} bytes")
        return content

    def write(self, contents: Mapping[Path, bytes]) -> None:
        """Write objects."""
        with self._system_errors():
            for path, content in contents.items():
                _file_system(path).pipe_file(_key(path), content)

    @contextmanager
    def lock(self, path: Path, *, wait: bool = True) -> Iterator[bool]:  # noqa: ARG002
        """Do nothing."""
        yield True

    def entries(self, folder: Path) -> list[Entry]:
        """Return the objects and prefixes below a prefix."""
        files = _file_system(folder)
        with self._system_errors():
            try:
                found = files.ls(_key(folder), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return []
            # The listing of the memory has no times.
            known = ("directory" in each["type"] or "LastModified" in each for each in found)
            timed = [each if has else files.info(each["name"]) for each, has in zip(found, known, strict=True)]
        entries = [_entry(folder, each) for each in timed]
        return sorted((entry for entry in entries if entry.path.name), key=lambda entry: entry.path.name)

    def modified(self, path: Path) -> float:
        """Return the time at which an object was written."""
        with self._system_errors():
            return _time(_file_system(path).info(_key(path)))

    def state(self, path: Path) -> tuple[int, int, int] | None:  # noqa: ARG002
        """Return None: an object would have to be looked up."""
        return None

    def mark_used(self, path: Path) -> None:
        """Do nothing: the time of an object changes only when it is written."""

    def remove(self, path: Path) -> None:
        """Remove an object, or all objects below a prefix."""
        with self._system_errors(), suppress(FileNotFoundError):
            files = _file_system(path)
            if files.isdir(_key(path)):
                with suppress(FileNotFoundError):
                    files.rm_file(_key(path / RECORD))
            files.rm(_key(path), recursive=True)

    def remove_lock(self, path: Path) -> None:
        """Do nothing."""

    def abandoned_partials(self, folder: Path) -> list[Path]:  # noqa: ARG002
        """Return nothing: an object is never incomplete."""
        return []

    @contextmanager
    def working_dir(self, results: Path) -> Iterator[Path]:  # noqa: ARG002
        """Yield a temporary directory."""
        with tempfile.TemporaryDirectory(prefix="imdb-compare-") as folder:
            yield Path(folder)

    def publish(self, folder: Path, target: Path) -> bool:
        """Upload a directory, its run.json last."""
        with self._system_errors():
            if _file_system(target).exists(_key(target)):
                return False
        files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.name == RECORD)
        for file in files:
            self.write({target / file.relative_to(folder).as_posix(): file.read_bytes()})
        return True

    def set_latest(self, results: Path, target: str) -> None:
        """Write the object."""
        self.write({latest_link(results): f"{target}\n".encode()})

    def read_latest(self, results: Path) -> str | None:
        """Return the content of the object."""
        return self.read(latest_link(results), LARGEST_NAME).decode(errors="replace").strip()

    @contextmanager
    def local_file(self, path: Path) -> Iterator[Path]:
        """Yield a temporary copy of an object."""
        with tempfile.TemporaryDirectory(prefix="imdb-compare-") as folder:
            copy = Path(folder) / path.name
            copy.write_bytes(self.read(path, LARGEST_FILE))
            yield copy

    def uri(self, path: Path) -> str:
        """Return the address of an object."""
        return str(path)

    @contextmanager
    def _system_errors(self) -> Iterator[None]:
        """Raise an OSError instead of the errors of a client library."""
        try:
            yield
        except OSError:
            raise
        except Exception as error:  # missing credentials, no connection, …: each has a class of its own
            raise ConnectionError(str(error) or type(error).__name__) from None


def _file_system(path: Path) -> Any:
    return cast(Any, path).fs


def _key(path: Path) -> str:
    return str(cast(Any, path).path)


def _first_bytes(path: Any, count: int) -> bytes:
    try:
        return bytes(path.fs.cat_file(path.path, start=0, end=count))
    except OSError as error:
        # S3 refuses a range of an empty object.
        if isinstance(error, FileNotFoundError) or path.fs.info(path.path)["size"]:
            raise
        return b""


def _entry(folder: Path, found: Mapping[str, Any]) -> Entry:
    name = str(found["name"]).rstrip("/").removeprefix(_key(folder)).strip("/")
    is_dir = found["type"] == "directory"
    return Entry(folder / name if name else Path(), is_dir, 0 if is_dir else int(found["size"] or 0), _time(found))


def _time(found: Mapping[str, Any]) -> float:
    written = found.get("LastModified") or found.get("created")  # of S3, of memory
    return written.timestamp() if isinstance(written, datetime) else float("nan")
