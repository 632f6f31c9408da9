"""Read text files that may be compressed, be in any encoding, or be too long."""

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from tasks.config.escape import escape_terminal
from tasks.data import limits
from tasks.data.encodings import Encoding, find_encoding
from tasks.data.limits import raise_beyond_limit
from tasks.data.packed_files import open_bytes
from tasks.data.problems import Problems

# Bytes that are looked at for an encoding: up to the first chunk with letters other than ASCII.
CHUNK = 2**18
MAX_SAMPLE = 2**26


class RowLines(Iterator[str]):
    """The lines of a text file, with a limit for the length of a row, which may span several lines.

    Attributes:
        number: Number of lines read so far.
        row_start: Number of the first line of the current row, from 1.
    """

    def __init__(self, lines: TextIO, path: Path, problems: Problems) -> None:
        """Begin before the first line; `problems` gets the lines with NUL characters."""
        self.lines, self.path, self.problems = lines, path, problems
        self.number = self.row_length = 0
        self.row_start = 1

    def __next__(self) -> str:
        """Return the next line.

        Raises:
            UserError: If the row is longer than the limit.
        """
        line = self.lines.readline(limits.MAX_ROW_LENGTH + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.row_length += len(line)
        if self.row_length > limits.MAX_ROW_LENGTH:
            raise_beyond_limit(
                self.path,
                f"the row that ends in or after line {self.number:,} has more than "
                f"{limits.MAX_ROW_LENGTH:,} characters",
                "Shorten that text; if it is no text so long, a closing quote or the line breaks are missing.",
            )
        if "\0" in line:
            problem = "NUL characters, so this is no text file, or its encoding is not found; give it by `encoding`"
            self.problems.add(problem, f"line {self.number}")
        return line

    def start_row(self) -> None:
        """Begin a row with the next line."""
        self.row_length, self.row_start = 0, self.number + 1


def open_text(path: Path, limit: float, problems: Problems, given: str | None = None) -> TextIO:
    """Open a text file, compressed or not, after its byte order mark.

    Args:
        path: The file.
        limit: Maximum number of decompressed bytes.
        problems: Gets the encoding, if it is not UTF-8.
        given: The encoding that the user names; None if it is to be found.

    Raises:
        UserError: If the file is longer than the limit; for a compressed file, when as many bytes have been read.
    """
    encoding = _find_encoding(path, limit, given)
    if encoding.shown != "UTF-8" and encoding.shown not in problems.read_as:
        problems.read_as.insert(0, encoding.shown)
    if encoding.is_guess:
        name = escape_terminal(path.name)
        problems.guess = (
            f"The encoding of {name} is guessed: {encoding.shown}. If letters are wrong, give it by `encoding`."
        )
    return _open(path, limit, encoding)


def add_decoding_problem(problems: Problems, error: UnicodeError, file: TextIO) -> None:
    """Add the problem of a file that is not in its encoding, with the first wrong line."""
    encoding = Encoding(file.encoding)
    reason = getattr(error, "reason", str(error))
    problem = f"not {encoding.shown}; give its encoding by `encoding`, or save the file as UTF-8"
    problems.add(problem, f"line {_undecodable_line(problems.path, encoding)}: {reason}")


def _find_encoding(path: Path, limit: float, given: str | None) -> Encoding:
    with open_bytes(path, limit) as stream:
        chunk = sample = stream.read(CHUNK)
        count = len(chunk)
        while chunk.isascii() and len(chunk) == CHUNK and count < MAX_SAMPLE and given is None:
            chunk = stream.read(CHUNK)
            count += len(chunk)
        return find_encoding(sample if sample is chunk else sample + chunk, given, is_cut=len(chunk) == CHUNK)


def _open(path: Path, limit: float, encoding: Encoding) -> TextIO:
    stream = open_bytes(path, limit)
    stream.read(encoding.mark)
    return io.TextIOWrapper(stream, encoding=encoding.name, newline="")


def _undecodable_line(path: Path, encoding: Encoding) -> int:
    """Return the number of the line with the first byte that is not in the file's encoding, from 1."""
    decoder = codecs.getincrementaldecoder(encoding.name)()
    line = 1
    with open_bytes(path, float("inf")) as stream:
        stream.read(_find_encoding(path, float("inf"), encoding.name).mark)
        while chunk := stream.read(2**20):
            try:
                line += decoder.decode(chunk).count("\n")
            except UnicodeDecodeError as error:
                return line + error.object[: error.start].decode(encoding.name, "ignore").count("\n")
            except UnicodeError:  # UTF-16 that does not begin with a byte order mark
                return line
    return line
