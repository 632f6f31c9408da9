"""Read JSON files row by row: an array of objects, or one object on each line."""

import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from tasks.config.file_options import FileFormat
from tasks.data import limits
from tasks.data.columns import check_header
from tasks.data.limits import raise_beyond_limit, raise_field_too_long, raise_too_many_rows
from tasks.data.problems import Problems
from tasks.data.text_files import RowLines, add_decoding_problem, open_text

SHOWN_NAMES = 100
CHUNK = 2**16  # characters
GAP = re.compile(r"\s*,?\s*")
DEFAULT_FORMAT = FileFormat()


def read_json(
    path: Path,
    columns: list[str],
    problems: Problems,
    file_format: FileFormat = DEFAULT_FORMAT,
    *,
    for_training: bool,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a JSON file, each with the number of its line, or of its item in an array.

    Args:
        path: The file: an array of objects, or one object on a line.
        columns: Names that the objects must have.
        problems: Gets the lines or items that are not objects, or are in another encoding.
        file_format: Its encoding.
        for_training: Whether the limits for the whole file hold.

    Raises:
        UserError: If the file is beyond a limit; after the last row, if a name is in none of the first objects.
    """
    max_bytes = limits.MAX_BYTES if for_training else math.inf
    max_rows = limits.MAX_ROWS if for_training else math.inf
    names: set[str] = set()
    with open_text(path, max_bytes, problems, file_format.encoding) as file:
        try:
            is_array = _begins_array(file)
        except UnicodeError:
            is_array = False  # reading the rows reports it
    problems.unit = "item" if is_array else "line"
    with open_text(path, max_bytes, problems, file_format.encoding) as file:
        try:
            for number, row in (_items if is_array else _lines)(file, problems, max_rows):
                texts = (row[name] for name in columns if isinstance(row.get(name), str))
                if any(len(text) > limits.MAX_FIELD_LENGTH for text in texts):
                    raise_field_too_long(path, f"{problems.unit} {number:,}")
                names |= row.keys() if len(names) < SHOWN_NAMES else set()
                yield number, row
        except UnicodeError as error:
            add_decoding_problem(problems, error, file)
    if names:
        check_header(sorted(names), columns, problems)


def _begins_array(file: TextIO) -> bool:
    while start := file.read(CHUNK):
        if start.strip():
            return start.lstrip().startswith("[")
    return False


def _lines(file: TextIO, problems: Problems, max_rows: float) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the object of each line."""
    lines = RowLines(file, problems.path, Problems(problems.path))  # a line with a NUL is not JSON, which is reported
    for number, line in enumerate(lines, 1):
        lines.start_row()
        if number > max_rows:
            raise_too_many_rows(problems.path, f"more than {max_rows:,}")
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict) and not _is_nested(row, line):
            yield number, row
        else:
            problems.add(f"not one JSON object on a line{_advice(problems.path)}", f"line {number}")


def _advice(path: Path) -> str:
    if not path.name.lower().startswith(f"{path.name.lower().split('.')[0]}.json") or ".jsonl" in path.name.lower():
        return ""
    return ", and no array of objects either; take the array out of its object, such as: jq .data own.json > rows.json"


def _items(file: TextIO, problems: Problems, max_rows: float) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of an array. A part of the file is in memory, not the whole array."""
    buffer = ""
    while not buffer.strip():
        buffer = file.read(CHUNK)
    position, number = buffer.index("[") + 1, 0
    decoder = json.JSONDecoder()
    while True:
        start = GAP.match(buffer, position).end()  # type: ignore[union-attr]
        if buffer[start : start + 1] == "]":
            if (buffer[start + 1 :] + file.read(CHUNK)).strip():
                problems.add("more text behind the array; a file is one array, or one object on each line")
            return
        try:
            item, end = decoder.raw_decode(buffer, start)
        except (ValueError, RecursionError):
            end = len(buffer)
        if end < len(buffer):
            number += 1
            if number > max_rows:
                raise_too_many_rows(problems.path, f"more than {max_rows:,}")
            if isinstance(item, dict) and not _is_nested(item, buffer[start:end]):
                yield number, item
            else:
                problems.add("not a JSON object", f"item {number}")
            position = end
            continue
        more = file.read(max(CHUNK, len(buffer) - start))  # doubled, so that long items are not parsed often
        if not more:
            problems.add("no valid JSON", f"behind item {number}")
            return
        buffer, position = buffer[start:] + more, 0
        if len(buffer) > limits.MAX_ROW_LENGTH + 2 * CHUNK:
            raise_beyond_limit(
                problems.path,
                f"item {number + 1:,} of its array has more than {limits.MAX_ROW_LENGTH:,} characters",
                "Shorten it; if it is not so long, it is no valid JSON.",
            )


def _is_nested(row: dict[str, Any], source: str) -> bool:
    """Return whether an object is nested deeper than `MAX_NESTING`."""
    if source.count("[") + source.count("{") <= limits.MAX_NESTING:
        return False
    nested: list[Any] = [row]
    for _ in range(limits.MAX_NESTING):
        nested = [value for each in nested if isinstance(each, list | dict) for value in _values(each)]
    return any(isinstance(each, list | dict) for each in nested)


def _values(nested: list[Any] | dict[str, Any]) -> Iterable[Any]:
    return nested.values() if isinstance(nested, dict) else nested
