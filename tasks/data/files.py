"""A user's own reviews from a CSV, Parquet or JSON lines file: all rows, or one message with all that is wrong."""

import codecs
import csv
import io
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TextIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal

COMPRESSED = (".gz", ".zst")
LABELS = {
    **dict.fromkeys(("0", "0.0", "neg", "negative", "false"), 0),
    **dict.fromkeys(("1", "1.0", "pos", "positive", "true"), 1),
}
SPLITS = ("train", "validation", "test")
SMALLEST_CLASS = 10
LONGEST_LABEL = 200  # characters; a saved run with a longer class name is not read again
MINIMUM = f"the minimum is {SMALLEST_CLASS} reviews of each class in each split"
# A small file may unpack to any length, and one wrong quote makes one text of a whole file. What is beyond these limits
# is refused before it is in memory. The longest of the official reviews has 13,704 characters.
LONGEST_FIELD = 1_000_000  # characters
LONGEST_ROW = 10_000_000  # characters; of JSON lines: of a line
LONGEST_BYTES = 4_000_000  # of a field in Parquet, where a character has at most four bytes
DEEPEST = 100  # lists and objects of a JSON line in one another
# Of reviews to train on, which are all in memory at once: 10 GB at both limits, measured with ASCII texts. A file that
# is only answered is read in parts, and has any number of rows.
MOST_ROWS = 3_000_000
MOST_BYTES = 2_000_000_000  # unpacked
# Of a part of a file.
ROWS_AT_A_TIME = 10_000
BYTES_AT_A_TIME = 2**25
PLACES_SHOWN = 5
BYTE_ORDER_MARKS = {
    # The longer one first: that of UTF-32 begins like that of UTF-16.
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}

Row = tuple[int, dict[str, Any]]


@dataclass
class Places:
    """Where a problem was found: how often, and the first places in words."""

    count: int = 0
    first: list[str] = field(default_factory=list)


Problems = dict[str, Places]


def read_reviews(
    path: Path,
    *,
    text_column: str = "text",
    label_column: str = "label",
    positive: str | None = None,
    group: str | None = None,
) -> pd.DataFrame:
    """Read labelled reviews from a file.

    Args:
        path: `.csv` (commas, a header; UTF-8, or any encoding with a byte order mark), `.parquet`, `.jsonl` or
            `.ndjson`; the text formats also with `.gz` or `.zst` behind.
        text_column: Column of the texts. A blank one is refused; one without words, such as `<br />`, is kept.
        label_column: Column of the labels: 0/1, neg/pos, negative/positive or false/true, in any case.
        positive: The label of the positive class, where labels are other words; the one other label is negative.
        group: Column of what must not be split, such as the film that a review is of; no cell may be empty.

    Returns:
        Columns text and label (int8, 1 = positive); split where the file has such a column (train, test, and perhaps
        validation); group (as text) where one is named. Rows as in the file.

    Raises:
        UserError: Where anything is wrong with the file: one message with every problem, how many rows have it, the
            first five of them, and what to do. Where it is beyond a limit (`MOST_ROWS`, `MOST_BYTES`, `LONGEST_FIELD`,
            `LONGEST_ROW`): which one, before the rest is read.
    """
    check_file(path)
    named = [text_column, label_column, *([group] if group else [])]
    if len(set(named)) < len(named):
        said = escape_terminal(f"{', '.join(named)} twice, of {path}")
        raise UserError(f"text_column, label_column and group name one of {said}.")
    problems: Problems = {}
    places: list[int] = []
    values: dict[str, list[Any]] = {**{name: [] for name in named}, "split": []}
    try:
        for place, row in READERS[_ending(path)](path, named, problems, whole=True):
            places.append(place)
            for column, cells in values.items():
                cells.append(_flat(row.get(column), column == text_column))
    except (OSError, pa.ArrowException) as error:
        _note(problems, "cannot be read to its end", escape_terminal(error))
    unit = "row" if _ending(path) == ".parquet" else "line"
    where = [f"{unit} {place}" for place in places]
    if not places and not problems:
        problems[f"no rows; {MINIMUM}"] = Places()
    texts = _checked_texts(values[text_column], where, problems)
    labels = _checked_labels(values[label_column], where, positive, problems)
    splits = _checked_splits(values["split"], where, problems)
    groups = _checked_groups(values[group], where, problems) if group else []
    _refuse(path, problems)
    frame = pd.DataFrame({"text": pd.Series(texts, dtype="str"), "label": pd.Series(labels, dtype="int8")})
    for name, cells in (("split", splits), ("group", groups)):
        if cells:
            frame[name] = pd.Series(cells, dtype="str")
    if positive is not None:
        frame.attrs["classes"] = [str(values[label_column][labels.index(number)]).strip() for number in (0, 1)]
    return frame


