"""Export tables to Prefect artifacts and CSV files, without spreadsheet formulas."""

import math
import re
from pathlib import Path

import pandas as pd

from tasks.storage.atomic_files import replace_file

NOT_KNOWN = "not known"
# A spreadsheet reads a cell with such a prefix as a formula (OWASP, "CSV Injection").
FORMULA_PREFIXES = tuple("=+-@＝＋－＠")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def table_records(frame: pd.DataFrame, digits: int = 4) -> list[dict[str, object]]:
    """Return a frame as the list of records that a table artifact takes: plain values, rounded, no NaN.

    Args:
        frame: Any frame. Texts are not changed, because a table artifact shows them as text.
        digits: Number of decimals.
    """
    return [
        {str(name): to_plain_value(value, digits) for name, value in record.items()}
        for record in frame.to_dict(orient="records")
    ]


def to_plain_value(value: object, digits: int) -> object:
    """Return a cell as a Python value: floats are rounded, and missing values become `NOT_KNOWN`."""
    value = value.item() if hasattr(value, "item") else value
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return NOT_KNOWN
    return round(value, digits) + 0.0 if isinstance(value, float) else value  # + 0.0 turns -0.0 into 0.0


def guard_formula(value: object) -> object:
    """Prefix a text that a spreadsheet would run as a formula with an apostrophe; texts of numbers are not changed."""
    if not isinstance(value, str) or NUMBER.fullmatch(value):
        return value
    # Some spreadsheets ignore leading white space and invisible characters.
    ignored = "".join(letter for letter in value if not letter.isprintable() or letter.isspace())
    is_formula = value.lstrip(ignored).startswith(FORMULA_PREFIXES) or value[:1] in ("\t", "\r", "\n")
    return f"'{value}" if is_formula else value


def write_csv(frame: pd.DataFrame, path: Path) -> Path:
    """Write a frame as CSV (UTF-8 with a byte order mark for Excel, full precision, mode 0600) without formulas."""
    texts = frame.select_dtypes(exclude="number").columns
    guarded = frame.assign(**{name: frame[name].map(guard_formula) for name in texts})
    # Line ends as in RFC 4180. With a line feed only, a carriage return in a text would not be quoted and end its row.
    with replace_file(path) as file:
        guarded.rename(columns=guard_formula).to_csv(
            file, mode="wb", index=False, lineterminator="\r\n", encoding="utf-8-sig"
        )
    return path
