"""The results directory of a run, on the local disk or in an S3 bucket."""

from importlib.util import find_spec
from pathlib import Path
from typing import cast

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.storage.backends import storage_of

PACKAGES = ("s3fs", "universal-pathlib")


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
        storage_of(place).write({place / ".imdb-compare": b"Results of imdb-compare.\n"})
    except OSError as error:
        why = escape_terminal(error) or type(error).__name__
        raise UserError(
            f"results: {results} cannot be written to: {why}. Check the bucket's name, "
            "and the credentials and AWS_ENDPOINT_URL in the environment."
        ) from None
    return place