def read_rows(path: Path, columns: list[str], at_a_time: int) -> Iterator[list[dict[str, Any]]]:
    """Read some columns of a file, a number of rows at a time, so that any file fits into the memory.

    Args:
        path: As for `read_reviews`.
        columns: Which must be there.
        at_a_time: Rows; fewer of long texts.

    Yields:
        Rows as dicts of these columns and `place` (the line, or the row of a Parquet file, from 1), None where a
        cell is empty.

    Raises:
        UserError: As `read_reviews` does; what is found in later rows is told after the first ones were given.
    """
    check_file(path)
    problems: Problems = {}
    chosen: list[dict[str, Any]] = []
    try:
        letters = 0
        for place, row in READERS[_ending(path)](path, columns, problems, whole=False):
            chosen.append({"place": place, **{name: row.get(name) for name in columns}})
            letters += sum(len(value) for value in chosen[-1].values() if isinstance(value, str))
            if len(chosen) == at_a_time or letters > BYTES_AT_A_TIME:
                yield chosen
                chosen, letters = [], 0
    except (OSError, pa.ArrowException) as error:
        _note(problems, "cannot be read to its end", escape_terminal(error))
    if chosen:
        yield chosen
    _refuse(path, problems)


def check_file(path: Path) -> None:
    """Refuse at once what cannot be a file of reviews, without reading it.

    Raises:
        UserError: Where there is no such file, or its name ends in none of the formats that are read.
    """
    allowed = (
        f"a path to a file that ends in {', '.join(READERS)} (text formats also with {' or '.join(COMPRESSED)} behind)"
    )
    try:
        there = path.is_file()
    except (OSError, ValueError):  # a name that no file can have: too long, or with a NUL
        there = False
    if not there:
        raise UserError(f"There is no file {str(path)[:300]!r}. Allowed: auto, bundled, imdb, or {allowed}.")
    if _ending(path) not in READERS or (_ending(path) == ".parquet" and path.suffix != ".parquet"):
        raise UserError(f"{str(path)!r} is in no format that is read here. Allowed: {allowed}.")


def _ending(path: Path) -> str:
    name = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return name.suffix.lower()


def _note(problems: Problems, problem: str, place: str) -> None:
    places = problems.setdefault(problem, Places())
    places.count += 1
    if places.count <= PLACES_SHOWN:
        places.first.append(place)


def _refuse(path: Path, problems: Problems) -> None:
    """Raise one error with all problems, if there are any."""
    lines = []
    for problem, places in problems.items():
        shown = ", ".join(places.first) + (", …" if places.count > PLACES_SHOWN else "")
        lines.append(f"- {problem}" + (f" ({places.count:,} in all: {shown})" if places.count else ""))
    if lines:
        raise UserError("\n".join([f"{escape_terminal(path)} cannot be used:", *lines]))


def _refuse_beyond(path: Path, limit: str, advice: str) -> NoReturn:
    """Say which limit a file is beyond; reading ends there, so nothing is said of the rows."""
    raise UserError(f"{path} is not read: {limit}. {advice}")


def _refuse_rows(path: Path, found: str) -> NoReturn:
    _refuse_beyond(path, f"it has {found} rows, and at most {MOST_ROWS:,} can be trained on", "Take a sample of them.")


def _refuse_length(path: Path, most: float) -> NoReturn:
    limit = f"unpacked it has more than the {most:,} bytes of text that can be trained on"
    _refuse_beyond(path, limit, "Take a sample of its rows.")


def _flat(value: Any, is_text: bool) -> Any:
    """Shorten a list or an object, which is wrong in every column: of each row it would take many times its bytes."""
    if not isinstance(value, list | dict):
        return value
    return type(value)() if is_text else str(value)[:100]


def _check_columns(found: list[str], wanted: list[str], problems: Problems, path: Path) -> None:
    """Refuse a table without the columns, or with one of them twice: which one is meant cannot be known."""
    shown = ", ".join(repr(name[:60]) for name in found[:20])
    hint = "; fields must be parted by commas" if len(found) == 1 and set(found[0]) & set(";\t|") else ""
    wrong: Problems = {}
    for name in wanted:
        if name not in found:
            problem = f"no column {name[:60]!r}; found: {shown}{hint}. Name it by text_column, label_column or group"
            wrong[problem] = Places()
    twice = [(name, count) for name, count in Counter(found).items() if count > 1]
    for name, count in sorted(twice)[:20]:
        wrong[f"column {name[:60]!r} stands {count} times in the header; rename all but one"] = Places()
    if wrong:
        _refuse(path, problems | wrong)


