"""Class balance."""

from collections.abc import Iterable

import numpy as np

MIN_CLASS_SHARE = 0.4


def is_imbalanced(labels: Iterable[int]) -> bool:
    """Return whether the smaller class has a share below `MIN_CLASS_SHARE`, so that accuracy alone misleads.

    Args:
        labels: 0 or 1 for each review.
    """
    share = float(np.mean(np.fromiter(labels, float)))
    return min(share, 1 - share) < MIN_CLASS_SHARE
