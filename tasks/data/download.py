"""The official IMDB archive: fetched with checks, and read without unpacking it."""

import gzip
import hashlib
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import IO, Self

import pandas as pd

from tasks.config.errors import UserError

ARCHIVE = "aclImdb_v1.tar.gz"
# Published by torchtext and tensorflow-datasets.
ADDRESS = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
SIZE = 84_125_825
SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
SECONDS_OF_SILENCE = 30
LARGEST_MEMBER = 200_000
LARGEST_HEADER = 100_000
LARGEST_LIST = 5_000_000
MOST_REVIEWS = 50_000
MOST_MEMBERS = 200_000
MOST_BYTES = 1_000_000_000

REVIEW = re.compile(r"aclImdb/(train|test)/(pos|neg)/(\d{1,6})_(\d{1,2})\.txt")
FILMS = re.compile(r"aclImdb/(train|test)/urls_(pos|neg)\.txt")
Progress = Callable[[int, int], None]
Member = tuple[str, bytes]


def download(
    folder: Path,
    *,
    address: str = ADDRESS,
    size: int = SIZE,
    sha256: str = SHA256,
    on_progress: Progress | None = None,
    loopback: bool = False,
    timeout: float = SECONDS_OF_SILENCE,
) -> Path:
    """Fetch the archive, going on where an earlier try was cut off.

    Args:
        folder: Where it is put; made if it is not there.
        address: Where it comes from; https.
        size: Bytes that it must have.
        sha256: Its check sum, 64 hexadecimal digits.
        on_progress: Called with the bytes that are there and the bytes of the whole.
        loopback: Whether http from this machine is allowed, too.
        timeout: Seconds of silence after which the try ends.

    Returns:
        The path of the archive, which has its name only once its size and check sum are right.

    Raises:
        UserError: Where it cannot be had, or is not what it should be; says which, and what else can be done.
    """
    import httpx

    folder.mkdir(parents=True, exist_ok=True)
    target, part = folder / ARCHIVE, folder / f"{ARCHIVE}.part"
    elsewhere = f"Put {ARCHIVE} into {folder} by hand, or take the bundled reviews (data=bundled)."
    try:
        _fetch(address, part, size, on_progress, loopback, timeout)
    except (httpx.HTTPError, httpx.InvalidURL, _NotTheArchiveError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise UserError(
            f"The official reviews could not be downloaded from {address}: {reason}. {elsewhere}"
        ) from error
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        part.unlink()
        raise UserError(f"{address} has check sum (sha256) {found}; expected {sha256}. It was deleted. {elsewhere}")
    return part.rename(target)


def check_archive(path: Path, *, sha256: str | None = None) -> None:
    """Compare the checksum of an archive that was put there by hand with the published one.

    Args:
        path: The archive.
        sha256: 64 hexadecimal digits; None for those of the official archive.

    Raises:
        UserError: If they differ. The file is left as it is.
    """
    expected = sha256 or SHA256
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise UserError(
            f"{path} has the SHA-256 {found}; the official archive has {expected}. Delete the file and download the "
            "archive again (--data imdb), or use the bundled reviews (--data bundled)."
        )


class _NotTheArchiveError(Exception):
    """The server answered, but not with the archive."""


def _fetch(address: str, part: Path, size: int, on_progress: Progress | None, loopback: bool, timeout: float) -> None:
    """Append to the part file what is missing of it, never more than `size` bytes in all."""
    import httpx

    def only_safe(request: httpx.Request) -> None:
        local = loopback and request.url.scheme == "http" and request.url.host in ("127.0.0.1", "localhost")
        if request.url.scheme != "https" and not local:
            raise _NotTheArchiveError(f"it leads to {request.url}, and only https is allowed")

    if part.is_symlink() or (part.exists() and not part.is_file()):
        part.unlink()  # somebody else's: a link would lead the download elsewhere
    there = part.stat().st_size if part.exists() else 0
    if there > size:
        part.unlink()
        there = 0
    if there == size:
        return
    # The check sum is of the bytes as they lie there, so no server may pack them once more.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={there}-"} if there else {})
    client = httpx.Client(
        follow_redirects=True,
        max_redirects=5,
        timeout=timeout,
        event_hooks={"request": [only_safe]},
        trust_env=not loopback,
    )
    with client, client.stream("GET", address, headers=headers) as answer:
        answer.raise_for_status()
        there = there if answer.status_code == httpx.codes.PARTIAL_CONTENT else 0
        if there and not answer.headers.get("content-range", "").startswith(f"bytes {there}-"):
            raise _NotTheArchiveError("the server went on at another byte than asked")
        announced = answer.headers.get("content-length", "")
        if announced.isdigit() and int(announced) + there != size:
            kind = answer.headers.get("content-type", "unknown")
            raise _NotTheArchiveError(f"size {int(announced) + there:,} bytes, expected {size:,} (content type {kind})")
        with _opened(part, append=there > 0) as file:
            for chunk in answer.iter_raw():
                there += len(chunk)
                if there > size:
                    break
                file.write(chunk)
                if on_progress:
                    on_progress(there, size)
    if there > size:
        part.unlink()
        raise _NotTheArchiveError(f"size above the expected {size:,} bytes")
    if there < size:
        raise _NotTheArchiveError(f"cut off after {there:,} of {size:,} bytes; the next try goes on from there")


def _opened(part: Path, *, append: bool) -> IO[bytes]:
    """Open the part file, but no link that took its place; reviews are public, so the umask decides who reads them."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_APPEND if append else os.O_TRUNC)
    return os.fdopen(os.open(part, flags, 0o666), "ab" if append else "wb")


def read_archive(path: Path) -> pd.DataFrame:
    """Read the labelled reviews out of the archive, member by member, without unpacking any.

    Only names that reviews and url lists have are read, and sizes and numbers have caps.

    Returns:
        Columns split, label, text, and group (the film's address) where the url lists are there.

    Raises:
        UserError: Where the archive is broken, above a cap, or without reviews.
    """
    try:
        with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|", tarinfo=_CappedTarInfo) as archive:
            frame = _frame(_members(archive, path), path)
            # gzip compares its check sum at the very end, behind the last member: a cut archive is no smaller archive.
            for _ in range(MOST_BYTES // 2**20):
                if not unpacked.read(2**20):
                    return frame
        raise tarfile.ReadError("it does not end")
    except UserError:
        raise
    except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError) as error:
        raise UserError(f"{path} is not a sound archive ({error}); delete it and fetch it again.") from error


def read_folder(path: Path) -> pd.DataFrame:
    """Read the labelled reviews of the unpacked archive, the folder aclImdb; columns as from `read_archive`."""

    def members() -> Iterable[Member]:
        total = 0
        for file in sorted(path.glob("*/*.txt")) + sorted(path.glob("*/*/*.txt")):
            name = f"aclImdb/{file.relative_to(path).as_posix()}"
            if _allowed(name) and file.is_file():
                with file.open("rb") as stream:
                    content = _read_capped(stream, name, path)
                total += len(content)
                if total > MOST_BYTES:
                    raise UserError(f"{path} has more than {MOST_BYTES:,} bytes of reviews; it is not the archive.")
                yield name, content

    return _frame(members(), path)


def _allowed(name: str) -> bool:
    return bool(REVIEW.fullmatch(name) or FILMS.fullmatch(name))


class _CappedTarInfo(tarfile.TarInfo):
    """A header whose long name or extended attributes, which tarfile reads as a whole, are not a bomb."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a header, unless what belongs to it is longer than any name."""
        header = super().frombuf(buf, encoding, errors)
        if not (header.isreg() or header.isdir()) and header.size > LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {header.size:,} bytes")
        return header


def _members(archive: tarfile.TarFile, path: Path) -> Iterable[Member]:
    seen, total = 0, 0
    for member in archive:
        seen, total = seen + 1, total + member.size
        archive.members = []  # type: ignore[attr-defined]  # tarfile would keep them all
        if seen > MOST_MEMBERS or total > MOST_BYTES:
            raise UserError(
                f"{path} has more than {MOST_MEMBERS:,} members or {MOST_BYTES:,} bytes; it is not the archive."
            )
        if not (member.isreg() or member.isdir()) or ".." in member.name or member.name.startswith("/"):
            raise UserError(
                f"{path} has a member {member.name[:100]!r}, which the archive has not; it is not the archive."
            )
        if member.isreg() and _allowed(member.name):
            stream = archive.extractfile(member)
            if stream is not None:
                yield member.name, _read_capped(stream, member.name, path)


def _read_capped(stream: IO[bytes], name: str, path: Path) -> bytes:
    most = LARGEST_MEMBER if REVIEW.fullmatch(name) else LARGEST_LIST
    content = stream.read(most + 1)
    if len(content) > most:
        raise UserError(f"{path}: {name} is longer than {most:,} bytes, which no file of the archive is.")
    return content


def _frame(members: Iterable[Member], path: Path) -> pd.DataFrame:
    rows: dict[tuple[str, str, int], str] = {}
    films: dict[tuple[str, str], list[str]] = {}
    for name, content in members:
        text = content.decode("utf-8", "replace")
        if review := REVIEW.fullmatch(name):
            rows[review[1], review[2], int(review[3])] = text
        elif FILMS.fullmatch(name):
            posix = PurePosixPath(name)
            films[posix.parent.name, posix.stem.removeprefix("urls_")] = text.splitlines()
        if len(rows) > MOST_REVIEWS:
            raise UserError(f"{path} has more than {MOST_REVIEWS:,} reviews; it is not the archive.")
    if not rows:
        raise UserError(f"{path} holds no reviews; expected aclImdb/train/pos/0_9.txt and so on.")
    frame = pd.DataFrame([(split, int(kind == "pos"), text) for (split, kind, _), text in rows.items()])
    frame.columns = pd.Index(["split", "label", "text"])
    # Line n of a url list is the film of the reviews whose name starts with n.
    groups = [films[split, kind][n] if n < len(films.get((split, kind), [])) else None for split, kind, n in rows]
    return frame if None in groups else frame.assign(group=pd.Series(groups, dtype="str"))
