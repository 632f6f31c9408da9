"""Class balance."""

from collections.abc import Iterable

import numpy as np

# With a smaller share of one class, accuracy alone misleads.
BALANCED_ENOUGH = 0.4


def imbalanced(labels: Iterable[int]) -> bool:
    """Tell whether one class is so rare among the labels, 0 or 1, that accuracy alone misleads."""
    share = float(np.mean(np.fromiter(labels, float)))
    return min(share, 1 - share) < BALANCED_ENOUGH
