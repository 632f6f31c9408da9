"""Check and convert the columns of a data file: texts, labels, splits and groups."""

import math
import re
import unicodedata
from collections import Counter
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pandas as pd

from tasks.data.limits import MAX_LABEL_LENGTH, MINIMUM
from tasks.data.problems import Problems

LABELS = {
    **dict.fromkeys(("0", "neg", "negative", "false"), 0),
    **dict.fromkeys(("1", "pos", "positive", "true"), 1),
}
NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{0,12})?", re.ASCII)
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
    return _normalized(cell) in LABELS or NUMBER.fullmatch(cell.strip()) is not None


def check_texts(values: list[Any], places: list[str], problems: Problems) -> None:
    """Check texts.

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


def parse_labels(values: list[Any], places: list[str], positive: str | None, problems: Problems) -> list[int]:
    """Return labels as 0 and 1. Numbers are compared as numbers: 5, 5.0, "5" and " 5 " are one label.

    Args:
        values: Cells of the column.
        places: Place of each cell, such as "line 3".
        positive: Label of the positive class, or several labels separated by commas; None if the labels are in
            `LABELS`. A label that contains a comma is one label.
        problems: Gets the labels that are missing, unknown, too long or all of one class, each with its count.

    Returns:
        (reviews,) labels; 0 where a label is wrong.
    """
    labels = [_normalized(value) for value in values]
    for label, place in zip(labels, places, strict=True):
        if not label:
            problems.add("no label; fill in or delete these rows", place)
    counts = pd.Series([label for label in labels if label], dtype="str").value_counts()
    named = _split_positive(positive, counts.index)
    mapping = LABELS if positive is None else {label: int(label in named) for label in counts.index}
    _check_labels(counts, mapping, positive, named, problems)
    return [mapping.get(label, 0) for label in labels]


def class_names(values: list[Any], labels: list[int]) -> tuple[str, str]:
    """Return the names of class 0 and 1: the labels of the file, separated by commas if there are several."""
    names: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for value, label in zip(values, labels, strict=True):
        normalized = _normalized(value)
        names[label].setdefault(normalized, normalized if NUMBER.fullmatch(normalized) else str(value).strip())
    negative, positive = (", ".join(sorted(each.values()))[:MAX_LABEL_LENGTH] for each in names)
    return negative, positive


def _split_positive(positive: str | None, labels: pd.Index) -> set[str]:
    """Return the labels that the user names as positive."""
    whole = _normalized(positive)
    return {whole} if whole in labels else {_normalized(part) for part in (positive or "").split(",")} - {""}


def _check_labels(
    counts: pd.Series, mapping: dict[str, int], positive: str | None, named: set[str], problems: Problems
) -> None:
    """Add what is wrong with the labels of a file; `counts` holds the number of rows by label."""
    shown = ", ".join(f"{str(label)[:60]!r} ({count:,} rows)" for label, count in counts.head(10).items())
    if any(len(label) > MAX_LABEL_LENGTH or not label.isprintable() for label in counts.index):
        problems.add(f"labels {shown}; a label has at most {MAX_LABEL_LENGTH} characters and no control characters")
    if not len(counts):
        return  # what is known is that there are none
    if positive is None and not set(counts.index) <= mapping.keys():
        problems.add(
            f"labels {shown}; allowed: 0/1, neg/pos, negative/positive, false/true, or any others with "
            "--positive <the label of the positive class>, or several, such as --positive 4,5"
        )
    elif positive is not None and len(named) > 1 and not named < set(counts.index):
        absent = ", ".join(sorted(named - set(counts.index))) or "every label is positive"
        problems.add(
            f"labels {shown}; --positive {positive!r:.200} names labels of the file, and not all ({absent[:200]})"
        )
    elif positive is not None and len(named) < 2 and (len(counts) != 2 or 1 not in mapping.values()):
        several = (
            "" if len(counts) < 3 else ", or several positive labels, such as --positive 4,5: all others are negative"
        )
        problems.add(f"labels {shown}; allowed with --positive {positive!r:.200}: that label and one other{several}")
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
    """Return a cell in lower case without surrounding white space, numbers alike; an empty string if it is missing."""
    if _is_missing(value):
        return ""
    return _normalized_text(str(value))


@lru_cache(maxsize=10_000)
def _normalized_text(value: str) -> str:
    text = unicodedata.normalize("NFC", value.strip().casefold())
    return f"{Decimal(text).normalize() + 0:f}" if NUMBER.fullmatch(text) else text
