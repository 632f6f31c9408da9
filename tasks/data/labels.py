"""Convert the labels of a data file to classes, numbered from 0."""

import csv
import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pandas as pd

from tasks.config.file_options import MAX_CLASSES
from tasks.data.cells import is_missing
from tasks.data.limits import MAX_LABEL_LENGTH, MINIMUM
from tasks.data.problems import Problems

LABELS = {
    **dict.fromkeys(("0", "neg", "negative", "false"), 0),
    **dict.fromkeys(("1", "pos", "positive", "true"), 1),
}
NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{0,12})?", re.ASCII)
USUAL_CLASSES = ("negative", "positive")
NOT_SELECTED = -1  # class of a row whose label is not among the selected classes
SHOWN_LABELS = 10


@dataclass(frozen=True)
class LabelOptions:
    """What the user and the file say about the classes.

    Attributes:
        positive: Label of the positive class, or several labels separated by commas; None if it is not given.
        classes: Labels of the classes in their order, separated by commas; None if they are not given.
        names: Names of the classes that the file contains; empty if it contains none.
    """

    positive: str | None = None
    classes: str | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Labels:
    """Converted labels.

    Attributes:
        numbers: Class of each row, from 0; `NOT_SELECTED` if its label is not among the selected classes.
        classes: Name of each class.
    """

    numbers: list[int]
    classes: tuple[str, ...] = USUAL_CLASSES


def parse_labels(values: list[Any], places: list[str], options: LabelOptions, problems: Problems) -> Labels:
    """Return labels as classes. Numbers are compared as numbers: 5, 5.0, "5" and " 5 " are one label.

    Labels in `LABELS` are the classes negative and positive, and with `positive`, there are these two as well. Three or
    more other labels are one class each: in the order of `classes`, else in that of the names that the file contains,
    else by number if all are numbers, else by frequency.

    Args:
        values: Cells of the column.
        places: Place of each cell, such as "line 3".
        options: What the user and the file say about the classes.
        problems: Gets the labels that are missing, unknown, too long, too many or all of one class, with their counts.

    Returns:
        The classes; 0 for a wrong label.
    """
    labels = [normalize_label(value) for value in values]
    for label, place in zip(labels, places, strict=True):
        if not label:
            problems.add("no label; fill in or delete these rows", place)
    counts = pd.Series([label for label in labels if label], dtype="str").value_counts()
    _check_names(counts, problems)
    if options.classes is not None:
        return _number_classes(values, labels, _selected_classes(options, counts, problems))
    if options.positive is None and len(counts) > 2 and not set(counts.index) <= LABELS.keys():
        return _number_classes(values, labels, _ordered_classes(options, counts, problems))
    return _binary_labels(values, labels, _positive(options), counts, problems)


def _check_names(counts: pd.Series, problems: Problems) -> None:
    if any(len(label) > MAX_LABEL_LENGTH or not label.isprintable() for label in counts.index):
        problems.add(
            f"labels {_shown(counts)}; a label has at most {MAX_LABEL_LENGTH} characters and no control characters"
        )


def _shown(counts: pd.Series) -> str:
    more = f", … ({len(counts):,} labels in all)" if len(counts) > SHOWN_LABELS else ""
    shown = counts.head(SHOWN_LABELS).items()
    return ", ".join(f"{str(label)[:60]!r} ({count:,} rows)" for label, count in shown) + more


def _number_classes(values: list[Any], labels: list[str], classes: list[str]) -> Labels:
    """Return one class for each label, named as it is first written in the file."""
    numbers = {label: number for number, label in enumerate(classes)}
    names: dict[str, str] = {}
    for value, label in zip(values, labels, strict=True):
        if label in numbers:
            names.setdefault(label, _written(value, label))
    found = [numbers.get(label, NOT_SELECTED) if label else 0 for label in labels]
    return Labels(found, tuple(names.get(label, label)[:MAX_LABEL_LENGTH] for label in classes))


def _selected_classes(options: LabelOptions, counts: pd.Series, problems: Problems) -> list[str]:
    """Return the labels that the user selects, in the order of the user."""
    parts = next(csv.reader([options.classes or ""], skipinitialspace=True))
    selected = list(dict.fromkeys(normalize_label(part) for part in _named(parts, options.names)))
    if absent := [label for label in selected if label not in counts.index]:
        problems.add(f"labels {_shown(counts)}; --classes names others: {', '.join(map(repr, absent))[:200]}")
    if len(selected) < 2:
        problems.add(f"--classes names {len(selected)} label, and at least two different ones are needed")
    return selected


