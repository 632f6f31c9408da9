"""Read files of word vectors: GloVe text, word2vec text and fastText `.vec`.

All three have one line per word: the word, then its numbers, with one space between them. word2vec and fastText begin
with a line that holds the number of words and the length of a vector. Files have millions of lines, so they are
streamed, and only the numbers of the wanted words are parsed.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.config.recipe import MAX_EMBEDDING_SIZE
from tasks.data.limits import MAX_VECTOR_BYTES, MAX_VECTOR_LINE, MAX_VECTOR_LINES, raise_beyond_limit
from tasks.data.packed_files import data_name, open_bytes
from tasks.data.problems import Problems

ALLOWED = "GloVe text, word2vec text or fastText .vec, as it is, with .gz or .zst behind, or as the only file of a .zip"
DAMAGED = "If it is damaged, incomplete or not packed as its name says, copy or download it again"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
CONTROLS = bytes([*range(9), *range(14, 32)])  # in binary files and UTF-16, but not in UTF-8 text
DECIMAL = re.compile(rb"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?")
NOT_NUMERIC = b"_"  # `float` ignores it between digits
CHECKED_LINES = 10  # which tell the length of a vector
OTHER_CASE, SAME_CASE = 1, 2  # how a word of the file matches a wanted one


@dataclass(frozen=True)
class VectorFormat:
    """Format of a file of vectors.

    Attributes:
        size: Length of a vector.
        words: Number of words that the first line announces; None without such a line.
    """

    size: int
    words: int | None = None


@dataclass(frozen=True)
class FoundVectors:
    """The vectors of the wanted words in a file.

    Attributes:
        is_found: (wanted words,) whether a word has a vector.
        vectors: (wanted words, size) float32; zeros for a word without a vector.
        words: Number of words in the file.
        announced: Number of words that its first line announces; None without such a line.
        repeated: Number of lines that were skipped because an earlier line has the same wanted word.
        not_utf8: Number of words in the file that are not valid UTF-8, and were skipped.
    """

    is_found: np.ndarray
    vectors: np.ndarray
    words: int
    announced: int | None
    repeated: int
    not_utf8: int


def vector_format(path: Path) -> VectorFormat:
    """Return the format of a file of vectors after a check of its first vector.

    Raises:
        UserError: If there is no such file, it cannot be read, or it does not begin with word vectors.
    """
    _check_exists(path)
    _check_name(path)
    lines = list(islice((line for _, line in _lines(path) if line), CHECKED_LINES))
    header = _parse_header(lines[0]) if lines else None
    lines = lines[1:] if header else lines
    if not lines:
        raise _user_error(path, "holds no word vectors")
    sizes = Counter(_trailing_numbers(line.split()) for line in lines)
    size = header.size if header else sizes.most_common(1)[0][0]
    if not 1 <= size <= MAX_EMBEDDING_SIZE:
        found = f"{lines[0][:60].decode(errors='replace')!r}, {size:,} numbers behind a word"
        raise _user_error(path, f"has no vectors of 1 to {MAX_EMBEDDING_SIZE:,} numbers. It begins with {found}")
    return header or VectorFormat(size)


def read_vectors(path: Path, words: Sequence[str]) -> FoundVectors:
    """Return the vectors of words.

    A word has the vector of the first line with exactly this word, or else of the first line with a word that becomes
    it in lower case. Words of the file that are not wanted are not parsed, but the number of their numbers is checked.

    Args:
        path: File of vectors.
        words: Wanted words, in lower case.

    Raises:
        UserError: If the file is not one of word vectors. Lines that are wrong are reported together, with the first
            five of each problem.
    """
    file_format, problems, seen = vector_format(path), Problems(path), Counter[str]()
    size, rows = file_format.size, {word.encode(): row for row, word in enumerate(words)}
    match, vectors = np.zeros(len(words), np.int8), np.zeros((len(words), size), np.float32)
    count = 0
    lines = ((number, line) for number, line in _lines(path) if line)
    for number, line in islice(lines, int(file_format.words is not None), None):
        count += 1
        word, _, numbers = line.partition(b" ")
        if line.count(b" ") != size:
            word, numbers = _split_unusual(line, size, number, problems)
        row, found = _find_row(word, rows, seen)
        if row is None or match[row] >= found:
            seen["repeated"] += row is not None and found == SAME_CASE
            continue
        vector = _parse_vector(numbers, size, number, problems)
        if vector is not None:
            vectors[row], match[row] = vector, found
    problems.raise_if_any()
    _check_encoding(path, seen)
    return FoundVectors(match > 0, vectors, count, file_format.words, seen["repeated"], seen["not UTF-8"])


def _find_row(word: bytes, rows: Mapping[bytes, int], seen: Counter[str]) -> tuple[int | None, int]:
    """Return the row of a word, or None, and how it matches; count words outside ASCII by whether they are UTF-8."""
    row = rows.get(word)
    if word.isascii():
        return (rows.get(word.lower()), OTHER_CASE) if row is None else (row, SAME_CASE)
    try:
        lower = word.decode().lower().encode()
    except UnicodeDecodeError:
        seen["not UTF-8"] += 1
        return None, OTHER_CASE
    seen["UTF-8"] += 1
    return (rows.get(lower), OTHER_CASE) if row is None else (row, SAME_CASE)


def _check_encoding(path: Path, seen: Counter[str]) -> None:
    """Refuse a file in another encoding. In large public files some words are cut inside a character."""
    wrong, right = seen["not UTF-8"], seen["UTF-8"]
    if wrong > right:
        total = f"{wrong:,} of {wrong + right:,}"
        problem = f"is not encoded as UTF-8: of the words with other than ASCII letters, {total} are not valid"
        raise _user_error(path, problem, "Convert it, for example from Latin-1: iconv -f LATIN1 -t UTF-8")


def _check_exists(path: Path) -> None:
    try:
        if path.is_file():
            return
        what = "is a folder, and a file is needed" if path.is_dir() else "does not exist"
    except (OSError, ValueError):  # a name that no file can have
        what = "does not exist"
    raise _user_error(path, what)


def _check_name(path: Path) -> None:
    if data_name(path).lower().endswith(".bin"):
        raise _user_error(
            path,
            "is a binary file by its name, which is not read. Convert it with gensim: load_word2vec_format(..., "
            "binary=True) or load_facebook_vectors(...), then save_word2vec_format(...)",
        )


def _user_error(path: Path, problem: str, advice: str = f"Allowed: {ALLOWED}") -> UserError:
    return UserError(f"vectors: {escape_terminal(path)} {escape_terminal(problem, None)}. {advice}.")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the number of each line, from 1, and its content without white space at the end.

    Raises:
        UserError: If the file cannot be read to its end, is binary, or is beyond a limit.
    """
    number = size = 0
    try:
        with open_bytes(path, float("inf")) as stream:
            while line := stream.readline(MAX_VECTOR_LINE + 1):
                number, size = number + 1, size + len(line)
                _check_limits(path, number, line, size)
                if number == 1:
                    line = line.removeprefix(BYTE_ORDER_MARK)
                yield number, line.rstrip(b" \t\r\n")
    except (OSError, EOFError, pa.ArrowException) as error:
        place = f" after line {number:,}" if number else ""
        raise _user_error(path, f"cannot be read{place}: {error}", DAMAGED) from None


