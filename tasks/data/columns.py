"""Check and convert the columns of a data file: texts, labels, splits and groups."""

import math
from collections import Counter
from typing import Any

import pandas as pd

from tasks.data.limits import MAX_LABEL_LENGTH, MINIMUM
from tasks.data.problems import Problems

LABELS = {
    **dict.fromkeys(("0", "0.0", "neg", "negative", "false"), 0),
    **dict.fromkeys(("1", "1.0", "pos", "positive", "true"), 1),
}
SPLITS = ("train", "validation", "test")


def check_header(header: list[str], required: list[str], problems: Problems) -> None:
    """Check that the required columns exist, and that no column name occurs twice.

    Args:
        header: Names of the columns in the file.
        required: Names of the columns that must exist.
        problems: The problems of the file so far.

    Raises:
        UserError: If a column is missing or ambiguous, with all problems so far.
    """
    shown = ", ".join(repr(name[:60]) for name in header[:20])
    hint = "; fields must be parted by commas" if len(header) == 1 and set(header[0]) & set(";\t|") else ""
    missing = [name for name in required if name not in header]
    for name in missing:
        problems.add(f"no column {name[:60]!r}; found: {shown}{hint}. Name it by text_column, label_column or group")
    repeated = sorted((name, count) for name, count in Counter(header).items() if count > 1)
    for name, count in repeated[:20]:
        problems.add(f"column {name[:60]!r} stands {count} times in the header; rename all but one")
    if missing or repeated:
        problems.raise_if_any()


def check_texts(values: list[Any], places: list[str], problems: Problems) -> list[str]:
    """Return texts after a check.

    Args:
        values: Cells of the column.
        places: Place of each cell, such as "line 3".
        problems: Gets the texts that are missing, not strings, or not encodable in UTF-8.
    """
    for text, place in zip(values, places, strict=True):
        if _is_missing(text):
            problems.add("no text; delete these rows", place)
        elif not isinstance(text, str):
            problems.add("the text is not a string", f"{place} has {type(text).__name__}")
        elif not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            problems.add("half a surrogate pair, which is no character; take it out", place)
    return values


def parse_labels(values: list[Any], places: list[str], positive: str | None, problems: Problems) -> list[int]:
    """Return labels as 0 and 1.

    Args:
        values: Cells of the column.
        places: Place of each cell, such as "line 3".
        positive: Label of the positive class; None if the labels are in `LABELS`.
        problems: Gets the labels that are missing, unknown, too long or all of one class, each with its count.

    Returns:
        (reviews,) labels; 0 where a label is wrong.
    """
    labels = [_normalized(value) for value in values]
    for label, place in zip(labels, places, strict=True):
        if not label:
            problems.add("no label; fill in or delete these rows", place)
    counts = pd.Series([label for label in labels if label], dtype="str").value_counts()
    mapping = LABELS if positive is None else {label: int(label == _normalized(positive)) for label in counts.index}
    _check_labels(counts, mapping, positive, problems)
    return [mapping.get(label, 0) for label in labels]


def _check_labels(counts: pd.Series, mapping: dict[str, int], positive: str | None, problems: Problems) -> None:
    """Add what is wrong with the labels of a file; `counts` holds the number of rows by label."""
    shown = ", ".join(f"{str(label)[:60]!r} ({count:,} rows)" for label, count in counts.head(10).items())
    if any(len(label) > MAX_LABEL_LENGTH or not label.isprintable() for label in counts.index):
        problems.add(f"labels {shown}; a label has at most {MAX_LABEL_LENGTH} characters and no control characters")
    if positive is None and not set(counts.index) <= mapping.keys():
        problems.add(
            f"labels {shown}; allowed: 0/1, neg/pos, negative/positive, false/true, or any two labels with "
            "positive=<the label of the positive class>"
        )
    elif positive is not None and (len(counts) != 2 or 1 not in mapping.values()):
        problems.add(f"labels {shown}; allowed with positive={positive!r}: that label and one other")
    elif len({mapping[label] for label in counts.index}) == 1:
        problems.add(f"labels {shown} are all of one class; both classes are needed, and {MINIMUM}")


def parse_splits(values: list[Any], places: list[str], problems: Problems) -> list[str]:
    """Return the splits of a file, or nothing if the file has no such column.

    Args:
        values: Cells of the column, all None if the file has none.
        places: Place of each cell, such as "line 3".
        problems: Gets the rows without a known split, and the splits without a row.
    """
    if all(value is None for value in values):
        return []
    splits = [_normalized(value) for value in values]
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
        if _is_missing(value):
            problems.add("no group; fill in or delete these rows", place)
    return [str(value).strip() for value in values]


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or not str(value).strip()


def _normalized(value: object) -> str:
    """Return a cell in lower case without surrounding white space; an empty string if it is missing."""
    return "" if _is_missing(value) else str(value).strip().casefold()
