"""Results in a bucket of S3: paths that stand in a local path's place, so that all else is as with a folder.

Who may read and write is found by AWS's own rules in the environment (AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_ENDPOINT_URL,
a role of the machine, …), on each machine for itself; it is never a parameter and goes to no other process.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from tasks.config.errors import DamagedFileError, UserError
from tasks.config.escape import escape_terminal
from tasks.storage.safe_files import read_limited

PACKAGES = ("s3fs", "universal-pathlib")


def in_bucket(path: Path) -> bool:
    """Tell whether a path leads to a bucket; such a path has a local one's methods, but is none."""
    return not isinstance(path, Path)


def results_place(results: str) -> Path:
    """Return where results lie, after a look whether a bucket can be written to.

    Args:
        results: A folder, or `s3://bucket/prefix`.

    Raises:
        UserError: If it cannot, or a package is missing.
    """
    if not results.startswith("s3://"):
        return Path(results).resolve()
    if not all(find_spec(module) for module in ("s3fs", "upath")):
        raise UserError(f"results: a bucket needs packages that are not installed: pip install {' '.join(PACKAGES)}")
    from upath import UPath

    # Nothing is remembered of what lies there: workers write what the parent looks for.
    place = cast(Path, UPath(results, use_listings_cache=False))
    try:
        put(place / ".imdb-compare", b"Results of imdb-compare.\n")
    except OSError as error:
        why = escape_terminal(error) or type(error).__name__
        raise UserError(
            f"results: {results} cannot be written to: {why}. Check the bucket's name, "
            "and the credentials and AWS_ENDPOINT_URL in the environment."
        ) from None
    return place


def get(path: Path, limit: int) -> bytes:
    """Return the content of a file or object, by one request.

    Args:
        path: Where it lies.
        limit: The most bytes that it may have; no more are fetched.

    Raises:
        FileNotFoundError: If it is not there.
        DamagedFileError: If it is larger; or, for a file, cannot be read.
        OSError: If an object cannot be fetched.
    """
    if not in_bucket(path):
        return read_limited(path, limit)
    with _as_system_error():
        content = _first_bytes(cast(Any, path), limit + 1)
    if len(content) > limit:
        raise DamagedFileError(f"{escape_terminal(path)} is larger than {limit:,} bytes")
    return content


def _first_bytes(path: Any, count: int) -> bytes:
    try:
        return path.fs.cat_file(path.path, start=0, end=count)
    except OSError as error:
        # S3 refuses a range of an object without any byte.
        if isinstance(error, FileNotFoundError) or path.fs.info(path.path)["size"]:
            raise
        return b""


def put(path: Path, content: bytes) -> None:
    """Write an object, which takes its place whole or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    with _as_system_error():
        cast(Any, path).fs.pipe_file(cast(Any, path).path, content)


@contextmanager
def _as_system_error() -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # no credentials, nobody at the address, …: each has a class of its own
        raise ConnectionError(str(error) or type(error).__name__) from None


@contextmanager
def written_nearby(place: Path) -> Iterator[Path]:
    """Give a local folder for files that go to `place`: itself, or a temporary one."""
    if not in_bucket(place):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="imdb-compare-") as folder:
        yield Path(folder)


def upload(folder: Path, target: Path) -> None:
    """Copy the files of a local folder to a place in a bucket."""
    for file in folder.rglob("*"):
        if file.is_file():
            put(target / file.relative_to(folder).as_posix(), file.read_bytes())