def _ordered_classes(options: LabelOptions, counts: pd.Series, problems: Problems) -> list[str]:
    """Return all labels of a file: as the file orders them, by number, or by frequency."""
    if len(counts) > MAX_CLASSES:
        problems.add(
            f"labels {_shown(counts)}; at most {MAX_CLASSES} classes are allowed. Choose the column of the labels by "
            "--label-column, some of its labels by --classes a,b,c, or two classes by --positive a,b"
        )
    named = [normalize_label(name) for name in options.names]
    if unnamed := sorted(set(counts.index) - set(named)) if named else []:
        problems.add(
            f"labels {_shown(counts)}; the file names its classes, and not {', '.join(map(repr, unnamed))[:200]}. "
            "Leave these rows out by --classes a,b,c"
        )
    if named:
        return [label for label in dict.fromkeys(named) if label in counts.index]
    if all(NUMBER.fullmatch(label) for label in counts.index):
        return sorted(counts.index, key=Decimal)
    return sorted(counts.index, key=lambda label: (-counts[label], label))


def _binary_labels(
    values: list[Any], labels: list[str], positive: str | None, counts: pd.Series, problems: Problems
) -> Labels:
    """Return two classes: those in `LABELS`, or the labels that the user names as positive and all others."""
    named = _split_positive(positive, counts.index)
    mapping = LABELS if positive is None else {label: int(label in named) for label in counts.index}
    _check_binary(counts, mapping, positive, named, problems)
    numbers = [mapping.get(label, 0) for label in labels]
    return Labels(numbers, USUAL_CLASSES if positive is None else _joined_names(values, labels, numbers))


def _joined_names(values: list[Any], labels: list[str], numbers: list[int]) -> tuple[str, str]:
    """Return the names of class 0 and 1: the labels of the file, separated by commas if there are several."""
    names: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for value, label, number in zip(values, labels, numbers, strict=True):
        names[number].setdefault(label, _written(value, label))
    negative, positive = (", ".join(sorted(each.values()))[:MAX_LABEL_LENGTH] for each in names)
    return negative, positive


def _written(value: Any, label: str) -> str:
    """Return the name of a label: a number in its shortest form, or the text of its cell."""
    return label if NUMBER.fullmatch(label) else str(value).strip()


def _positive(options: LabelOptions) -> str | None:
    """Return the label of the positive class, where a file may name its classes and store their numbers."""
    names = options.names
    if options.positive is None:
        is_usual = {name.strip().casefold() for name in names} <= LABELS.keys()
        return names[1] if len(names) == 2 and not is_usual else None
    if not names or options.positive in names:
        return options.positive
    return ",".join(_named([part.strip() for part in options.positive.split(",")], names))


def _named(parts: list[str], names: tuple[str, ...]) -> list[str]:
    """Return labels with the names that the file contains in place of their numbers."""
    numbers = {str(number): name for number, name in enumerate(names)}
    return [numbers.get(part, part) if part not in names else part for part in parts]


def _split_positive(positive: str | None, labels: pd.Index) -> set[str]:
    """Return the labels that the user names as positive."""
    whole = normalize_label(positive)
    return {whole} if whole in labels else {normalize_label(part) for part in (positive or "").split(",")} - {""}


def _check_binary(
    counts: pd.Series, mapping: dict[str, int], positive: str | None, named: set[str], problems: Problems
) -> None:
    """Add what is wrong with the labels of two classes; `counts` holds the number of rows by label."""
    shown = _shown(counts)
    if not len(counts):
        return  # what is known is that there are none
    if positive is None and not set(counts.index) <= mapping.keys():
        problems.add(
            f"labels {shown}; allowed: 0/1, neg/pos, negative/positive, false/true, three or more labels, or any two "
            "with --positive <the label of the positive class>"
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


def normalize_label(value: object) -> str:
    """Return a cell in lower case without surrounding white space, numbers alike; an empty string if it is missing."""
    if is_missing(value):
        return ""
    return _normalized_text(str(value))


@lru_cache(maxsize=10_000)
def _normalized_text(value: str) -> str:
    text = unicodedata.normalize("NFC", value.strip().casefold())
    return f"{Decimal(text).normalize() + 0:f}" if NUMBER.fullmatch(text) else text
