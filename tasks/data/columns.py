"""Check and convert the columns of a data file: texts, splits and groups."""

from collections import Counter
from typing import Any

from tasks.data.cells import is_missing
from tasks.data.labels import LABELS, NUMBER, normalize_label
from tasks.data.problems import Problems

MIN_TEXT_WORDS = 4  # a name of a column has fewer
SPLITS = ("train", "validation", "test")


def check_header(header: list[str], required: list[str], problems: Problems, advice: str = "") -> None:
    """Check that the required columns exist, and that none of them (or of `split`) occurs twice.

    Args:
        header: Names of the columns in the file. Unused columns may have any name, or the same one.
        required: Names of the columns that must exist.
        problems: The problems of the file so far.
        advice: Sentence that is added if a column is missing.

    Raises:
        UserError: If a column is missing or ambiguous, with all problems so far.
    """
    shown = ", ".join(repr(name[:60]) for name in header[:20]) + (", …" if len(header) > 20 else "")
    missing = [repr(name[:60]) for name in dict.fromkeys(required) if name not in header]
    if not header:
        problems.add("the file is empty")
    elif missing:
        noun = "column" if len(missing) == 1 else "columns"
        choice = f"Choose a column by {problems.column_options}"
        problems.add(f"no {noun} {', '.join(missing)}; found: {shown}. {choice}{'. ' * bool(advice)}{advice}")
    counts = Counter(header)
    repeated = [name for name in dict.fromkeys([*required, "split"]) if counts[name] > 1]
    for name in repeated:
        problems.add(f"column {name[:60]!r} stands {counts[name]} times in the header; rename all but one")
    if missing or repeated:
        problems.raise_if_any()


def missing_header(first_row: list[str]) -> str:
    """Return a sentence with the options for a file without a header, if its first row looks like data; or nothing."""
    labels = [number for number, cell in enumerate(first_row) if _looks_like_label(cell)]
    text = max(range(len(first_row)), key=lambda number: len(first_row[number]), default=0)
    if not labels and len(first_row[text].split() if first_row else "") < MIN_TEXT_WORDS:
        return ""
    label = next((number for number in labels if number != text), None)
    options = f"--text-column {text}" + ("" if label is None else f" --label-column {label}")
    return f"Does the file have a header? If not: --no-header {options} (columns are numbered from 0)"


def _looks_like_label(cell: str) -> bool:
    return normalize_label(cell) in LABELS or NUMBER.fullmatch(cell.strip()) is not None


def check_texts(values: list[Any], places: list[str], problems: Problems) -> None:
    """Check texts.

    Args:
        values: Cells of the column.
        places: Place of each cell, such as "line 3".
        problems: Gets the texts that are missing, not strings, or not encodable in UTF-8.
    """
    for text, place in zip(values, places, strict=True):
        if is_missing(text):
            problems.add("no text; delete these rows", place)
        elif not isinstance(text, str):
            problems.add("the text is not a string", f"{place} has {type(text).__name__}")
        elif not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            problems.add("half a surrogate pair, which is no character; take it out", place)


def parse_splits(values: list[Any], places: list[str], problems: Problems) -> list[str]:
    """Return the splits of a file, or nothing if the file has no such column.

    Args:
        values: Cells of the column, all None if the file has none.
        places: Place of each cell, such as "line 3".
        problems: Gets the rows without a known split, and the splits without a row.
    """
    if all(value is None for value in values):
        return []
    splits = [normalize_label(value) for value in values]
    for split, place in zip(splits, places, strict=True):
        if split not in SPLITS:
            problems.add(f"the split is none of {', '.join(SPLITS)}", f"{place} has {split[:60]!r}")
    for split in ("train", "test"):
        if split not in splits:
            problems.add(
                f"a column 'split' without a row of {split!r}; add some, or rename the column and it is split here"
            )
    return splits


def parse_groups(values: list[Any], places: list[str], problems: Problems) -> list[str]:
    """Return groups as strings.

    Args:
        values: Cells of the column.
        places: Place of each cell, such as "line 3".
        problems: Gets the rows without a group.
    """
    for value, place in zip(values, places, strict=True):
        if is_missing(value):
            problems.add("no group; fill in or delete these rows", place)
    return [str(value).strip() for value in values]
