"""Tables that leave the program: for Prefect and for spreadsheets, with nothing in them that acts."""

import math
import re
from pathlib import Path

import pandas as pd

from tasks.storage.store import replacing

NOT_KNOWN = "not known"
# A spreadsheet takes a cell that begins so for a formula (OWASP, "CSV Injection").
FORMULA = tuple("=+-@＝＋－＠")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def table_records(frame: pd.DataFrame, digits: int = 4) -> list[dict[str, object]]:
    """Turn a frame into the list of records that a table artifact takes: plain values, rounded, no NaN.

    Args:
        frame: Any frame; its texts are left as they are, for a table shows text as text.
        digits: Decimals kept.
    """
    return [
        {str(name): plain(value, digits) for name, value in record.items()}
        for record in frame.to_dict(orient="records")
    ]


def plain(value: object, digits: int) -> object:
    """Give the Python value of a cell: numbers rounded, what is missing in words."""
    value = value.item() if hasattr(value, "item") else value
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return NOT_KNOWN
    return round(value, digits) if isinstance(value, float) else value


def guard_formula(value: object) -> object:
    """Put an apostrophe before a text that a spreadsheet would run; leave numbers, and texts that are numbers."""
    if not isinstance(value, str) or NUMBER.fullmatch(value):
        return value
    # Of a cell that begins with a tab or a line break some spreadsheets read what stands behind it.
    begins = value.lstrip("".join(letter for letter in value if not letter.isprintable() or letter.isspace()))
    return f"'{value}" if begins.startswith(FORMULA) or value[:1] in ("\t", "\r", "\n") else value


def write_csv(frame: pd.DataFrame, path: Path) -> Path:
    """Write a frame as CSV (UTF-8, full precision) that a spreadsheet opens without running anything in it.

    The file is for its owner only.
    """
    texts = frame.select_dtypes(exclude="number").columns
    guarded = frame.assign(**{name: frame[name].map(guard_formula) for name in texts})
    # Lines as in RFC 4180; with a mere line feed a carriage return in a text would stand unquoted and end its row.
    with replacing(path) as file:
        guarded.rename(columns=guard_formula).to_csv(file, mode="wb", index=False, lineterminator="\r\n")
    return path
