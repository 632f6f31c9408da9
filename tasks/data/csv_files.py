"""Read CSV files row by row."""

import csv
import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.data import limits
from tasks.data.columns import check_header
from tasks.data.limits import raise_field_too_long, raise_too_many_rows
from tasks.data.problems import Problems
from tasks.data.text_files import RowLines, add_decoding_problem, open_text


def read_csv(
    path: Path, columns: list[str], problems: Problems, *, for_training: bool
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of a CSV file, each with the number of its first line.

    Args:
        path: The file: commas, double quotes, a header.
        columns: Columns that must exist. The rows contain the other columns, too.
        problems: Gets the lines with another number of fields, wrong quotes or another encoding.
        for_training: Whether the limits for the whole file hold.

    Raises:
        UserError: If a column is missing, or the file is beyond a limit.
    """
    file, encoding = open_text(path, limits.MAX_BYTES if for_training else math.inf)
    lines = RowLines(file, path, problems)
    with file, _field_size_limit(limits.MAX_FIELD_LENGTH):
        try:
            yield from _rows(lines, columns, problems, limits.MAX_ROWS if for_training else math.inf)
        except csv.Error as error:
            if "field larger than field limit" in str(error):
                raise_field_too_long(path, f"line {lines.row_start:,}")
            problem = "broken quotes; write quotes inside a quoted text twice"
            problems.add(problem, f"line {lines.row_start}: {error}")
        except UnicodeDecodeError as error:
            add_decoding_problem(problems, error, encoding)


def _rows(
    lines: RowLines, columns: list[str], problems: Problems, max_rows: float
) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(lines, strict=True)
    header = next(reader, [])
    check_header(header, columns, problems)
    problem = f"more or fewer fields than the {len(header)} of the header; put texts with commas in double quotes"
    for count in itertools.count():
        if count > max_rows:
            raise_too_many_rows(problems.path, f"more than {max_rows:,}")
        lines.start_row()
        row = next(reader, None)
        if row is None:
            return
        if len(row) == len(header):
            yield lines.row_start, dict(zip(header, row, strict=True))
        elif row:  # a blank line is not a row
            problems.add(problem, f"line {lines.row_start} has {len(row)}")


@contextmanager
def _field_size_limit(limit: int) -> Iterator[None]:
    """Set the limit of the csv module, which is global, for some time."""
    before = csv.field_size_limit(limit)
    try:
        yield
    finally:
        csv.field_size_limit(before)
