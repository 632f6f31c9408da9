"""Read the archive of the official IMDB reviews without unpacking it.

Only names of reviews and of lists of films are read, and sizes and numbers are limited, so a manipulated archive can
neither write files nor fill the memory.
"""

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Self

import pandas as pd

from tasks.config.errors import UserError

# Bytes.
MAX_REVIEW_SIZE = 200_000
MAX_HEADER_SIZE = 100_000
MAX_FILM_LIST_SIZE = 5_000_000
MAX_TOTAL_SIZE = 1_000_000_000
MAX_REVIEWS = 50_000
MAX_MEMBERS = 200_000

REVIEW_NAME = re.compile(r"aclImdb/(train|test)/(pos|neg)/(\d{1,6})_(\d{1,2})\.txt")
FILM_LIST_NAME = re.compile(r"aclImdb/(train|test)/urls_(pos|neg)\.txt")
Member = tuple[str, bytes]


def read_archive(path: Path) -> pd.DataFrame:
    """Read the labeled reviews of the archive.

    Returns:
        Columns split, label (1 = positive), text, and group (the film's address) if the lists of films are there.

    Raises:
        UserError: If the archive is damaged, beyond a limit, or has no reviews.
    """
    try:
        with (
            gzip.open(path) as unpacked,
            tarfile.open(fileobj=unpacked, mode="r|", tarinfo=_LimitedTarInfo) as archive,
        ):
            frame = _frame(_archive_members(archive, path), path)
            # gzip verifies its checksum at the end of the file, after the last member: a cut archive is refused there.
            for _ in range(MAX_TOTAL_SIZE // 2**20):
                if not unpacked.read(2**20):
                    return frame
        raise tarfile.ReadError("it does not end")
    except UserError:
        raise
    except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}). Delete it and download it again.") from error


def read_folder(path: Path) -> pd.DataFrame:
    """Read the labeled reviews of the unpacked archive, the directory aclImdb.

    Returns:
        Columns as from `read_archive`.

    Raises:
        UserError: If the directory is beyond a limit, or has no reviews.
    """
    return _frame(_folder_members(path), path)


class _LimitedTarInfo(tarfile.TarInfo):
    """A header with a limit for long names and extended attributes, which tarfile reads into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Return a header.

        Raises:
            tarfile.ReadError: If what belongs to the header is longer than any name.
        """
        header = super().frombuf(buf, encoding, errors)
        if not (header.isreg() or header.isdir()) and header.size > MAX_HEADER_SIZE:
            raise tarfile.ReadError(f"a header of {header.size:,} bytes")
        return header


def _archive_members(archive: tarfile.TarFile, path: Path) -> Iterator[Member]:
    count, size = 0, 0
    for member in archive:
        count, size = count + 1, size + member.size
        archive.members = []  # type: ignore[attr-defined]  # tarfile would keep all members in memory
        if count > MAX_MEMBERS or size > MAX_TOTAL_SIZE:
            raise UserError(
                f"{path} has more than {MAX_MEMBERS:,} members or {MAX_TOTAL_SIZE:,} bytes; it is not the archive."
            )
        if not (member.isreg() or member.isdir()) or ".." in member.name or member.name.startswith("/"):
            raise UserError(
                f"{path} has a member {member.name[:100]!r}, which the archive has not; it is not the archive."
            )
        if member.isreg() and _is_used(member.name):
            stream = archive.extractfile(member)
            if stream is not None:
                yield member.name, _read_limited(stream, member.name, path)


def _folder_members(path: Path) -> Iterator[Member]:
    size = 0
    for file in sorted(path.glob("*/*.txt")) + sorted(path.glob("*/*/*.txt")):
        name = f"aclImdb/{file.relative_to(path).as_posix()}"
        if _is_used(name) and file.is_file():
            with file.open("rb") as stream:
                content = _read_limited(stream, name, path)
            size += len(content)
            if size > MAX_TOTAL_SIZE:
                raise UserError(f"{path} has more than {MAX_TOTAL_SIZE:,} bytes of reviews; it is not the archive.")
            yield name, content


def _is_used(name: str) -> bool:
    return bool(REVIEW_NAME.fullmatch(name) or FILM_LIST_NAME.fullmatch(name))


def _read_limited(stream: IO[bytes], name: str, path: Path) -> bytes:
    limit = MAX_REVIEW_SIZE if REVIEW_NAME.fullmatch(name) else MAX_FILM_LIST_SIZE
    content = stream.read(limit + 1)
    if len(content) > limit:
        raise UserError(f"{path}: {name} is longer than {limit:,} bytes, which no file of the archive is.")
    return content


def _frame(members: Iterable[Member], path: Path) -> pd.DataFrame:
    texts: dict[tuple[str, str, int], str] = {}
    films: dict[tuple[str, str], list[str]] = {}
    for name, content in members:
        text = content.decode("utf-8", "replace")
        if review := REVIEW_NAME.fullmatch(name):
            texts[review[1], review[2], int(review[3])] = text
        elif FILM_LIST_NAME.fullmatch(name):
            posix = PurePosixPath(name)
            films[posix.parent.name, posix.stem.removeprefix("urls_")] = text.splitlines()
        if len(texts) > MAX_REVIEWS:
            raise UserError(f"{path} has more than {MAX_REVIEWS:,} reviews; it is not the archive.")
    if not texts:
        raise UserError(f"{path} holds no reviews; expected aclImdb/train/pos/0_9.txt and so on.")
    frame = pd.DataFrame([(split, int(kind == "pos"), text) for (split, kind, _), text in texts.items()])
    frame.columns = pd.Index(["split", "label", "text"])
    # Line n of a list is the film of the reviews whose name starts with n.
    groups = [films[split, kind][n] if n < len(films.get((split, kind), [])) else None for split, kind, n in texts]
    return frame if None in groups else frame.assign(group=pd.Series(groups, dtype="str"))
