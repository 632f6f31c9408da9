"""Any text can be shown on a terminal, in HTML and in Markdown."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tasks.config.escape import escape_html, escape_markdown, escape_terminal
from tests.helpers.hostile import CONTROL_CHARACTERS, HOSTILE_TEXT, Elements, render_markdown

pytestmark = pytest.mark.failure_mode("markup-in-text")

texts = st.text(st.characters(exclude_categories=()) | st.sampled_from("\x1b\x9b\n\r\u202e\ud800<>&|`[]()!*_$#:/@.w"))


@given(texts, st.booleans())
@example(HOSTILE_TEXT, False)
@example("\ud800", True)
def test_terminal_text_has_no_control_characters(text: str, lines: bool) -> None:
    shown = escape_terminal(text, lines=lines)
    assert not CONTROL_CHARACTERS.search(shown)
    assert lines or not set(shown) & set("\n\t")
    assert shown.count("\n") == (text.count("\n") if lines and len(text) < 90 else shown.count("\n"))
    assert len(shown) <= 1_001
    assert escape_terminal(shown, lines=lines) == shown
    shown.encode("utf-8")
    if text.isprintable() and len(text) <= 1_000:
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2J\x07", "a\\x1b[2J\\x07"), ("a\nb\tc\r\nd", "a b c  d"), ("\u202egnp.exe", "\\u202egnp.exe"),
        ("file\udcff.csv", "file\\udcff.csv"), ("na\u00efve\u00a0film 映画 👨\u200d👩", "naïve film 映画 👨\u200d👩"),
        ("می\u200cخواهم", "می\u200cخواهم"), (7, "7"),
    ],
)  # fmt: skip
def test_terminal_text_by_hand(text: object, shown: str) -> None:
    assert escape_terminal(text) == shown


def test_long_text_is_truncated() -> None:
    assert escape_terminal("x" * 1_001) == "x" * 1_000 + "…"
    assert escape_terminal("\x1b" * 10, 8) == "\\x1b\\x1b…"
    assert len(escape_terminal("x" * 5_000, None)) == 5_000


@given(texts)
@example(HOSTILE_TEXT)
def test_html_text_adds_no_element_and_no_attribute(text: str) -> None:
    page = Elements(f'<p title="{escape_html(text)}">{escape_html(text)}</p>')
    assert page.names == ["p"]
    assert [name for name, _ in page.attributes] == ["title"]
    assert not CONTROL_CHARACTERS.search(escape_html(text))


@given(texts)
@example(HOSTILE_TEXT)
def test_markdown_text_stays_in_its_table_cell(text: str) -> None:
    shown = escape_markdown(text)
    assert not re.search("[<\n]", shown)
    assert not CONTROL_CHARACTERS.search(shown)
    page = render_markdown(f"| a | b |\n|---|---|\n| {shown} | 1 |\n")
    assert page.cells == [2, 2]
    assert set(page.names) == {"table", "thead", "tbody", "tr", "th", "td"}


def test_addresses_are_not_turned_into_links_by_github() -> None:
    shown = escape_markdown("www.evil.example https://evil.example")
    assert shown == "www&#46;evil.example https&#58;//evil.example"
    assert "www.evil.example https://evil.example" in MarkdownIt().render(shown)
