r"""How texts of others are shown: in a terminal, in Markdown and in HTML, so that nothing in them acts.

Class names, columns, file names and folders come from files that somebody else may have written. Each output has one
function here. All three show characters that cannot be seen as escapes, such as `\x1b`.
"""

import html
import re

NAME = 1_000  # characters shown of a name or a sentence
MESSAGE = 200_000  # characters shown of a message of several lines
# Of what `str.isprintable` refuses, these are needed to write Persian, Hindi and many emoji, and move nothing.
JOINERS = "\u200c\u200d"
# What Markdown reads as markup inside a line or a table cell.
MARKUP = re.compile(r"([\\`*_\[\]|~#$!{}])")
# GitHub's flavour makes links of these.
ADDRESS = re.compile(r"(?<=www)\.|:(?=//)", re.IGNORECASE)


def escape_terminal(value: object, limit: int | None = NAME, *, lines: bool = False) -> str:
    r"""Write a value so that a terminal shows it and does nothing else, on one line.

    Control characters (C0, DEL, C1), bidirectional controls, lone surrogates and all else that `str.isprintable`
    refuses become escapes such as `\x1b`; white space becomes a blank. Printable text stays as it is.

    Args:
        value: Any value; `str` of it is shown.
        limit: Characters shown at most, None for all; `…` stands for the rest.
        lines: Keep line breaks and tabs: for a message that has several lines of its own.
    """
    text = str(value)
    shown = _visible(text if limit is None else text[: limit + 1], kept="\n\t" if lines else "")
    return shown if limit is None or len(shown) <= limit else f"{shown[:limit]}…"


def escape_markdown(value: object) -> str:
    """Write a value so that Markdown shows it letter for letter, on one line and within one table cell."""
    text = " ".join(_visible(str(value)).split())
    escaped = MARKUP.sub(r"\\\1", html.escape(text, quote=False))
    return ADDRESS.sub(lambda found: f"&#{ord(found[0])};", escaped)


def escape_html(value: object) -> str:
    """Write a value as text of an HTML page, or as the value of an attribute in quotes; line breaks are kept."""
    return html.escape(_visible(str(value), kept="\n\t"))


def _visible(text: str, kept: str = "") -> str:
    """Replace what cannot be seen: white space by a blank, all else by its escape; `kept` and `JOINERS` stay."""
    if text.isprintable():
        return text
    kept += JOINERS
    return "".join(letter if letter.isprintable() or letter in kept else _shown(letter) for letter in text)


def _shown(letter: str) -> str:
    return " " if letter.isspace() else letter.encode("unicode_escape").decode("ascii")
