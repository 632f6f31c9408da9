"""Hostile texts, and checks that an output shows them without acting on them."""

import re
from html.parser import HTMLParser

from markdown_it import MarkdownIt

# Characters that a terminal may act on: C0 except tab and line feed, DEL, C1, bidirectional controls, separators,
# surrogates.
CONTROL_CHARACTERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
TITLE, CLEAR, BIDI = "\x1b]0;OWNED\x07", "\x1b[2J", "\u202egnp.exe\u2066"
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>[x](javascript:alert(1))![y](z)|a|b|`c`$x_$[red]*s*"
LINES = "\nFORGED line\r\nFORGED line\u2028FORGED\x85FORGED\rFORGED"
# Any text, as in a frame or an argument.
ADDRESSES = "www.evil.example https://evil.example m@evil.example"
HOSTILE_TEXT = f"{TITLE}{CLEAR}\x9b31m\x7f{BIDI}{LINES}{MARKUP}\n{ADDRESSES}"
# A name of an architecture is shown without the module, which ends with a colon.
HOSTILE_ARCHITECTURE = HOSTILE_TEXT.replace(":", "")
# A file name: no slash, and at most 255 bytes.
HOSTILE_FILE_NAME = f"{TITLE}{CLEAR}{BIDI}\nFORGED\r<img src=x onerror=alert(1)>[x](javascript:1)|`$_$[red]".replace(
    "/", ""
)
# A name that stored files may hold: printable, at most 200 characters.
PRINTABLE_NAME = f"OWNED {MARKUP} {ADDRESSES}"


def is_inert(output: str) -> bool:
    """Check that an output has no control characters, and no line that starts with a line of a hostile text."""
    return not CONTROL_CHARACTERS.search(output) and not re.search(r"^\W*FORGED", output, re.MULTILINE)


def contains_hostile_text(output: str) -> bool:
    """Check that a hostile text is in the output at all: a test in which it does not occur proves nothing."""
    return "OWNED" in output


class Elements(HTMLParser):
    """Parser of a page that collects its elements.

    Attributes:
        names: Names of the elements.
        attributes: (name, value) of all attributes.
        cells: Number of cells of each table row.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.cells: list[int] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "tr":
            self.cells.append(0)
        elif tag in ("td", "th") and self.cells:
            self.cells[-1] += 1


def render_markdown(document: str) -> Elements:
    """Return the elements of a Markdown document, with raw HTML, tables and explicit links."""
    return Elements(MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(document))


def is_plain_markdown(document: str) -> bool:
    """Check that a Markdown document has no emphasis, link, image, script or attribute other than class and style."""
    page = render_markdown(document)
    active = {"script", "img", "a", "iframe", "svg", "em", "strong", "blockquote"} & set(page.names)
    return not active and not {name for name, _ in page.attributes} - {"class", "style"}
