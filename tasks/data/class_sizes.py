"""Check that there are enough reviews of each class, in all and in each split."""

import csv
import io
import shlex

import numpy as np
import pandas as pd

from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.data.columns import SPLITS
from tasks.data.labels import LABELS
from tasks.data.limits import MIN_CLASS_SIZE

# Reviews of a class that suffice for all splits: given ones at best, and those that are made here at least.
MIN_GIVEN, MIN_DIVIDED = 3 * MIN_CLASS_SIZE, 6 * MIN_CLASS_SIZE
SHOWN_CLASSES, SHOWN_CHARACTERS = 10, 60  # in messages


def check_total_sizes(reviews: pd.DataFrame, classes: tuple[str, ...], *, is_given: bool) -> None:
    """Check before the reviews are divided that none of several classes has so few that they cannot be.

    Args:
        reviews: Columns label, and group where it is known.
        classes: Names of the classes.
        is_given: Whether the splits are given.

    Raises:
        UserError: If there are more than two classes, and one of them is too small, with the others that are.
    """
    totals = np.bincount(reviews["label"], minlength=len(classes))
    if len(classes) > 2 and totals.min() < MIN_GIVEN:
        counts = pd.DataFrame([totals], index=["rows"])
        _raise_too_few(reviews, counts, classes, MIN_GIVEN if is_given else MIN_DIVIDED, is_given=is_given)


def check_split_sizes(reviews: pd.DataFrame, classes: tuple[str, ...], *, is_given: bool) -> None:
    """Check the number of reviews of each class in each split; arguments as in `check_total_sizes`.

    Raises:
        UserError: If a split has fewer than `MIN_CLASS_SIZE` reviews of a class.
    """
    counts = reviews.groupby(["split", "label"]).size().unstack(fill_value=0)  # noqa: PD010
    counts = counts.reindex(index=SPLITS, columns=range(len(classes)), fill_value=0)
    if counts.to_numpy().min() < MIN_CLASS_SIZE:
        _raise_too_few(reviews, counts, classes, MIN_CLASS_SIZE, is_given=is_given)


def _raise_too_few(
    reviews: pd.DataFrame, counts: pd.DataFrame, classes: tuple[str, ...], minimum: int, *, is_given: bool
) -> None:
    """Raise the error for classes with fewer than a minimum of reviews in a row of `counts` (columns: classes)."""
    hint = (
        "" if is_given else f" Without a split column, about {MIN_CLASS_SIZE * 7} different reviews a class are needed."
    )
    if "group" in reviews and not is_given:
        hint += f" The reviews are of {reviews['group'].nunique():,} groups, and none of these may be split."
    small = [number for number in range(len(classes)) if counts[number].min() < minimum]
    if len(classes) == 2:
        sizes = "; ".join(f"{split}: {row[0]:,} negative, {row[1]:,} positive" for split, row in counts.iterrows())
        found, advice = f"{len(reviews):,} rows result in {sizes}", ""
    else:
        named = [_describe_class(counts, classes, number) for number in small[:SHOWN_CLASSES]]
        more = ", …" if len(small) > SHOWN_CLASSES else ""
        found = f"{len(small):,} of {len(classes):,} classes are too small: {', '.join(named)}{more}"
        advice = _advise([name for number, name in enumerate(classes) if number not in small])
    raise UserError(
        f"Too few reviews: {found}. The minimum is {MIN_CLASS_SIZE} reviews of each class in each split.{hint}{advice}"
    )


def _describe_class(counts: pd.DataFrame, classes: tuple[str, ...], number: int) -> str:
    sizes = ", ".join(f"{name}: {size:,}" for name, size in counts[number].items())
    return f"{escape_terminal(classes[number], SHOWN_CHARACTERS)!r} ({sizes})"


def _advise(large: list[str]) -> str:
    """Return the options that leave out or merge the other classes, given those that are large enough."""
    merge = "merge labels in the file, or compare two classes by --positive"
    if len(large) < 2:
        return f" Add reviews, {merge}."
    if len(large) == 2:  # the second one will be the positive class
        large.sort(key=lambda name: LABELS.get(name.casefold(), 0))
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(large)
    return f" Leave these classes out by --classes {shlex.quote(escape_terminal(line.getvalue(), None))}, {merge}."
