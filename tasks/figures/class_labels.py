"""Labels of the classes in figures: names that come from the data, in any script and of any length."""

from __future__ import annotations

import functools
import textwrap
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from tasks.config.escape import escape_terminal

DEFAULT_FONT = "DejaVu Sans"  # matplotlib contains it
MAX_LINES = 3


class ClassLabels(NamedTuple):
    """Labels of the classes of a figure.

    Attributes:
        texts: Label of each class, by its number.
        fonts: Font families that contain their characters.
        note: Sentence for the caption with the names that are not shown as they are; empty if all are.
    """

    texts: list[str]
    fonts: list[str]
    note: str


def class_labels(class_names: Sequence[str], width: int, lines: int = MAX_LINES) -> ClassLabels:
    """Return labels of at most `lines` lines.

    A name with characters that no font of this system can show is replaced by the number of the class. matplotlib does
    not arrange letters from right to left, so such names are replaced as well.

    Args:
        class_names: Names of the classes, by their number.
        width: Characters of a line; half as many if a name has wide ones, such as Chinese.
        lines: Number of lines. A longer name is cut.
    """
    names = [" ".join(escape_terminal(name, None).split()) for name in class_names]
    fonts = [find_fonts(name) for name in names]
    texts = [
        f"Class {number}" if families is None else _wrap(name, width, lines)
        for number, (name, families) in enumerate(zip(names, fonts, strict=True))
    ]
    hidden = [
        f"class {number} is {name}"
        for number, (name, text) in enumerate(zip(names, texts, strict=True))
        if text.split() != name.split()
    ]
    note = f" In this figure, {', '.join(hidden)}." if hidden else ""
    families = dict.fromkeys(family for found in fonts for family in found or ())
    return ClassLabels(texts, [DEFAULT_FONT, *families], note)


def _wrap(name: str, width: int, lines: int) -> str:
    is_wide = any(unicodedata.east_asian_width(letter) in "WF" for letter in name)
    columns = max(width // (2 if is_wide else 1), 4)
    return "\n".join(textwrap.wrap(name, columns, max_lines=lines, placeholder="…"))


@functools.cache
def find_fonts(text: str) -> tuple[str, ...] | None:
    """Return the fonts of this system that a text needs in addition to `DEFAULT_FONT`.

    Returns:
        Font families, as few as possible; None if no font contains one of the characters, or if the text runs from
        right to left.
    """
    if text.isascii():
        return ()
    from matplotlib.font_manager import findfont

    if any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text):
        return None
    missing = {ord(letter) for letter in text if not letter.isspace()} - _characters(findfont(DEFAULT_FONT))
    families: list[str] = []
    while missing:
        family, contained = max(
            ((name, _characters(path) & missing) for name, path in _system_fonts()),
            key=lambda font: len(font[1]), default=("", frozenset()),
        )  # fmt: skip
        if not contained:
            return None
        families.append(family)
        missing -= contained
    return tuple(families)


@functools.cache
def _system_fonts() -> tuple[tuple[str, str], ...]:
    """Return name and path of the upright fonts of this system, in a fixed order; one of normal weight per family."""
    from matplotlib.font_manager import fontManager

    # The fonts named "Last Resort" show every character as a box.
    fonts = [font for font in fontManager.ttflist if font.style == "normal" and "Last Resort" not in font.name]
    by_name = {
        font.name: font.fname for font in sorted(fonts, key=lambda font: (-abs(_weight(font) - 400), font.fname))
    }
    return tuple(sorted(by_name.items()))


def _weight(font: object) -> int:
    weight = getattr(font, "weight", 400)
    return weight if isinstance(weight, int) else 700 if "bold" in str(weight) else 400


@functools.cache
def _characters(path: str) -> frozenset[int]:
    """Return the characters of a font; none if it is damaged or consists of bitmaps, which matplotlib cannot scale."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(path)
        return frozenset(font.get_charmap()) if font.scalable else frozenset()
    except (OSError, RuntimeError):
        return frozenset()
