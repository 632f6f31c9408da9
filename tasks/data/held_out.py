"""Select the reviews of a held-out split by whole groups, of any sizes."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Rows = NDArray[np.bool_]
Counts = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]

# Fewer groups in all, or with reviews of a class, are not split.
MIN_SPLITTABLE = 5
# Accepted difference of the reviews of a class from the requested ones: the larger of a share of them and a number.
TOLERANCE, TOLERANCE_ROWS = 0.1, 2
# Copies of one text that may be held out: the larger of a share of the held-out reviews and a number.
COPIES, COPIES_ROWS = 0.02, 5
# Reviews in small groups for each one that is held out, so that training does not consist of large groups only.
RESERVE = 1.5
# Selections that are tried for each size of groups, and changes that are made to each.
ATTEMPTS, MAX_CHANGES = 10, 100


@dataclass(frozen=True, eq=False)
class Selection:
    """Reviews to select from.

    Attributes:
        labels: (reviews,) class of each review, from 0.
        groups: (reviews,) int, the number of the group of each review, from 0 without gaps.
        share: Share of the reviews of each class to hold out, in (0, 1).
        known: Whether the groups are given by the data set, not only copies of the same text.
        seed: Seed of the random choices.
    """

    labels: NDArray[np.int8]
    groups: NDArray[np.int64]
    share: float
    known: bool
    seed: int

    @cached_property
    def classes(self) -> int:
        """Number of classes, at least 2."""
        return max(int(self.labels.max(initial=0)) + 1, 2)

    @cached_property
    def requested(self) -> Floats:
        """Requested number of held-out reviews of each class."""
        return self.share * np.bincount(self.labels, minlength=self.classes)

    @cached_property
    def group_counts(self) -> Counts:
        """(groups, classes) number of reviews of each group and class."""
        counts = np.zeros((self.groups.max() + 1, self.classes), np.int64)
        np.add.at(counts, (self.groups, self.labels), 1)
        return counts


def select_held_out(labels: pd.Series, groups: pd.Series, share: float, seed: int, *, known: bool) -> Rows:
    """Return which reviews are held out: whole groups, stratified by label.

    Groups are drawn at random. If this results in other sizes than requested, because some groups are large, groups are
    drawn again from those up to a size which is as small as possible. Large groups therefore stay in training.

    Args:
        labels: (reviews,) class of each review from 0, in an order that does not depend on the order of the rows.
        groups: (reviews,) int, the same number for the reviews of a group; it does not depend on the order of the rows.
        share: Share of the reviews of each class to hold out, in (0, 1).
        seed: Seed of the random choices.
        known: Whether the groups are given by the data set, not only copies of the same text.

    Returns:
        (reviews,) bool; none if there are too few groups.
    """
    numbers = np.unique(groups.to_numpy(dtype=np.int64), return_inverse=True)[1]
    selection = Selection(labels.to_numpy(dtype=np.int8), numbers, share, known, seed)
    if not _is_splittable(selection):
        return np.zeros(len(numbers), bool)
    drawn = _draw_by_group(selection) if known else _draw_copies(selection)
    if _differs(selection, drawn) or _holds_many_copies(selection, drawn):
        drawn = _draw_balanced(selection, [drawn] if known else [])
    return np.asarray(drawn[numbers])


def differs_from_request(found: NDArray[np.int64], requested: Floats) -> bool:
    """Return whether the held-out reviews of a class differ from the requested ones by more than the tolerance."""
    return bool((np.abs(found - requested) > np.maximum(TOLERANCE * requested, TOLERANCE_ROWS)).any())


def _is_splittable(selection: Selection) -> bool:
    groups, labels = selection.groups, selection.labels
    counted = labels if selection.known else labels[_first_rows(groups)]
    smallest = np.bincount(counted, minlength=selection.classes).min()
    return bool(smallest >= MIN_SPLITTABLE and len(np.unique(groups)) >= MIN_SPLITTABLE)


def _first_rows(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(np.unique(groups, return_index=True)[1])


def _draw_copies(selection: Selection) -> Rows:
    """Draw texts with their copies. Few copies hardly change the sizes, and this takes a hundredth of the time."""
    from sklearn.model_selection import train_test_split

    numbers = np.arange(selection.groups.max() + 1)
    labels = selection.labels[_first_rows(selection.groups)]
    options = {"test_size": selection.share, "random_state": selection.seed}
    return np.isin(numbers, train_test_split(numbers, stratify=labels, **options)[1])


def _draw_by_group(selection: Selection) -> Rows:
    from sklearn.model_selection import StratifiedGroupKFold

    labels, groups = selection.labels, selection.groups
    folds = StratifiedGroupKFold(round(1 / selection.share), shuffle=True, random_state=selection.seed)
    held_out = next(iter(folds.split(labels, labels, groups)))[1]
    return np.isin(np.arange(groups.max() + 1), groups[held_out])


def _holds_many_copies(selection: Selection, drawn: Rows) -> bool:
    """Return whether one text would decide too much of the scores."""
    largest = int(np.bincount(selection.groups)[drawn].max())
    return not selection.known and largest > _copies_limit(selection)


def _copies_limit(selection: Selection) -> float:
    return max(COPIES * float(selection.requested.sum()), COPIES_ROWS)


def _draw_balanced(selection: Selection, others: list[Rows]) -> Rows:
    """Return the closest of some random selections from groups up to the smallest size for which this is close.

    Args:
        selection: The reviews.
        others: Selections that may be returned if no size is enough.
    """
    limit, rng = _copies_limit(selection), np.random.default_rng(selection.seed)
    counts, sizes = selection.group_counts, selection.group_counts.sum(axis=1)
    fits = (counts <= np.ceil(selection.requested)).all(axis=1)
    while True:
        small = np.flatnonzero(fits & (sizes <= limit))
        available = counts[small].sum(axis=0) / RESERVE
        wanted = np.minimum(selection.requested, available)
        draws = [_draw_up_to(counts, rng.permutation(small), wanted) for _ in range(ATTEMPTS)]
        closest = min([*others, *draws], key=lambda each: _distance(selection, each))
        is_enough = (available >= selection.requested).all() and not _differs(selection, closest)
        if is_enough or limit >= sizes.max():
            return closest
        others, limit = [closest], 2 * limit


def _draw_up_to(counts: Counts, order: NDArray[np.int64], wanted: Floats) -> Rows:
    """Add groups in this order where they fit, and then change single groups while this is an improvement."""
    drawn, found, rows = np.zeros(len(counts), bool), np.zeros(counts.shape[1]), counts[order]
    for group, added in zip(order, rows, strict=True):
        if (found + added <= np.ceil(wanted)).all():
            drawn[group], found = True, found + added
    for _ in range(MAX_CHANGES if len(order) else 0):
        changes = np.where(drawn[order, None], -rows, rows)
        distances = np.abs(found + changes - wanted).sum(axis=1)
        best = int(distances.argmin())
        if distances[best] >= np.abs(found - wanted).sum():
            break
        drawn[order[best]], found = not drawn[order[best]], found + changes[best]
    return drawn


def _differs(selection: Selection, drawn: Rows) -> bool:
    return differs_from_request(selection.group_counts[drawn].sum(axis=0), selection.requested)


def _distance(selection: Selection, drawn: Rows) -> float:
    found = selection.group_counts[drawn].sum(axis=0)
    return float((np.abs(found - selection.requested) / np.maximum(selection.requested, 1)).sum())
