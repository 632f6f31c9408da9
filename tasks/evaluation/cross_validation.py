"""Cross-validated decision whether a value that is fitted on the validation split is used."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.grouping import ReviewGroups, group_contributions
from tasks.evaluation.metrics import Floats

Labels = NDArray[np.int8]
Fit = Callable[[Labels, Floats], float]
Gain = Callable[[Labels, Floats, float], Floats]
FOLDS = 10


def assign_folds(labels: Labels, probabilities: Floats, groups: ReviewGroups | None) -> NDArray[np.int64]:
    """Return the fold of each review, (reviews,) int64 from 0 to `FOLDS` - 1; reviews of a group are in one fold.

    Groups are sorted by their mean label, then by their mean probability (the highest of a review with more than two
    classes), and dealt out in turn. Every fold therefore contains both of two classes, and no seed is needed.
    """
    each = groups or make_singletons(len(labels))
    keys = (probabilities if probabilities.ndim == 1 else probabilities.max(axis=1), labels)
    means = [each.sum(np.asarray(values, dtype=np.float64)) / each.sizes for values in keys]
    fold_of_group = np.empty(len(each.sizes), dtype=np.int64)
    fold_of_group[np.lexsort(means)] = np.arange(len(each.sizes)) % FOLDS
    folds = np.empty(len(labels), dtype=np.int64)
    folds[each.order] = np.repeat(fold_of_group, each.sizes)
    return folds


def make_singletons(reviews: int) -> ReviewGroups:
    """Return groups of one review each."""
    return ReviewGroups(np.arange(reviews), np.arange(reviews), np.ones(reviews, dtype=np.int64))


def improves_held_out(
    labels: Labels, probabilities: Floats, groups: ReviewGroups | None, fit: Fit, gain: Gain, *, errors: float = 0
) -> bool:
    """Return whether a fitted value improves reviews that it was not fitted on.

    Args:
        labels: (reviews,) int8, the class of each review, from 0.
        probabilities: (reviews,) float, of class 1, in [0, 1]; or (reviews, classes).
        groups: Which reviews belong together, copies of a text among them; None if each one is independent.
        fit: Fits the value to labels and probabilities of some reviews.
        gain: Computes the gain of each review, (reviews,) float, from labels, probabilities and value.
        errors: Number of standard errors that the gain must be larger than, so that it is hardly noise. Source of 1:
            Breiman, Friedman, Olshen and Stone 1984, "Classification and Regression Trees".
    """
    folds = assign_folds(labels, probabilities, groups)
    gains = np.empty(len(labels))
    for fold in range(FOLDS):
        held_out = folds == fold
        value = fit(labels[~held_out], probabilities[~held_out])
        gains[held_out] = gain(labels[held_out], probabilities[held_out], value)
    units = gains if groups is None else group_contributions(gains, groups)
    return float(units.mean()) > errors * float(units.std(ddof=1)) / len(units) ** 0.5
