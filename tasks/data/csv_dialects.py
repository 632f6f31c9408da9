"""Find the separator and the quoting of a CSV file.

Each possible dialect parses the first records, and the one with the most records of the header's length is taken, as
`csv.Sniffer` does in the development version of Python. The released `csv.Sniffer` (and `sep=None` of pandas, which
uses it) counts characters, and takes a letter or a space for the separator of reviews.
"""

import csv
import io
import itertools
import re
from dataclasses import dataclass
from typing import Any

# The first of equals is taken. Tabs are rare in texts, commas are not.
SEPARATORS = {"\t": "tabs", "|": "pipes", ";": "semicolons", ",": "commas"}
SAMPLE = 2**18  # characters
SAMPLE_ROWS = 500
# Excel writes and reads such a first line.
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?,*(?:\r\n|\r|\n)')


@dataclass(frozen=True)
class Dialect:
    """How fields are separated and quoted.

    Attributes:
        separator: One character.
        quoting: How quotes are written in a quoted field: doubled, or with a backslash; or "none", if a quote is an
            ordinary character.
        skip_space: Whether white space after a separator is no part of a field.
        has_separator_line: Whether the first line names the separator.
    """

    separator: str = ","
    quoting: str = "doubled"
    skip_space: bool = False
    has_separator_line: bool = False

    @property
    def shown(self) -> list[str]:
        """Return what differs from RFC 4180, for a reader."""
        separators = SEPARATORS.get(self.separator, repr(self.separator))
        notes = {"backslash": "quotes written with a backslash", "none": "without quoting"}
        return [
            *([f"separated by {separators}"] if self.separator != "," else []),
            *([notes[self.quoting]] if self.quoting in notes else []),
        ]

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `csv.reader`."""
        quoting: dict[str, dict[str, Any]] = {
            "doubled": {"doublequote": True},
            "backslash": {"doublequote": False, "escapechar": "\\"},
            "none": {"quoting": csv.QUOTE_NONE},
        }
        shared = {"delimiter": self.separator, "skipinitialspace": self.skip_space, "strict": True}
        return shared | quoting[self.quoting]


@dataclass(frozen=True)
class _Trial:
    """The first records of a file in a dialect."""

    dialect: Dialect
    rows: list[list[str]]

    def has(self, columns: list[str]) -> bool:
        return len(self.rows[0]) > 1 and set(columns) <= set(self.rows[0])

    def share(self) -> float:
        """Return the share of records that have as many fields as the first one; 0 if that is one field."""
        width = len(self.rows[0])
        return sum(len(row) == width for row in self.rows) / len(self.rows) if width > 1 else 0.0


def find_dialect(sample: str, columns: list[str], separator: str | None, *, is_cut: bool) -> Dialect:
    """Return the dialect of a CSV file.

    Args:
        sample: The first characters of the file.
        columns: Columns of its header, as far as they are known; empty if there is no header.
        separator: The separator, if the user names it.
        is_cut: Whether the file goes on after the sample.

    Returns:
        With commas and doubled quotes if nothing fits, so that reading reports what is wrong.
    """
    line = SEPARATOR_LINE.match(sample)
    if line:
        sample, separator = sample[line.end() :], separator or line[1]
    trials = [_try(sample, each, is_cut) for each in ([separator] if separator else SEPARATORS)]
    usable = [trial for trial in trials if trial.rows and (trial.share() or separator)]
    best = max(usable, key=lambda trial: (bool(columns) and trial.has(columns), trial.share()), default=None)
    dialect = best.dialect if best else Dialect(separator or ",")
    names = best.rows[0][1:] if best and columns else []
    skip_space = bool(names) and all(name.startswith(" ") for name in names)
    return Dialect(dialect.separator, dialect.quoting, skip_space, line is not None)


def _try(sample: str, separator: str, is_cut: bool) -> _Trial:
    """Parse the first records with a separator: with doubled quotes, or what else is usual where these are wrong."""
    doubled = Dialect(separator)
    others = [Dialect(separator, "backslash")] if '\\"' in sample else []
    others += [Dialect(separator, "none")] if separator == "\t" else []
    for dialect in (doubled, *others):
        rows, is_broken = _parse(sample, dialect, is_cut)
        if rows and not is_broken and (dialect is doubled or _Trial(dialect, rows).share() == 1):
            return _Trial(dialect, rows)
    return _Trial(doubled, _parse(sample, doubled, is_cut)[0])


def _parse(sample: str, dialect: Dialect, is_cut: bool) -> tuple[list[list[str]], bool]:
    """Return the first records, without blank lines, and whether a quote among them is wrong."""
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(sample, newline=""), **dialect.arguments())
    is_broken = False
    try:
        for row in itertools.islice(reader, SAMPLE_ROWS):
            rows.append(row)
    except csv.Error as error:
        is_broken = not (is_cut and "unexpected end" in str(error))
    else:
        rows = rows[:-1] if is_cut and 1 < len(rows) < SAMPLE_ROWS else rows
    return [row for row in rows if row], is_broken
