"""Read JSON lines files row by row."""

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tasks.data import limits
from tasks.data.columns import check_header
from tasks.data.limits import raise_field_too_long, raise_too_many_rows
from tasks.data.problems import Problems
from tasks.data.text_files import RowLines, add_decoding_problem, open_text

SHOWN_NAMES = 100


def read_json_lines(
    path: Path, columns: list[str], problems: Problems, *, for_training: bool
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a JSON lines file, each with the number of its line.

    Args:
        path: The file: one JSON object on a line.
        columns: Names that the objects must have.
        problems: Gets the lines that are not objects, or are in another encoding.
        for_training: Whether the limits for the whole file hold.

    Raises:
        UserError: If the file is beyond a limit; after the last row, if a name is in none of the first objects.
    """
    file, encoding = open_text(path, limits.MAX_BYTES if for_training else math.inf)
    lines = RowLines(file, path, Problems(path))  # a line with a NUL is not JSON, which is reported anyway
    names: set[str] = set()
    with file:
        try:
            for number, row in _rows(lines, problems, limits.MAX_ROWS if for_training else math.inf):
                texts = (row[name] for name in columns if isinstance(row.get(name), str))
                if any(len(text) > limits.MAX_FIELD_LENGTH for text in texts):
                    raise_field_too_long(path, f"line {number:,}")
                names |= row.keys() if len(names) < SHOWN_NAMES else set()
                yield number, row
        except UnicodeDecodeError as error:
            add_decoding_problem(problems, error, encoding)
    if names:
        check_header(sorted(names), columns, problems)


def _rows(lines: RowLines, problems: Problems, max_rows: float) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, 1):
        lines.start_row()
        if number > max_rows:
            raise_too_many_rows(problems.path, f"more than {max_rows:,}")
        if not line.strip():
            continue
        row = _parse_object(line)
        if row is None:
            problems.add("not one JSON object on a line", f"line {number}")
        else:
            yield number, row


def _parse_object(line: str) -> dict[str, Any] | None:
    """Return a line as a JSON object; None if it is not one, or is nested deeper than `MAX_NESTING`."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    if line.count("[") + line.count("{") <= limits.MAX_NESTING:
        return row
    nested: list[Any] = [row]
    for _ in range(limits.MAX_NESTING):
        nested = [value for each in nested if isinstance(each, list | dict) for value in _values(each)]
    return None if any(isinstance(each, list | dict) for each in nested) else row


def _values(nested: list[Any] | dict[str, Any]) -> Iterable[Any]:
    return nested.values() if isinstance(nested, dict) else nested
