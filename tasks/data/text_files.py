"""Read text files that may be compressed, have a byte order mark, or be too long."""

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from tasks.data import limits
from tasks.data.limits import raise_beyond_limit, raise_too_many_bytes
from tasks.data.problems import Problems

COMPRESSED = (".gz", ".zst")
BYTE_ORDER_MARKS = {
    # The longer one first: that of UTF-32 begins like that of UTF-16.
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


class _LimitedBytes(io.RawIOBase):
    """The bytes of a file, decompressed, up to a limit.

    Raises:
        UserError: On reading beyond the limit.
    """

    def __init__(self, path: Path, limit: float) -> None:
        super().__init__()
        self.path, self.limit, self.count = path, limit, 0
        self.stream = pa.input_stream(path, compression="detect")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self.stream.readinto(buffer)
        self.count += count
        if self.count > self.limit:
            raise_too_many_bytes(self.path, self.limit)
        return count

    def close(self) -> None:
        self.stream.close()
        super().close()


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
            problem = "NUL characters, so this is no text file, or UTF-16 without a byte order mark; save it as UTF-8"
            self.problems.add(problem, f"line {self.number}")
        return line

    def start_row(self) -> None:
        """Begin a row with the next line."""
        self.row_length, self.row_start = 0, self.number + 1


def open_text(path: Path, limit: float) -> tuple[TextIO, str]:
    """Open a text file, compressed or not, after its byte order mark.

    Args:
        path: The file.
        limit: Maximum number of decompressed bytes.

    Returns:
        The open file, and its encoding: that of its byte order mark, or UTF-8.

    Raises:
        UserError: If the file is longer than the limit; for a compressed file, when as many bytes have been read.
    """
    if path.suffix.lower() not in COMPRESSED and path.stat().st_size > limit:
        raise_too_many_bytes(path, limit)
    with pa.input_stream(path, compression="detect") as stream:
        start = stream.read(4)
    mark = next((mark for mark in BYTE_ORDER_MARKS if start.startswith(mark)), b"")
    encoding = BYTE_ORDER_MARKS.get(mark, "utf-8")
    stream = io.BufferedReader(_LimitedBytes(path, limit), 2**16)
    stream.read(len(mark))
    return io.TextIOWrapper(stream, encoding=encoding, newline=""), encoding


def add_decoding_problem(problems: Problems, error: UnicodeDecodeError, encoding: str) -> None:
    """Add the problem of a file that is not in its encoding, with the first wrong line."""
    line = _undecodable_line(problems.path)
    problems.add(f"not {encoding.upper()}; save the file as UTF-8", f"line {line}: {error.reason}")


def _undecodable_line(path: Path) -> int:
    """Return the number of the line with the first byte that is not in the file's encoding, from 1."""
    lines, encoding = open_text(path, float("inf"))
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with lines:
        while chunk := lines.buffer.read(2**20):
            try:
                line += decoder.decode(chunk).count("\n")
            except UnicodeDecodeError as error:
                return line + error.object[: error.start].decode(encoding, "ignore").count("\n")
    return line
