"""Results in an S3 bucket. Paths in a bucket have the methods of local paths.

Credentials come from the environment by the rules of AWS (AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_ENDPOINT_URL, a role of
the machine, …) on each machine. They are never a parameter and are not sent to other processes.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from tasks.config.errors import DamagedFileError, MissingFileError, UserError
from tasks.config.escape import escape_terminal
from tasks.storage.safe_files import read_limited

PACKAGES = ("s3fs", "universal-pathlib")


def in_bucket(path: Path) -> bool:
    """Return whether a path is in a bucket. Such a path has the methods of `Path`, but is not an instance of it."""
    return not isinstance(path, Path)


def results_place(results: str) -> Path:
    """Return the path of a results directory, after a check that a bucket is writable.

    Args:
        results: A local directory, or `s3://bucket/prefix`.

    Raises:
        UserError: If the bucket is not writable, or a package is missing.
    """
    if not results.startswith("s3://"):
        return Path(results).resolve()
    if not all(find_spec(module) for module in ("s3fs", "upath")):
        raise UserError(f"results: a bucket needs packages that are not installed: pip install {' '.join(PACKAGES)}")
    from upath import UPath

    # Listings are not cached, because other processes write files that this one looks for.
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
    """Return the content of a file, or of an object by one request.

    Args:
        path: The file or object.
        limit: Maximum number of bytes; no more are downloaded.

    Raises:
        MissingFileError: If it does not exist.
        DamagedFileError: If it is larger, or if a local file cannot be read.
        OSError: If an object cannot be downloaded.
    """
    if not in_bucket(path):
        return read_limited(path, limit)
    try:
        with _as_system_error():
            content = _first_bytes(cast(Any, path), limit + 1)
    except FileNotFoundError as error:
        raise MissingFileError(f"{escape_terminal(path)} does not exist") from error
    if len(content) > limit:
        raise DamagedFileError(f"{escape_terminal(path)} is larger than {limit:,} bytes")
    return content


def _first_bytes(path: Any, count: int) -> bytes:
    try:
        return path.fs.cat_file(path.path, start=0, end=count)
    except OSError as error:
        # S3 refuses a range of an empty object.
        if isinstance(error, FileNotFoundError) or path.fs.info(path.path)["size"]:
            raise
        return b""


def put(path: Path, content: bytes) -> None:
    """Write an object, completely or not at all.

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
    except Exception as error:  # missing credentials, no connection, …: each has a class of its own
        raise ConnectionError(str(error) or type(error).__name__) from None


@contextmanager
def written_nearby(place: Path) -> Iterator[Path]:
    """Yield a local directory for files of a results directory: itself, or a temporary one for a bucket."""
    if not in_bucket(place):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="imdb-compare-") as folder:
        yield Path(folder)


def upload(folder: Path, target: Path) -> None:
    """Copy the files of a local directory to a directory in a bucket."""
    for file in folder.rglob("*"):
        if file.is_file():
            put(target / file.relative_to(folder).as_posix(), file.read_bytes())
