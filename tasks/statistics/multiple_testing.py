"""Correction of p-values for multiple testing.

Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
"""

import numpy as np

from tasks.evaluation.metrics import Floats


def holm_adjust(p_values: Floats) -> Floats:
    """Return p-values adjusted by Holm's procedure.

    Of k p-values the smallest is multiplied by k, the next by k - 1, and so on. The adjusted values never decrease and
    are at most 1. statsmodels' `multipletests` gives the same values (see the tests), but it runs the garbage collector
    at every call, which takes 20 ms or more, and it does not accept missing values.

    Args:
        p_values: Array of any shape, possibly empty, in [0, 1]. NaN marks a test that was not made; it is not counted.

    Returns:
        Adjusted p-values in the same shape, NaN where the input is NaN.
    """
    tested = np.isfinite(p_values)
    ordered = np.sort(p_values[tested])
    adjusted = np.minimum(np.maximum.accumulate(ordered * np.arange(len(ordered), 0, -1)), 1.0)
    result = np.full(p_values.shape, np.nan)
    result[tested] = adjusted[np.searchsorted(ordered, p_values[tested])]
    return result


def holm_level(adjusted: Floats, alpha: float) -> float:
    """Return the level at which Holm's procedure tests the first hypothesis that it does not reject.

    Holm's procedure tests the smallest p-value at alpha / pairs, the next at alpha / (pairs - 1), and so on. Pairs that
    are clearly different, such as any pair with the majority class, therefore do not lower the level for the others.

    Args:
        adjusted: (pairs,) float, p-values from `holm_adjust`.
        alpha: Family-wise error rate.
    """
    return alpha / max(int((adjusted > alpha).sum()), 1)