class _Unpacked(io.RawIOBase):
    """The bytes of a file, compressed or not, as far as `most` of them."""

    def __init__(self, path: Path, most: float) -> None:
        super().__init__()
        self.path, self.most, self.count = path, most, 0
        self.stream = pa.input_stream(path, compression="detect")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self.stream.readinto(buffer)
        self.count += count
        if self.count > self.most:
            _refuse_length(self.path, self.most)
        return count

    def close(self) -> None:
        self.stream.close()
        super().close()


class _Lines(Iterator[str]):
    """The lines of a text file, as far as rows are of a length that can be read; `row_ends` is told where one ends."""

    def __init__(self, lines: TextIO, path: Path, problems: Problems) -> None:
        self.lines, self.path, self.problems = lines, path, problems
        self.number = self.letters = 0

    def __next__(self) -> str:
        line = self.lines.readline(LONGEST_ROW + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.letters += len(line)
        if self.letters > LONGEST_ROW:
            advice = "Shorten that text; if it is no text so long, a closing quote or the line breaks are missing."
            _refuse_beyond(
                self.path,
                f"the row that ends in or after line {self.number:,} has more than {LONGEST_ROW:,} characters",
                advice,
            )
        if "\0" in line:
            problem = "NUL characters, so this is no text file, or UTF-16 without a byte order mark; save it as UTF-8"
            _note(self.problems, problem, f"line {self.number}")
        return line

    def row_ends(self) -> None:
        """Begin to count the characters of the next row."""
        self.letters = 0


def _open_text(path: Path, most: float) -> tuple[TextIO, str]:
    """Open a text file, compressed or not, behind its byte order mark; without one it is UTF-8.

    Raises:
        UserError: If it has more than `most` bytes; of a compressed one, when as many have been read.
    """
    if path.suffix.lower() not in COMPRESSED and path.stat().st_size > most:
        _refuse_length(path, most)
    with pa.input_stream(path, compression="detect") as stream:
        start = stream.read(4)
    mark = next((mark for mark in BYTE_ORDER_MARKS if start.startswith(mark)), b"")
    encoding = BYTE_ORDER_MARKS.get(mark, "utf-8")
    stream = io.BufferedReader(_Unpacked(path, most), 2**16)
    stream.read(len(mark))
    return io.TextIOWrapper(stream, encoding=encoding, newline=""), encoding


def _read_csv(path: Path, wanted: list[str], problems: Problems, *, whole: bool) -> Iterator[Row]:
    file, encoding = _open_text(path, MOST_BYTES if whole else math.inf)
    lines = _Lines(file, path, problems)
    line = 1
    allowed = csv.field_size_limit(LONGEST_FIELD)
    try:
        reader = csv.reader(lines, strict=True)
        header = next(reader, [])
        _check_columns(header, wanted, problems, path)
        for count in itertools.count():
            if whole and count > MOST_ROWS:
                _refuse_rows(path, f"more than {MOST_ROWS:,}")
            line = reader.line_num + 1
            lines.row_ends()
            row = next(reader, None)
            if row is None:
                return
            if len(row) == len(header):
                yield line, dict(zip(header, row, strict=True))
            elif row:  # a blank line is no row
                problem = (
                    f"more or fewer fields than the {len(header)} of the header; put texts with commas in double quotes"
                )
                _note(problems, problem, f"line {line} has {len(row)}")
    except csv.Error as error:
        if "field larger than field limit" in str(error):
            _refuse_field(path, f"line {line:,}")
        _note(problems, "broken quotes; write quotes inside a quoted text twice", f"line {line}: {error}")
    except UnicodeDecodeError as error:
        _note(
            problems,
            f"not {encoding.upper()}; save the file as UTF-8",
            f"line {_undecodable_line(path)}: {error.reason}",
        )
    finally:
        csv.field_size_limit(allowed)
        file.close()


def _refuse_field(path: Path, place: str) -> NoReturn:
    advice = "Shorten it; if no text is so long, a closing quote is missing before it."
    _refuse_beyond(path, f"a text of {place} has more than {LONGEST_FIELD:,} characters", advice)


def _read_json_lines(path: Path, wanted: list[str], problems: Problems, *, whole: bool) -> Iterator[Row]:
    file, encoding = _open_text(path, MOST_BYTES if whole else math.inf)
    lines = _Lines(file, path, {})  # a NUL is no JSON, which is said below
    found: set[str] = set()
    try:
        for count, line in enumerate(lines, 1):
            lines.row_ends()
            if whole and count > MOST_ROWS:
                _refuse_rows(path, f"more than {MOST_ROWS:,}")
            if not line.strip():
                continue
            row = _json_object(line)
            if row is None:
                _note(problems, "not one JSON object on a line", f"line {count}")
                continue
            if any(isinstance(row.get(name), str) and len(row[name]) > LONGEST_FIELD for name in wanted):
                _refuse_field(path, f"line {count:,}")
            found |= row.keys() if len(found) < 100 else set()
            yield count, row
    except UnicodeDecodeError as error:
        _note(
            problems,
            f"not {encoding.upper()}; save the file as UTF-8",
            f"line {_undecodable_line(path)}: {error.reason}",
        )
    finally:
        file.close()
    if found:
        _check_columns(sorted(found), wanted, problems, path)


def _json_object(line: str) -> dict[str, Any] | None:
    """Read a line as a JSON object; None where it is none, or nested deeper than `DEEPEST`."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    if line.count("[") + line.count("{") <= DEEPEST:
        return row
    inside: list[Any] = [row]
    for _ in range(DEEPEST):
        inside = [value for each in inside if isinstance(each, list | dict) for value in _values(each)]
    return None if any(isinstance(each, list | dict) for each in inside) else row


def _values(nested: list[Any] | dict[str, Any]) -> Iterable[Any]:
    return nested.values() if isinstance(nested, dict) else nested


def _undecodable_line(path: Path) -> int:
    """Find the line with the first byte that is not in the file's encoding, counting from 1."""
    lines, encoding = _open_text(path, math.inf)
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with lines:
        while chunk := lines.buffer.read(2**20):
            try:
                line += decoder.decode(chunk).count("\n")
            except UnicodeDecodeError as error:
                return line + error.object[: error.start].decode(encoding, "ignore").count("\n")
    return line


def _read_parquet(path: Path, wanted: list[str], problems: Problems, *, whole: bool) -> Iterator[Row]:
    schema = pq.read_schema(path)
    _check_columns(schema.names, wanted, problems, path)
    columns = [name for name in dict.fromkeys([*wanted, "split"]) if name in schema.names]
    nested = [name for name in columns if pa.types.is_nested(schema.field(name).type)]
    if nested and whole:
        _refuse(
            path, {f"column {name[:60]!r} holds lists or the like, and no plain values": Places() for name in nested}
        )
    number = 0
    for batch in parquet_batches(path, columns, whole=whole):
        yield from enumerate(batch.to_pylist(), number + 1)
        number += len(batch)


def parquet_batches(path: Path, columns: list[str], *, whole: bool) -> Iterator[pa.RecordBatch]:
    """Read columns of a Parquet file in batches, as far as these fit into the memory.

    Args:
        path: The file; its notes on sizes are looked at before any row is read.
        columns: Which are there.
        whole: All batches are to be in memory at once, so that there are limits of rows and of all bytes. Else those of
            a single row group, which is the least that Parquet is read by.

    Yields:
        Batches of at most `ROWS_AT_A_TIME` rows.

    Raises:
        UserError: If the file is beyond a limit.
        OSError, pa.ArrowException: If it is damaged.
    """
    # One text of a dictionary may be that of a million rows, so that a column stays a dictionary until it is checked.
    texts = [each.name for each in pq.read_schema(path) if each.name in columns and _is_text(each.type)]
    with pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=texts) as file:
        if whole and file.metadata.num_rows > MOST_ROWS:
            _refuse_rows(path, f"{file.metadata.num_rows:,}")
        sizes = [_bytes_of_group(file.metadata.row_group(group), columns) for group in range(file.num_row_groups)]
        if sum(sizes) > LONGEST_BYTES * len(columns) * (file.metadata.num_rows + 1):
            _refuse_field(path, "a row")
        _check_bytes(path, sum(sizes) if whole else max(sizes, default=0), whole)
        rows = max(min(ROWS_AT_A_TIME, file.metadata.num_rows * BYTES_AT_A_TIME // max(sum(sizes), 1)), 1)
        total = 0
        for packed in file.iter_batches(rows, columns=columns):
            packed.validate(full=True)
            for batch in _parts(packed, path):
                unpacked = pa.RecordBatch.from_arrays(
                    [_unpacked(column) for column in batch.columns], names=batch.schema.names
                )
                total += unpacked.nbytes if whole else 0
                _check_bytes(path, total, whole)
                yield unpacked


def _bytes_of_group(group: pq.RowGroupMetaData, columns: list[str]) -> int:
    """Say what columns of a row group take, unpacked; equal numbers may take none in the file, and eight bytes here."""
    chunks = [group.column(place) for place in range(group.num_columns)]
    chosen = [chunk for chunk in chunks if f"{chunk.path_in_schema}.".startswith(tuple(f"{name}." for name in columns))]
    return sum(max(chunk.total_uncompressed_size, 8 * chunk.num_values) for chunk in chosen)


def _check_bytes(path: Path, found: int, whole: bool) -> None:
    if found > MOST_BYTES:
        what = "that can be trained on" if whole else "that a row group may have"
        advice = "Take a sample of its rows." if whole else "Write it with smaller row groups."
        limit = f"unpacked its columns take {found:,} bytes or more, and {MOST_BYTES:,} is the most {what}"
        _refuse_beyond(path, limit, advice)


def _parts(batch: pa.RecordBatch, path: Path) -> Iterator[pa.RecordBatch]:
    """Cut a batch into parts of at most `BYTES_AT_A_TIME` when unpacked, or of one row."""
    taken = np.zeros(len(batch), np.int64)
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and _is_text(column.type.value_type):
            lengths = pc.take(pc.binary_length(column.dictionary), column.indices)
        elif _is_text(column.type):
            lengths = pc.binary_length(column)
        else:
            continue
        lengths = lengths.fill_null(0).to_numpy(zero_copy_only=False)
        if len(lengths) and lengths.max() > LONGEST_BYTES:
            _refuse_field(path, "a row")
        taken += lengths
    start = 0
    for part in np.flatnonzero(np.diff(np.cumsum(taken) // BYTES_AT_A_TIME)) + 1:
        yield batch.slice(start, part - start)
        start = int(part)
    yield batch.slice(start)


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)


def _unpacked(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or not str(value).strip()


def _checked_texts(values: list[Any], where: list[str], problems: Problems) -> list[str]:
    for text, place in zip(values, where, strict=True):
        if _is_missing(text):
            _note(problems, "no text; delete these rows", place)
        elif not isinstance(text, str):
            _note(problems, "the text is not a string", f"{place} has {type(text).__name__}")
        elif not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            _note(problems, "half a surrogate pair, which is no character; take it out", place)
    return values


def _checked_labels(values: list[Any], where: list[str], positive: str | None, problems: Problems) -> list[int]:
    """Map labels to 0 and 1, or note what is wrong with them, each label with its count."""
    words = ["" if _is_missing(value) else str(value).strip().casefold() for value in values]
    for word, place in zip(words, where, strict=True):
        if not word:
            _note(problems, "no label; fill in or delete these rows", place)
    counts = pd.Series([word for word in words if word], dtype="str").value_counts()
    shown = ", ".join(f"{str(word)[:60]!r} ({count:,} rows)" for word, count in counts.head(10).items())
    if any(len(word) > LONGEST_LABEL or not word.isprintable() for word in counts.index):
        problems[f"labels {shown}; a label has at most {LONGEST_LABEL} characters and no control characters"] = Places()
    mapping = LABELS if positive is None else {word: int(word == positive.strip().casefold()) for word in counts.index}
    if positive is None and not set(counts.index) <= LABELS.keys():
        problems[
            f"labels {shown}; allowed: 0/1, neg/pos, negative/positive, false/true, or any two labels with "
            "positive=<the label of the positive class>"
        ] = Places()
    elif positive is not None and (len(counts) != 2 or 1 not in mapping.values()):
        problems[f"labels {shown}; allowed with positive={positive!r}: that label and one other"] = Places()
    elif len({mapping[word] for word in counts.index}) == 1:
        problems[f"labels {shown} are all of one class; both classes are needed, and {MINIMUM}"] = Places()
    return [mapping.get(word, 0) for word in words]


def _checked_splits(values: list[Any], where: list[str], problems: Problems) -> list[str]:
    """Take over a split column with train and test; rows without one are a mistake, a file without one is not."""
    if all(value is None for value in values):
        return []
    splits = ["" if _is_missing(value) else str(value).strip().casefold() for value in values]
    for split, place in zip(splits, where, strict=True):
        if split not in SPLITS:
            _note(problems, f"the split is none of {', '.join(SPLITS)}", f"{place} has {split[:60]!r}")
    for split in ("train", "test"):
        if split not in splits:
            problems[
                f"a column 'split' without a row of {split!r}; add some, or rename the column and it is split here"
            ] = Places()
    return splits


def _checked_groups(values: list[Any], where: list[str], problems: Problems) -> list[str]:
    for value, place in zip(values, where, strict=True):
        if _is_missing(value):
            _note(problems, "no group; fill in or delete these rows", place)
    return [str(value).strip() for value in values]


READERS: dict[str, Callable[..., Iterator[Row]]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
}
