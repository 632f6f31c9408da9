r"""Escape text for terminals, Markdown and HTML.

Class names, columns and file names come from files that somebody else may have written, so they must not contain
control sequences or markup. Invisible characters are shown as escapes, such as `\x1b`.
"""

import html
import re

MAX_NAME_LENGTH = 1_000  # characters shown of a name or a sentence
MAX_MESSAGE_LENGTH = 200_000  # characters shown of a message of several lines
# Not printable according to `str.isprintable`, but needed to write Persian, Hindi and many emoji, and harmless.
JOINERS = "\u200c\u200d"
# Characters that Markdown reads as markup inside a line or a table cell.
MARKDOWN_SYNTAX = re.compile(r"([\\`*_\[\]|~#$!{}])")
# GitHub turns addresses with these into links.
LINK_START = re.compile(r"(?<=www)\.|:(?=//)", re.IGNORECASE)


def escape_terminal(value: object, limit: int | None = MAX_NAME_LENGTH, *, lines: bool = False) -> str:
    r"""Return a value as one line of text that is safe on a terminal.

    Control characters (C0, DEL, C1), bidirectional controls, lone surrogates and all else that `str.isprintable`
    rejects become escapes such as `\x1b`; white space becomes a space. Printable text does not change.

    Args:
        value: Any value, converted by `str`.
        limit: Maximum number of characters, None for all; `…` replaces the rest.
        lines: Whether to keep line breaks and tabs, for messages of several lines.
    """
    text = str(value)
    shown = _escape_invisible(text if limit is None else text[: limit + 1], kept="\n\t" if lines else "")
    return shown if limit is None or len(shown) <= limit else f"{shown[:limit]}…"


def escape_markdown(value: object) -> str:
    """Return a value as Markdown that shows its text literally, on one line and within one table cell."""
    text = " ".join(_escape_invisible(str(value)).split())
    escaped = MARKDOWN_SYNTAX.sub(r"\\\1", html.escape(text, quote=False))
    return LINK_START.sub(lambda found: f"&#{ord(found[0])};", escaped)


def escape_html(value: object) -> str:
    """Return a value as text of an HTML page, or of an attribute in quotes; line breaks are kept."""
    return html.escape(_escape_invisible(str(value), kept="\n\t"))


def _escape_invisible(text: str, kept: str = "") -> str:
    """Replace invisible characters: white space by a space, others by their escape. Keep `kept` and `JOINERS`."""
    if text.isprintable():
        return text
    kept += JOINERS
    return "".join(letter if letter.isprintable() or letter in kept else _escape_letter(letter) for letter in text)


def _escape_letter(letter: str) -> str:
    return " " if letter.isspace() else letter.encode("unicode_escape").decode("ascii")
