"""Hostile reviews in the report, opened in a real browser: no script runs, no link leads out, no table breaks."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from tasks.figures.picture import Picture
from tasks.reporting import figure_links, html, markdown, model
from tasks.reporting.tables import mistake_table
from tests.helpers import synthetic
from tests.helpers.browser import needs_browser, opened

# Each would leave this mark on the page, if it ran.
RUN = "document.documentElement.setAttribute('data-ran','1')"
POLICY = re.compile(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>")
# What the page has of its own that acts: a link to its own text, and its script.
SKIP = '<a class="skip" href="#report">Skip to the report</a>'
SCRIPT = f"<script>{(html.TEMPLATES / 'report.js').read_text()}</script>"
OWN_PICTURES = ("data:image/png;base64,", "figures/")
HOSTILE = [
    f"<script>{RUN}</script>", f"</td></tr></table><script>{RUN}</script>", f"<img src=x onerror=\"{RUN}\">",
    f"'\"><svg onload=\"{RUN}\">", f"<a href=\"javascript:{RUN}\">x</a>", f"[x](javascript:{RUN})",
    f"![x](x\" onerror=\"{RUN})", "a | b | c", "| --- | --- |", "```mermaid\ngraph TD\n```", "~~~\n<b>", 
    "line\r\n\nbreak", "<!-- ", "<table><tr><td>", "\\|", "&lt;script&gt;", "<style>* { display: none }</style>",
    "<plaintext>", f"<iframe srcdoc=\"<script>parent.{RUN}</script>\">", "<https://evil.example>", "# Head", "- item",
    "> said", "\u202e right to left", "<base href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
]  # fmt: skip


def hostile_report() -> model.Report:
    """Make a report with a hostile text in every place where a user's text may stand."""
    reviews = pd.DataFrame({"review_id": "r", "label": 1, "probability": 0.1, "text": HOSTILE})
    every = " ".join(HOSTILE)
    facts = {
        "source": every, "rows": {every: 7}, "fingerprint": every, "caveats": HOSTILE, "command": every,
        "run_name": every, "started": every, "settings": dict.fromkeys(HOSTILE, every), "versions": {every: every},
    }  # fmt: skip
    picture = Picture("costs", every, every, b"\x89PNG")
    tables = {every: mistake_table(reviews), "As it is": reviews}
    return model.Report(facts, synthetic.frames(reviews=40, seeds=2), [picture], HOSTILE, tables)


class Page(HTMLParser):
    """Counts what a page holds: its elements, and the columns of each row of each table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.tables: list[list[int]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append(0)
        elif tag in ("td", "th"):
            self.tables[-1][-1] += 1


def is_harmless(page: Page, tables: int) -> bool:
    """Tell whether the page has no element or attribute that acts, and tables of even rows."""
    acting = {"script", "iframe", "svg", "a", "base", "object", "embed", "form", "plaintext"} & set(page.elements)
    acting |= {name for name, _ in page.attributes if name.startswith("on") or name in ("srcdoc", "href", "http-equiv")}
    acting |= {value for name, value in page.attributes if name == "src" and not value.startswith(OWN_PICTURES)}
    return not acting and len(page.tables) == tables and all(len(set(rows)) == 1 for rows in page.tables)


def as_github_shows(markdown: str) -> str:
    """Render Markdown with tables, and with the HTML that stands in it: the most that a page may do with it."""
    return MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(markdown)


@pytest.mark.fault(25)
def test_hostile_reviews_are_texts_in_html_and_markdown() -> None:
    made = hostile_report()
    harmless = replace(made, facts=made.facts | {"source": "x"})
    tables = len(Page(html.render_html(replace(harmless, verdict=["x"]))).tables)
    page = Page(without_own(without_policy(html.render_html(made))))
    assert is_harmless(page, tables)
    assert page.elements.count("img") == 1
    on_github = Page(as_github_shows(markdown.render_markdown(made, figure_links.linked)))
    assert is_harmless(on_github, tables)
    assert on_github.elements.count("img") == 1
    assert not {"code", "pre", "blockquote"} & set(on_github.elements)


def without_policy(page: str) -> str:
    """Take out what forbids scripts on the page whatever stands in it."""
    assert re.search(POLICY, page)
    return re.sub(POLICY, "", page)


def without_own(page: str) -> str:
    """Take out what acts on the page and is its own, once each."""
    assert page.count(SKIP) == page.count(SCRIPT) == 1
    return page.replace(SKIP, "").replace(SCRIPT, "")


def shown(page: str, folder: Path) -> str:
    """Return what becomes of a page in the browser."""
    (folder / "page.html").write_text(page, encoding="utf-8")
    return opened(f"file://{folder}/page.html", folder / "profile")


@needs_browser
@pytest.mark.fault(25)
def test_no_script_of_a_review_runs_in_a_browser(tmp_path: Path) -> None:
    made = hostile_report()
    # Without the page's own policy, so that escaping alone must hold; and with the Markdown behind it.
    page = without_policy(html.render_html(made))
    behind = as_github_shows(markdown.render_markdown(made, figure_links.linked))
    became = shown(page.replace("</body>", f"{behind}</body>"), tmp_path)
    assert "data-ran" not in became.split("<head>")[0]
    # The page's own script has run over all those texts.
    assert '<th scope="col" class="text"><button' in became
    assert is_harmless(Page(without_own(became)), tables=len(Page(page).tables) * 2)
    assert became.rstrip().endswith("</html>")


@needs_browser
@pytest.mark.fault(25)
def test_the_browser_would_run_what_is_not_escaped_and_the_policy_stops_it(tmp_path: Path) -> None:
    bare = "<!doctype html><html><head>{}</head><body>" + HOSTILE[2] + HOSTILE[0] + "</body></html>"
    policy = re.search(POLICY, html.render_html(hostile_report()))[0]
    assert "data-ran" in shown(bare.format(""), tmp_path).split("<head>")[0]
    assert "data-ran" not in shown(bare.format(policy), tmp_path).split("<head>")[0]
