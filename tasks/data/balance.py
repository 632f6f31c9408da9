"""Class balance."""

from collections.abc import Iterable

import numpy as np

# Share of the rarest class, as a share of what it would be if all classes were equally frequent.
MIN_RELATIVE_SHARE = 0.8


def min_class_share(classes: int = 2) -> float:
    """Return the share of the rarest class below which reviews are imbalanced: 40% with two classes."""
    return MIN_RELATIVE_SHARE / classes


def is_imbalanced(labels: Iterable[int], classes: int = 2) -> bool:
    """Return whether the rarest class has a share below `min_class_share`, so that accuracy alone misleads.

    Args:
        labels: Label of each review, from 0 to `classes` - 1.
        classes: Number of classes.
    """
    counts = np.bincount(np.fromiter(labels, np.intp), minlength=classes)
    return bool(counts.min() / counts.sum() < min_class_share(classes))
