"""Read CSV files row by row."""

import csv
import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.config.file_options import FileFormat
from tasks.data import limits
from tasks.data.columns import check_header, missing_header
from tasks.data.csv_dialects import SAMPLE, Dialect, find_dialect
from tasks.data.limits import raise_field_too_long, raise_too_many_rows
from tasks.data.problems import Problems
from tasks.data.text_files import RowLines, add_decoding_problem, open_text

DEFAULT_FORMAT = FileFormat()


def read_csv(
    path: Path,
    columns: list[str],
    problems: Problems,
    file_format: FileFormat = DEFAULT_FORMAT,
    *,
    for_training: bool,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of a CSV file, each with the number of its first line.

    Args:
        path: The file. Its encoding, separator and quoting are found, unless `file_format` names them.
        columns: Columns that must exist. The rows contain the other columns, too.
        problems: Gets the lines with another number of fields, wrong quotes or another encoding.
        file_format: How to read it. Without a header, columns are numbered from 0.
        for_training: Whether the limits for the whole file hold.

    Raises:
        UserError: If a column is missing, or the file is beyond a limit.
    """
    max_bytes = limits.MAX_BYTES if for_training else math.inf
    dialect = _find_dialect(path, columns, problems, file_format, max_bytes)
    file = open_text(path, max_bytes, problems, file_format.encoding)
    lines = RowLines(file, path, problems)
    with file, _field_size_limit(limits.MAX_FIELD_LENGTH):
        try:
            if dialect.has_separator_line:
                next(lines)
                lines.start_row()
            reader = csv.reader(lines, **dialect.arguments())
            max_rows = limits.MAX_ROWS if for_training else math.inf
            yield from _rows(reader, lines, columns, problems, file_format.header, max_rows)
        except csv.Error as error:
            if "field larger than field limit" in str(error):
                raise_field_too_long(path, f"line {lines.row_start:,}")
            problem = "broken quotes; write quotes inside a quoted text twice"
            problems.add(problem, f"line {lines.row_start}: {error}")
        except UnicodeError as error:
            add_decoding_problem(problems, error, file)


def _find_dialect(
    path: Path, columns: list[str], problems: Problems, file_format: FileFormat, max_bytes: float
) -> Dialect:
    with open_text(path, max_bytes, problems, file_format.encoding) as file, _field_size_limit(SAMPLE):
        try:
            sample = file.read(SAMPLE)
        except UnicodeError:
            sample = ""  # reading the rows reports it
    known = columns if file_format.header else []
    dialect = find_dialect(sample, known, file_format.delimiter, is_cut=len(sample) == SAMPLE)
    problems.read_as += dialect.shown
    return dialect


def _rows(
    reader: Any, lines: RowLines, columns: list[str], problems: Problems, has_header: bool, max_rows: float
) -> Iterator[tuple[int, dict[str, Any]]]:
    first: list[str] = next(reader, [])
    header = first if has_header else [str(number) for number in range(len(first))]
    check_header(header, columns, problems, missing_header(first) if has_header else "")
    problem = (
        f"more or fewer fields than the {len(header)} of the first line; put texts with separators in double quotes"
    )
    rows = itertools.chain([] if has_header else [first])
    for count in itertools.count():
        if count > max_rows:
            raise_too_many_rows(problems.path, f"more than {max_rows:,}")
        row = next(rows, None)
        if row is None:
            lines.start_row()
            row = next(reader, None)
        if row is None:
            return
        if len(row) == len(header) or (len(row) > len(header) and not any(row[len(header) :])):
            yield lines.row_start, dict(zip(header, row, strict=False))
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
