"""Read the first sheet of an Excel workbook row by row."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.config.file_options import FileFormat
from tasks.data import limits
from tasks.data.columns import check_header, missing_header
from tasks.data.limits import raise_beyond_limit, raise_field_too_long, raise_too_many_rows
from tasks.data.problems import Problems

INSTALL = "python -m pip install openpyxl"
DEFAULT_FORMAT = FileFormat()


def read_workbook(
    path: Path,
    columns: list[str],
    problems: Problems,
    file_format: FileFormat = DEFAULT_FORMAT,
    *,
    for_training: bool,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of the first sheet of a workbook, each with its number from 1.

    Formulas are not computed: the values that were saved with them are read.

    Args:
        path: `.xlsx` or `.xlsm` file.
        columns: Columns that must exist. The rows contain the other columns, too, as texts.
        problems: Gets the name of the sheet, if there are several.
        file_format: Whether there is a header. Without one, columns are numbered from 0.
        for_training: Whether the limit of rows for training holds.

    Raises:
        UserError: If a column is missing, the file is damaged or beyond a limit, or openpyxl is not installed.
    """
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise UserError(
            f"{escape_terminal(path)}: reading workbooks needs openpyxl, which is not installed: {INSTALL}. Or save "
            "the sheet as CSV UTF-8 in Excel."
        ) from None
    problems.unit = "row"
    _check_size(path)
    try:
        # An external link could name any file; entities are refused by the parser of Python.
        workbook = load_workbook(path, read_only=True, data_only=True, keep_links=False)
        try:
            yield from _rows(workbook, columns, problems, file_format.header, for_training)
        finally:
            workbook.close()
    except UserError:
        raise
    except Exception as error:  # a damaged workbook can raise anything
        raise UserError(
            f"{escape_terminal(path)} is no readable workbook ({escape_terminal(error, 200)}). Save it again in Excel, "
            "or as CSV UTF-8."
        ) from error


def _check_size(path: Path) -> None:
    """Check the unpacked size, which the archive states. Reading ends there, so it cannot be understated."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return  # openpyxl says why
    if size > limits.MAX_WORKBOOK_BYTES:
        found = f"unpacked it has {size:,} bytes, and a workbook may have {limits.MAX_WORKBOOK_BYTES:,}"
        raise_beyond_limit(path, found, "Save it as CSV UTF-8.")


def _rows(
    workbook: Any, columns: list[str], problems: Problems, has_header: bool, for_training: bool
) -> Iterator[tuple[int, dict[str, Any]]]:
    if not workbook.worksheets:
        raise UserError(f"{escape_terminal(problems.path)} has no sheet with cells.")
    sheet = workbook.worksheets[0]
    if len(workbook.worksheets) > 1:
        problems.read_as.append(f"sheet {escape_terminal(sheet.title, 60)!r}, the first of {len(workbook.worksheets)}")
    sheet.reset_dimensions()  # some programs write wrong ones, and rows beyond them would be left out
    top = sheet.iter_rows(values_only=True, max_row=1, max_col=limits.MAX_WORKBOOK_COLUMNS)
    first = [_text(value) for value in next(top, ())]
    while first and not first[-1]:
        first.pop()
    header = first if has_header else [str(number) for number in range(len(first))]
    check_header(header, columns, problems, missing_header(first) if has_header else "")
    if not has_header:
        yield 1, dict(zip(header, first, strict=True))
    rows = sheet.iter_rows(values_only=True, min_row=2, max_col=len(header))
    for number, row in enumerate(rows, 2):
        if number - has_header > (limits.MAX_ROWS if for_training else limits.MAX_WORKBOOK_ROWS):
            raise_too_many_rows(problems.path, f"more than {limits.MAX_ROWS:,}")
        cells = [_text(value) for value in row]
        if any(len(cell) > limits.MAX_FIELD_LENGTH for cell in cells):
            raise_field_too_long(problems.path, f"row {number:,}")
        if any(cells):  # a blank row is not a row
            yield number, dict(zip(header, cells, strict=False))


def _text(value: Any) -> str:
    """Return a cell as a CSV file would have it: Excel stores a text of digits as a number."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
