"""Download the archive of the official IMDB reviews."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tasks.config.errors import UserError

if TYPE_CHECKING:
    import httpx

ARCHIVE = "aclImdb_v1.tar.gz"
# Size and checksum as published by torchtext and tensorflow-datasets.
URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
SIZE = 84_125_825
SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
TIMEOUT_SECONDS = 30

Progress = Callable[[int, int], None]


class _WrongResponseError(Exception):
    """The server answered, but not with the archive."""


@dataclass(frozen=True)
class _Source:
    """Where a file is downloaded from.

    Attributes:
        url: Its address.
        size: Its length in bytes.
        timeout: Seconds without data after which the download fails.
        loopback: Whether http is allowed from this machine.
    """

    url: str
    size: int
    timeout: float
    loopback: bool

    def check_request(self, request: "httpx.Request") -> None:
        """Check that a request, which may be a redirect, uses https."""
        local = self.loopback and request.url.scheme == "http" and request.url.host in ("127.0.0.1", "localhost")
        if request.url.scheme != "https" and not local:
            raise _WrongResponseError(f"it leads to {request.url}, and only https is allowed")


def download(
    folder: Path,
    *,
    url: str = URL,
    size: int = SIZE,
    sha256: str = SHA256,
    on_progress: Progress | None = None,
    loopback: bool = False,
    timeout: float = TIMEOUT_SECONDS,
) -> Path:
    """Download the archive. An interrupted download continues where it stopped.

    Args:
        folder: Directory for the archive, created if needed.
        url: Address of the archive; https.
        size: Size of the archive in bytes.
        sha256: Checksum of the archive, 64 hexadecimal digits.
        on_progress: Called with the bytes downloaded so far and the size.
        loopback: Whether http is allowed from this machine.
        timeout: Seconds without data after which the download fails.

    Returns:
        The path of the archive. It has this name only after its size and checksum were verified.

    Raises:
        UserError: If the download fails, or the file is not the archive, with the alternatives.
    """
    import httpx

    folder.mkdir(parents=True, exist_ok=True)
    target, part = folder / ARCHIVE, folder / f"{ARCHIVE}.part"
    advice = f"Put {ARCHIVE} into {folder} yourself, or use the bundled reviews (`data` bundled)."
    try:
        _download_part(_Source(url, size, timeout, loopback), part, on_progress)
    except (httpx.HTTPError, httpx.InvalidURL, _WrongResponseError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise UserError(f"The official reviews could not be downloaded from {url}: {reason}. {advice}") from error
    found = _sha256(part)
    if found != sha256:
        part.unlink()
        raise UserError(f"{url} has the SHA-256 {found}; expected {sha256}. The file was deleted. {advice}")
    return part.rename(target)


def check_archive(path: Path, *, sha256: str | None = None) -> None:
    """Compare the checksum of an archive that the user put there with the published one.

    Args:
        path: The archive.
        sha256: 64 hexadecimal digits; None for those of the official archive.

    Raises:
        UserError: If they differ. The file is left as it is.
    """
    found, expected = _sha256(path), sha256 or SHA256
    if found != expected:
        raise UserError(
            f"{path} has the SHA-256 {found}; the official archive has {expected}. Delete the file and download the "
            "archive again (`data` imdb), or use the bundled reviews (`data` bundled)."
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download_part(source: _Source, part: Path, on_progress: Progress | None) -> None:
    """Append the missing bytes to a part file, and never more than the expected size in total."""
    import httpx

    start = _reusable_bytes(part, source.size)
    if start == source.size:
        return
    # The checksum is that of the archive as it is, so the server must not compress it again.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    client = httpx.Client(
        follow_redirects=True,
        max_redirects=5,
        timeout=source.timeout,
        event_hooks={"request": [source.check_request]},
        trust_env=not source.loopback,
    )
    with client, client.stream("GET", source.url, headers=headers) as response:
        start = _check_response(response, start, source.size)
        received = _write_chunks(response, part, start, source.size, on_progress)
    if received > source.size:
        part.unlink()
        raise _WrongResponseError(f"size above the expected {source.size:,} bytes")
    if received < source.size:
        raise _WrongResponseError(f"cut off after {received:,} of {source.size:,} bytes; the next run continues there")


def _reusable_bytes(part: Path, size: int) -> int:
    """Return the length of the part file of an earlier download, after the removal of one that cannot be continued."""
    is_file = part.is_file() and not part.is_symlink()  # a link could lead the download to another place
    if is_file and part.stat().st_size <= size:
        return part.stat().st_size
    if is_file or part.is_symlink() or part.exists():
        part.unlink()
    return 0


def _check_response(response: "httpx.Response", start: int, size: int) -> int:
    """Return the position in the file at which a response begins, after a check of its headers."""
    import httpx

    response.raise_for_status()
    if response.status_code != httpx.codes.PARTIAL_CONTENT:
        start = 0
    if start and not response.headers.get("content-range", "").startswith(f"bytes {start}-"):
        raise _WrongResponseError("the server continued at another byte than requested")
    length = response.headers.get("content-length", "")
    if length.isdigit() and int(length) + start != size:
        kind = response.headers.get("content-type", "unknown")
        raise _WrongResponseError(f"size {int(length) + start:,} bytes, expected {size:,} (content type {kind})")
    return start


def _write_chunks(response: "httpx.Response", part: Path, start: int, size: int, on_progress: Progress | None) -> int:
    """Write a response to a part file; return the length of the file, or of what was received if that is more."""
    received = start
    with _open_part(part, append=start > 0) as file:
        for chunk in response.iter_raw():
            received += len(chunk)
            if received > size:
                break
            file.write(chunk)
            if on_progress:
                on_progress(received, size)
    return received


def _open_part(part: Path, *, append: bool) -> IO[bytes]:
    """Open a part file, but no link that replaced it. Reviews are public, so the umask decides who can read them."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_APPEND if append else os.O_TRUNC)
    return os.fdopen(os.open(part, flags, 0o666), "ab" if append else "wb")
