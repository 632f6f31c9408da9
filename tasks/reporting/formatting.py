"""Format numbers, intervals, names and tables as the report shows them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral

import pandas as pd

from tasks.config.labels import in_display_order, label
from tasks.reporting.tabular import NOT_KNOWN

# Columns whose texts are names, and are shown by their labels.
NAME_COLUMNS = frozenset({"architecture", "first", "second", "metric"})
# A float represents 15 significant digits exactly; further digits would show rounding errors.
EXACT_DIGITS = 15


@dataclass(frozen=True)
class FormattedNumber:
    """One or more numbers as a table shows them.

    Attributes:
        text: Rounded, such as `89.40 ± 0.86`.
        exact: The same text with all digits, such as `89.4 ± 0.862458694`.
        value: The first number, by which a table is sorted; None if it is not known.
    """

    text: str
    exact: str
    value: float | None = None

    def __str__(self) -> str:
        """Return the rounded text."""
        return self.text


Cell = str | FormattedNumber


@dataclass(frozen=True)
class TextTable:
    """A table of formatted cells."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def format_number(value: object, digits: int = 2, factor: float = 1.0, *, sign: bool = False) -> FormattedNumber:
    """Format a number with thousands separators; a number that is rounded to zero has no sign.

    Args:
        value: The number. Anything that is not a finite number is shown as not known.
        digits: Number of decimals.
        factor: Factor by which the number is multiplied, such as 100 for percent.
        sign: Whether a positive number has a plus sign.
    """
    if value is None or not isinstance(value, (int, float)) or not math.isfinite(value):
        return FormattedNumber(NOT_KNOWN, NOT_KNOWN)
    scaled, plus = factor * float(value), "+" if sign else ""
    return FormattedNumber(f"{scaled:{plus}z,.{digits}f}", f"{scaled:{plus}z,.{EXACT_DIGITS}g}", scaled)


def combine(pattern: str, *parts: Cell) -> FormattedNumber:
    """Insert numbers and texts into a pattern such as `{} ± {}`; the first number is the one to sort by."""
    exact = (part.exact if isinstance(part, FormattedNumber) else part for part in parts)
    first = next((part.value for part in parts if isinstance(part, FormattedNumber)), None)
    return FormattedNumber(pattern.format(*parts), pattern.format(*exact), first)


def format_interval(
    value: float, low: float, high: float, *, factor: float = 100, separator: str = " "
) -> FormattedNumber:
    """Format a value and its interval with two decimals if `factor` is 100 (percent, points), otherwise with four."""
    digits = 2 if factor == 100 else 4
    if not math.isfinite(value):
        return format_number(value)
    return combine(
        f"{{}}{separator}[{{}}, {{}}]", *(format_number(each, digits, factor) for each in (value, low, high))
    )


def format_intervals(frame: pd.DataFrame, value: str, low: str, high: str, factor: float = 100) -> pd.Series:
    """Format the value and, on a second line, the interval in each row of a frame.

    Args:
        frame: Rows to format.
        value: Column of the values.
        low: Column of the lower limits.
        high: Column of the upper limits.
        factor: Factor to the shown unit, see `format_interval`.
    """
    rows = frame[[value, low, high]].to_numpy()
    return pd.Series([format_interval(*row, factor=factor, separator="\n") for row in rows], frame.index, dtype=object)


def format_p_value(p: float) -> FormattedNumber:
    """Format a p-value with four decimals, or as below 0.0001."""
    formatted = format_number(p, 4)
    return replace(formatted, text="< 0.0001") if p < 0.0001 else formatted


def format_percentages(shares: pd.DataFrame) -> pd.DataFrame:
    """Format shares in [0, 1] as percentages with two decimals."""
    return shares.map(lambda share: format_number(float(share), 2, 100))


def text_table(frame: pd.DataFrame) -> TextTable:
    """Format a frame: names of columns and architectures by their labels, numbers rounded to four decimals.

    A column that is not an identifier, such as `p (Holm)`, is its own label.
    """
    rows = [
        [_format_cell(str(column), value) for column, value in zip(frame.columns, row, strict=True)]
        for row in frame.itertuples(index=False)
    ]
    columns = map(str, frame.columns)
    return TextTable([label(column) if column.isidentifier() else column for column in columns], rows)


def _format_cell(column: str, value: object) -> Cell:
    if isinstance(value, FormattedNumber):
        return value
    if isinstance(value, str):
        return label(value) if column in NAME_COLUMNS else value
    if isinstance(value, Integral) and not isinstance(value, bool):
        return FormattedNumber(str(value), str(value), int(value))
    return format_number(value, 4) if isinstance(value, float) else str(value)


def pivot_architectures(frame: pd.DataFrame, *, rows: str) -> pd.DataFrame:
    """Pivot a long frame (architecture, `rows`, value) to one column per architecture."""
    table = frame.pivot_table(index=rows, columns="architecture", values="value", sort=False, aggfunc="first")
    return table[in_display_order(frame["architecture"])].reset_index().rename_axis(columns=None)


def format_bytes(size: int) -> str:
    """Format a size in bytes as megabytes."""
    return f"{size / 1e6:,.1f} MB"
