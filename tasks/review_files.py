"""A user's own reviews from a CSV, Parquet or JSON lines file: all rows, or one message with all that is wrong."""

import codecs
import csv
import io
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import UserError
from tasks.escape import escape_terminal

COMPRESSED = (".gz", ".zst")
LABELS = {
    **dict.fromkeys(("0", "0.0", "neg", "negative", "false"), 0),
    **dict.fromkeys(("1", "1.0", "pos", "positive", "true"), 1),
}
SPLITS = ("train", "validation", "test")
SMALLEST_CLASS = 10
MINIMUM = f"the minimum is {SMALLEST_CLASS} reviews of each class in each split"
BYTE_ORDER_MARKS = {
    # The longer one first: that of UTF-32 begins like that of UTF-16.
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}

Problems = dict[str, list[str]]
Row = tuple[int, dict[str, Any]]


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
            first five of them, and what to do.
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
        for place, row in READERS[_ending(path)](path, named, problems):
            places.append(place)
            for column, cells in values.items():
                cells.append(row.get(column))
    except (OSError, pa.ArrowException) as error:
        _note(problems, "cannot be read to its end", escape_terminal(error))
    unit = "row" if _ending(path) == ".parquet" else "line"
    where = [f"{unit} {place}" for place in places]
    if not places and not problems:
        problems[f"no rows; {MINIMUM}"] = []
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
        at_a_time: Rows.

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
        for place, row in READERS[_ending(path)](path, columns, problems):
            chosen.append({"place": place, **{name: row.get(name) for name in columns}})
            if len(chosen) == at_a_time:
                yield chosen
                chosen = []
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
    problems.setdefault(problem, []).append(place)


def _refuse(path: Path, problems: Problems) -> None:
    """Raise one error with all problems, if there are any."""
    lines = []
    for problem, places in problems.items():
        shown = ", ".join(places[:5]) + (", …" if len(places) > 5 else "")
        lines.append(f"- {problem}" + (f" ({len(places):,} in all: {shown})" if places else ""))
    if lines:
        raise UserError("\n".join([f"{escape_terminal(path)} cannot be used:", *lines]))


def _check_columns(found: list[str], wanted: list[str], problems: Problems, path: Path) -> None:
    """Refuse a table without the columns, or with one of them twice: which one is meant cannot be known."""
    shown = ", ".join(repr(name[:60]) for name in found[:20])
    hint = "; fields must be parted by commas" if len(found) == 1 and set(found[0]) & set(";\t|") else ""
    wrong: Problems = {}
    for name in wanted:
        if name not in found:
            wrong[f"no column {name!r}; found: {shown}{hint}. Name it by text_column, label_column or group"] = []
    for name in sorted({name for name in found if found.count(name) > 1}):
        wrong[f"column {name!r} stands {found.count(name)} times in the header; rename all but one"] = []
    if wrong:
        _refuse(path, problems | wrong)


def _open_text(path: Path) -> tuple[TextIO, str]:
    """Open a text file, compressed or not, behind its byte order mark; without one it is UTF-8."""
    with pa.input_stream(path, compression="detect") as stream:
        start = stream.read(4)
    mark = next((mark for mark in BYTE_ORDER_MARKS if start.startswith(mark)), b"")
    encoding = BYTE_ORDER_MARKS.get(mark, "utf-8")
    stream = pa.input_stream(path, compression="detect")
    stream.read(len(mark))
    return io.TextIOWrapper(stream, encoding=encoding, newline=""), encoding


def _read_csv(path: Path, wanted: list[str], problems: Problems) -> Iterator[Row]:
    lines, encoding = _open_text(path)
    line = 1
    allowed = csv.field_size_limit(sys.maxsize)  # a review may be longer than the 131,072 characters of the default
    try:
        reader = csv.reader(_without_nul(lines, problems), strict=True)
        header = next(reader, [])
        _check_columns(header, wanted, problems, path)
        while True:
            line = reader.line_num + 1
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
        _note(problems, "broken quotes; write quotes inside a quoted text twice", f"line {line}: {error}")
    except UnicodeDecodeError as error:
        _note(
            problems,
            f"not {encoding.upper()}; save the file as UTF-8",
            f"line {_undecodable_line(path)}: {error.reason}",
        )
    finally:
        csv.field_size_limit(allowed)
        lines.close()


def _without_nul(lines: TextIO, problems: Problems) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            problem = "NUL characters, so this is no text file, or UTF-16 without a byte order mark; save it as UTF-8"
            _note(problems, problem, f"line {number}")
        yield line


def _read_json_lines(path: Path, wanted: list[str], problems: Problems) -> Iterator[Row]:
    lines, encoding = _open_text(path)
    found: set[str] = set()
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                found |= row.keys() if len(found) < 100 else set()
                yield number, row
            else:
                _note(problems, "not one JSON object on a line", f"line {number}")
    except UnicodeDecodeError as error:
        _note(
            problems,
            f"not {encoding.upper()}; save the file as UTF-8",
            f"line {_undecodable_line(path)}: {error.reason}",
        )
    finally:
        lines.close()
    if found:
        _check_columns(sorted(found), wanted, problems, path)


def _undecodable_line(path: Path) -> int:
    """Find the line with the first byte that is not in the file's encoding, counting from 1."""
    lines, encoding = _open_text(path)
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with lines:
        while chunk := lines.buffer.read(2**20):
            try:
                line += decoder.decode(chunk).count("\n")
            except UnicodeDecodeError as error:
                return line + error.object[: error.start].decode(encoding, "ignore").count("\n")
    return line


def _read_parquet(path: Path, wanted: list[str], problems: Problems) -> Iterator[Row]:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        _check_columns(file.schema_arrow.names, wanted, problems, path)
        columns = [name for name in dict.fromkeys([*wanted, "split"]) if name in file.schema_arrow.names]
        number = 0
        for batch in file.iter_batches(10_000, columns=columns):
            batch.validate(full=True)
            yield from enumerate(batch.to_pylist(), number + 1)
            number += len(batch)


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
    mapping = LABELS if positive is None else {word: int(word == positive.strip().casefold()) for word in counts.index}
    if positive is None and not set(counts.index) <= LABELS.keys():
        problems[
            f"labels {shown}; allowed: 0/1, neg/pos, negative/positive, false/true, or any two labels with "
            "positive=<the label of the positive class>"
        ] = []
    elif positive is not None and (len(counts) != 2 or 1 not in mapping.values()):
        problems[f"labels {shown}; allowed with positive={positive!r}: that label and one other"] = []
    elif len({mapping[word] for word in counts.index}) == 1:
        problems[f"labels {shown} are all of one class; both classes are needed, and {MINIMUM}"] = []
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
            ] = []
    return splits


def _checked_groups(values: list[Any], where: list[str], problems: Problems) -> list[str]:
    for value, place in zip(values, where, strict=True):
        if _is_missing(value):
            _note(problems, "no group; fill in or delete these rows", place)
    return [str(value).strip() for value in values]


READERS: dict[str, Callable[[Path, list[str], Problems], Iterator[Row]]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
}
