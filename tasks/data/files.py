"""Read data files: columns of texts, labels, splits and groups."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.config.file_options import FileFormat, FileOptions
from tasks.data import limits
from tasks.data.columns import check_texts, parse_groups, parse_splits
from tasks.data.formats import find_reader
from tasks.data.labels import NOT_SELECTED, LabelOptions, Labels, parse_labels
from tasks.data.limits import raise_too_many_rows
from tasks.data.problems import Problems
from tasks.data.records import UnsplitReviews

logger = logging.getLogger(__name__)
DEFAULT_FORMAT = FileFormat()


@dataclass(frozen=True)
class _Part:
    """What was read of a file.

    Attributes:
        split: The split that the file is for.
        problems: Its problems, and how it was read.
        columns: Its cells by column.
        places: The place of each row, such as "line 3".
    """

    split: str
    problems: Problems
    columns: dict[str, list[Any]]
    places: list[str]


@dataclass(frozen=True)
class _Cells:
    """The converted cells of all files, by column."""

    texts: list[str]
    labels: Labels
    splits: list[str]
    groups: list[str]


def read_reviews(path: Path, **options: Any) -> UnsplitReviews:
    """Read labeled reviews from a file, or from one for each split.

    Args:
        path: The file: CSV (`.csv`, `.tsv`, `.tab`, `.txt`), JSON (`.json`, `.jsonl`, `.ndjson`), `.parquet` or
            `.xlsx`; the text formats also with `.gz` or `.zst` at the end, or as the only file of a `.zip`. A blank
            text is refused; one without words, such as `<br />`, is kept.
        options: Fields of `FileOptions`.

    Returns:
        Columns text and label (int8, the class from 0); split if the file has such a column (train, test, and perhaps
        validation), or if there are several files; group (as text) if `group` is given. Rows in the order of the
        files. The classes are named by the labels of the file, unless these are the usual ones (`LABELS`). Rows whose
        label is not in `classes` are left out.

    Raises:
        UserError: If a file is wrong, with every problem, the number of rows that have it, the first five of them,
            and advice. If a file is beyond a limit in `tasks.data.limits`: that limit, before the rest is read.
    """
    given = FileOptions(**options)
    paths = split_files(path, given)
    for each in paths.values():
        check_file(each)
    _check_distinct(path, [given.text_column, given.label_column, *([given.group] if given.group else [])])
    parts, refusals = _read_parts(paths, given)
    cells = _join(parts, given)
    messages = [*refusals, *(part.problems.message() for part in parts if part.problems.found)]
    if messages:
        raise UserError("\n".join(messages))
    guesses = (part.problems.guess for part in parts if part.problems.guess)
    caveats = (*guesses, *_describe_left_out(cells.labels))
    return UnsplitReviews(_frame(cells), source=_describe(parts), classes=cells.labels.classes, caveats=caveats)


def split_files(path: Path, options: FileOptions) -> dict[str, Path]:
    """Return the file of each split; of `train` only, if that is divided here.

    Raises:
        UserError: If a file stands twice, or there is a file for validation but none for test.
    """
    files = {"train": path, "validation": options.validation_data, "test": options.test_data}
    paths = {split: Path(file) for split, file in files.items() if file is not None}
    if len({each.absolute() for each in paths.values()}) < len(paths):
        raise UserError("`data`, `test_data` and `validation_data` must be different files.")
    if "validation" in paths and "test" not in paths:
        raise UserError(
            f"validation_data: received {options.validation_data!r:.300} without `test_data`. Give both, or leave it "
            "out: then validation reviews are held out of `data`."
        )
    return paths


def read_rows(
    path: Path, columns: list[str], batch_rows: int, file_format: FileFormat = DEFAULT_FORMAT
) -> Iterator[list[dict[str, Any]]]:
    """Read some columns of a file in batches, so that a file of any length fits into memory.

    Args:
        path: As for `read_reviews`.
        columns: Columns that must exist.
        batch_rows: Maximum number of rows of a batch; long texts make batches smaller.
        file_format: How to read the file, where its content does not tell.

    Yields:
        Rows as dicts of these columns and `place` (the line; the row of Parquet or Excel; the item of a JSON array;
        from 1). Missing cells are None.

    Raises:
        UserError: As `read_reviews` does. Problems are reported after the last batch.
    """
    reader = find_reader(path)
    problems = Problems(path, "--text-column (and --keep)")
    batch: list[dict[str, Any]] = []
    length = 0
    try:
        for place, row in reader(path, columns, problems, file_format, for_training=False):
            batch.append({"place": place, **{name: row.get(name) for name in columns}})
            length += sum(len(value) for value in batch[-1].values() if isinstance(value, str))
            if len(batch) == batch_rows or length > limits.BATCH_BYTES:
                yield batch
                batch, length = [], 0
    except (OSError, pa.ArrowException) as error:
        problems.add("cannot be read to its end", escape_terminal(error))
    if batch:
        yield batch
    if problems.guess and not problems.found:
        logger.warning(problems.guess)
    problems.raise_if_any()


def check_file(path: Path) -> None:
    """Check that a path leads to a file of a known format, without reading it.

    Raises:
        UserError: If there is no such file, or its format is unknown.
    """
    find_reader(path)


def _check_distinct(path: Path, names: list[str]) -> None:
    if len(set(names)) < len(names):
        shown = escape_terminal(f"{', '.join(names)} twice, of {path}")
        raise UserError(f"`text_column`, `label_column` and `group` name one of {shown}.")


def _read_parts(paths: dict[str, Path], options: FileOptions) -> tuple[list[_Part], list[str]]:
    """Read the files of all splits, and return the messages of those that could not be read."""
    parts: list[_Part] = []
    refusals: list[str] = []
    for split, path in paths.items():
        problems = Problems(path)
        columns = _empty_columns(options)
        numbers: list[int] = []
        try:
            _read_cells(problems, options, columns, numbers, sum(len(part.places) for part in parts))
        except UserError as error:
            refusals.append(str(error))
            continue
        of_file = f" of {escape_terminal(path.name)}" if len(paths) > 1 else ""
        places = [f"{problems.unit} {place}{of_file}" for place in numbers]
        check_texts(columns[options.text_column], places, problems)
        if not places and not problems.found:
            problems.add(f"no rows; {limits.MINIMUM}")
        parts.append(_Part(split, problems, columns, places))
    return parts, refusals


def _empty_columns(options: FileOptions) -> dict[str, list[Any]]:
    names = [options.text_column, options.label_column, *([options.group] if options.group else []), "split"]
    return {name: [] for name in names}


def _read_cells(
    problems: Problems, options: FileOptions, columns: dict[str, list[Any]], places: list[int], rows_before: int
) -> None:
    """Append the cells of a file for training, and the number of each row."""
    required = [name for name in columns if name != "split" or name in (options.text_column, options.label_column)]
    read = find_reader(problems.path)
    try:
        for place, row in read(problems.path, required, problems, options, for_training=True):
            places.append(place)
            if rows_before + len(places) > limits.MAX_ROWS:
                raise_too_many_rows(problems.path, f"together with other files more than {limits.MAX_ROWS:,}")
            for column, cells in columns.items():
                cells.append(_shortened(row.get(column), column == options.text_column))
    except (OSError, pa.ArrowException) as error:
        problems.add("cannot be read to its end", escape_terminal(error))


def _join(parts: list[_Part], options: FileOptions) -> _Cells:
    """Return the converted cells of all files. Problems of the labels are added to those of the first file."""
    if not parts:
        return _Cells([], Labels([]), [], [])
    first = parts[0].problems
    columns = {name: [cell for part in parts for cell in part.columns[name]] for name in parts[0].columns}
    places = [place for part in parts for place in part.places]
    names = tuple(first.class_names.get(options.label_column, []))
    given = LabelOptions(options.positive, options.classes, names)
    labels = parse_labels(columns[options.label_column], places, given, first)
    if options.test_data is None:
        splits = parse_splits(columns["split"], places, first)
    else:
        splits = [part.split for part in parts for _ in part.places]
        for part in parts:
            if any(cell is not None for cell in part.columns["split"]):
                part.problems.add("a column 'split', and `test_data` is given; rename it, or leave out `test_data`")
    groups = parse_groups(columns[options.group], places, first) if options.group else []
    return _Cells(columns[options.text_column], labels, splits, groups)


def _describe_left_out(labels: Labels) -> list[str]:
    """Return a sentence on the rows whose label is not among the selected classes, if there are any."""
    left_out, rows = labels.numbers.count(NOT_SELECTED), len(labels.numbers)
    return [f"{left_out:,} of {rows:,} reviews are left out, because their class was not selected."] if left_out else []


def _describe(parts: list[_Part]) -> str:
    """Return the sizes and names of the files, and how they were read."""
    described = []
    for part in parts:
        read_as = f", read as {', '.join(part.problems.read_as)}" if part.problems.read_as else ""
        kind = {"train": "", "validation": "validation ", "test": "test "}[part.split]
        described.append(f"{len(part.places):,} {kind}reviews of {part.problems.path.name}{read_as}")
    return "; ".join(described)


def _shortened(value: Any, is_text: bool) -> Any:
    """Return a list or an object, which is wrong in every column, without its content to save memory."""
    if not isinstance(value, list | dict):
        return value
    return type(value)() if is_text else str(value)[:100]


def _frame(cells: _Cells) -> pd.DataFrame:
    labels = pd.Series(cells.labels.numbers, dtype="int8")
    frame = pd.DataFrame({"text": pd.Series(cells.texts, dtype="str"), "label": labels})
    for name, values in (("split", cells.splits), ("group", cells.groups)):
        if values:
            frame[name] = pd.Series(values, dtype="str")
    return frame[frame["label"] != NOT_SELECTED].reset_index(drop=True)
