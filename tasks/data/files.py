"""Read data files: CSV, JSON lines and Parquet."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.data import limits
from tasks.data.columns import check_texts, parse_groups, parse_labels, parse_splits
from tasks.data.csv_files import read_csv
from tasks.data.json_files import read_json_lines
from tasks.data.parquet_files import read_parquet
from tasks.data.problems import Problems
from tasks.data.records import UnsplitReviews
from tasks.data.text_files import COMPRESSED

READERS: dict[str, Callable[..., Iterator[tuple[int, dict[str, Any]]]]] = {
    ".csv": read_csv,
    ".parquet": read_parquet,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
}


@dataclass(frozen=True)
class _Cells:
    """Cells of a file by column, and the place of each row, such as "line 3"."""

    columns: dict[str, list[Any]]
    places: list[str]


def read_reviews(
    path: Path,
    *,
    text_column: str = "text",
    label_column: str = "label",
    positive: str | None = None,
    group: str | None = None,
) -> UnsplitReviews:
    """Read labeled reviews from a file.

    Args:
        path: `.csv` (commas, a header; UTF-8, or any encoding with a byte order mark), `.parquet`, `.jsonl` or
            `.ndjson`; the text formats also compressed, with `.gz` or `.zst` at the end.
        text_column: Column of the texts. A blank text is refused; one without words, such as `<br />`, is kept.
        label_column: Column of the labels: 0/1, neg/pos, negative/positive or false/true, in any case.
        positive: Label of the positive class, if the labels are other words; the other label is negative.
        group: Column whose values must not be split, such as the film of a review; no cell may be empty.

    Returns:
        Columns text and label (int8, 1 = positive); split if the file has such a column (train, test, and perhaps
        validation); group (as text) if `group` is given. Rows in the order of the file. With `positive`, the classes
        are named by the labels of the file.

    Raises:
        UserError: If the file is wrong, with every problem, the number of rows that have it, the first five of them,
            and advice. If the file is beyond a limit in `tasks.data.limits`: that limit, before the rest is read.
    """
    check_file(path)
    _check_distinct(path, [text_column, label_column, *([group] if group else [])])
    problems = Problems(path)
    cells = _read_cells(path, text_column, [label_column, *([group] if group else [])], problems)
    if not cells.places and not problems.found:
        problems.add(f"no rows; {limits.MINIMUM}")
    texts = check_texts(cells.columns[text_column], cells.places, problems)
    labels = parse_labels(cells.columns[label_column], cells.places, positive, problems)
    splits = parse_splits(cells.columns["split"], cells.places, problems)
    groups = parse_groups(cells.columns[group], cells.places, problems) if group else []
    problems.raise_if_any()
    frame = _frame(texts, labels, splits, groups)
    if positive is None:
        return UnsplitReviews(frame)
    negative_class, positive_class = (
        str(cells.columns[label_column][labels.index(number)]).strip() for number in (0, 1)
    )
    return UnsplitReviews(frame, classes=(negative_class, positive_class))


def read_rows(path: Path, columns: list[str], batch_rows: int) -> Iterator[list[dict[str, Any]]]:
    """Read some columns of a file in batches, so that a file of any length fits into memory.

    Args:
        path: As for `read_reviews`.
        columns: Columns that must exist.
        batch_rows: Maximum number of rows of a batch; long texts make batches smaller.

    Yields:
        Rows as dicts of these columns and `place` (the line, or the row of a Parquet file, from 1). Empty cells are
        None.

    Raises:
        UserError: As `read_reviews` does. Problems are reported after the last batch.
    """
    check_file(path)
    problems = Problems(path)
    batch: list[dict[str, Any]] = []
    length = 0
    try:
        for place, row in READERS[_format(path)](path, columns, problems, for_training=False):
            batch.append({"place": place, **{name: row.get(name) for name in columns}})
            length += sum(len(value) for value in batch[-1].values() if isinstance(value, str))
            if len(batch) == batch_rows or length > limits.BATCH_BYTES:
                yield batch
                batch, length = [], 0
    except (OSError, pa.ArrowException) as error:
        problems.add("cannot be read to its end", escape_terminal(error))
    if batch:
        yield batch
    problems.raise_if_any()


def check_file(path: Path) -> None:
    """Check that a path leads to a file of a known format, without reading it.

    Raises:
        UserError: If there is no such file, or its format is unknown.
    """
    endings = ", ".join(READERS)
    allowed = f"a path to a file that ends in {endings} (text formats also with {' or '.join(COMPRESSED)} behind)"
    try:
        exists = path.is_file()
    except (OSError, ValueError):  # a name that no file can have: too long, or with a NUL
        exists = False
    if not exists:
        raise UserError(f"There is no file {str(path)[:300]!r}. Allowed: auto, bundled, imdb, or {allowed}.")
    if _format(path) not in READERS or (_format(path) == ".parquet" and path.suffix != ".parquet"):
        raise UserError(f"{str(path)!r} is in no format that is read here. Allowed: {allowed}.")


def _format(path: Path) -> str:
    """Return the ending of a file name, without that of a compression."""
    name = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return name.suffix.lower()


def _check_distinct(path: Path, names: list[str]) -> None:
    if len(set(names)) < len(names):
        shown = escape_terminal(f"{', '.join(names)} twice, of {path}")
        raise UserError(f"text_column, label_column and group name one of {shown}.")


def _read_cells(path: Path, text_column: str, other_columns: list[str], problems: Problems) -> _Cells:
    """Read the cells of a file for training."""
    required = [text_column, *other_columns]
    columns: dict[str, list[Any]] = {**{name: [] for name in required}, "split": []}
    unit = "row" if _format(path) == ".parquet" else "line"
    places: list[str] = []
    try:
        for place, row in READERS[_format(path)](path, required, problems, for_training=True):
            places.append(f"{unit} {place}")
            for column, cells in columns.items():
                cells.append(_shortened(row.get(column), column == text_column))
    except (OSError, pa.ArrowException) as error:
        problems.add("cannot be read to its end", escape_terminal(error))
    return _Cells(columns, places)


def _shortened(value: Any, is_text: bool) -> Any:
    """Return a list or an object, which is wrong in every column, without its content to save memory."""
    if not isinstance(value, list | dict):
        return value
    return type(value)() if is_text else str(value)[:100]


def _frame(texts: list[str], labels: list[int], splits: list[str], groups: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame({"text": pd.Series(texts, dtype="str"), "label": pd.Series(labels, dtype="int8")})
    for name, cells in (("split", splits), ("group", groups)):
        if cells:
            frame[name] = pd.Series(cells, dtype="str")
    return frame
