"""Cells of a data file."""

import math


def is_missing(value: object) -> bool:
    """Return whether a cell has no value: None, NaN, or white space only."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or not str(value).strip()