def _check_limits(path: Path, number: int, line: bytes, size: int) -> None:
    if number <= CHECKED_LINES and len(line.translate(None, CONTROLS)) < len(line):
        raise _user_error(path, "is a binary file or is not encoded as UTF-8")
    if len(line) > MAX_VECTOR_LINE:
        raise_beyond_limit(path, f"line {number:,} has more than {MAX_VECTOR_LINE:,} bytes", f"Allowed: {ALLOWED}.")
    if number > MAX_VECTOR_LINES:
        raise_beyond_limit(path, f"it has more than {MAX_VECTOR_LINES:,} lines", "Keep its first lines.")
    if size > MAX_VECTOR_BYTES:
        limit = f"unpacked it has more than {MAX_VECTOR_BYTES:,} bytes"
        raise_beyond_limit(path, limit, "Keep its first lines, which usually hold the most frequent words.")


def _parse_header(line: bytes) -> VectorFormat | None:
    """Return the format that a line of two whole numbers announces; None if the line is another one."""
    fields = line.split()
    if len(fields) != 2 or not all(field.isdigit() and len(field) < 19 for field in fields):
        return None
    return VectorFormat(size=int(fields[1]), words=int(fields[0]))


def _trailing_numbers(fields: list[bytes]) -> int:
    """Return how many fields at the end of a line are numbers; the first field is a word in any case."""
    count = 0
    while count < len(fields) - 1 and _parse_number(fields[-1 - count]) is not None:
        count += 1
    return count


def _split_unusual(line: bytes, size: int, number: int, problems: Problems) -> tuple[bytes, bytes]:
    """Return the word and the numbers of a line with white space other than one space between its fields.

    Some files, such as GloVe 840B, have words with spaces. A line with too many numbers is told from them by a decimal
    number in front of the last ones.
    """
    word, *numbers = line.rsplit(None, size)
    if len(numbers) < size:
        problems.add(f"lines without {size:,} numbers", f"line {number:,}: {len(numbers):,}")
        return b"", b""
    inside = word.split()
    if len(inside) > 1 and DECIMAL.fullmatch(inside[-1]):
        problems.add(f"lines with more than {size:,} numbers", f"line {number:,}")
        return b"", b""
    return word, b" ".join(numbers)


def _parse_vector(numbers: bytes, size: int, line: int, problems: Problems) -> np.ndarray | None:
    """Return (size,) float32; None if there is a problem, which is added."""
    fields = numbers.split()
    parsed = [_parse_number(field) for field in fields]
    if len(fields) != size:
        problems.add(f"lines without {size:,} numbers", f"line {line:,}: {len(fields):,}")
        return None
    if None in parsed:
        shown = escape_terminal(fields[parsed.index(None)].decode(errors="replace"), 30)
        problems.add("values that are not numbers", f"line {line:,}: {shown!r}")
        return None
    with np.errstate(over="ignore"):
        vector = np.array(parsed, np.float32)
    if not np.isfinite(vector).all():
        problems.add("values that are NaN, infinite or too large", f"line {line:,}")
        return None
    return vector


def _parse_number(field: bytes) -> float | None:
    """Return a number as in Python, but without `_`; None for anything else."""
    try:
        return None if NOT_NUMERIC in field else float(field)
    except ValueError:
        return None
