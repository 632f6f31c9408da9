"""Hostile texts in a report that is opened in a browser: no script runs, no link is added, no table breaks."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from tasks.figures.rendered_figure import RenderedFigure
from tasks.reporting import figure_links, html, markdown, model
from tasks.reporting.comparison_tables import error_table
from tasks.reporting.formatting import text_table
from tasks.reporting.sections import Section
from tests.helpers import synthetic
from tests.helpers.browser import needs_browser, opened
from tests.helpers.report_inputs import make_run_info

# A script that runs leaves this attribute on the page.
RUN = "document.documentElement.setAttribute('data-ran','1')"
POLICY = re.compile(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>")
# Active elements of the page itself: a link within the page, and its script.
SKIP = '<a class="skip" href="#report">Skip to the report</a>'
SCRIPT = f"<script>{(html.TEMPLATES / 'report.js').read_text()}</script>"
FIGURE_ADDRESSES = ("data:image/png;base64,", "figures/")
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
    """Return a report with a hostile text in every place where a text of a user may be."""
    reviews = pd.DataFrame({"review_id": "r", "label": 1, "probability": 0.1, "text": HOSTILE})
    text = " ".join(HOSTILE)
    info = make_run_info(
        source=text, rows={text: 7}, fingerprint=text, caveats=HOSTILE, command=text, run_name=text, started=text,
        settings=dict.fromkeys(HOSTILE, text), versions={text: text},
    )  # fmt: skip
    figure = RenderedFigure("costs", text, text, b"\x89PNG")
    sections = [Section(text, text_table(error_table(reviews)), text), Section("Reviews", text_table(reviews))]
    return model.Report(info, synthetic.make_frames(reviews=40, seeds=2), [figure], HOSTILE, sections)


class Page(HTMLParser):
    """Parser that collects the elements and attributes of a page, and the number of cells of each table row."""

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


def is_inactive(page: Page, tables: int) -> bool:
    """Return whether a page has no active element or attribute, and tables with equally long rows."""
    active = {"script", "iframe", "svg", "a", "base", "object", "embed", "form", "plaintext"} & set(page.elements)
    active |= {name for name, _ in page.attributes if name.startswith("on") or name in ("srcdoc", "href", "http-equiv")}
    active |= {value for name, value in page.attributes if name == "src" and not value.startswith(FIGURE_ADDRESSES)}
    return not active and len(page.tables) == tables and all(len(set(rows)) == 1 for rows in page.tables)


def render_with_html(markdown: str) -> str:
    """Render Markdown with tables and with the HTML in it, which is the most permissive way."""
    return MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(markdown)


@pytest.mark.failure_mode("markup-in-text")
def test_hostile_texts_are_inert_in_html_and_markdown() -> None:
    report = hostile_report()
    harmless = replace(report, info=report.info.model_copy(update={"source": "x"}), verdict=["x"])
    tables = len(Page(html.render_html(harmless)).tables)
    page = Page(without_own_elements(without_policy(html.render_html(report))))
    assert is_inactive(page, tables)
    assert page.elements.count("img") == 1
    rendered = Page(render_with_html(markdown.render_markdown(report, figure_links.file_uri)))
    assert is_inactive(rendered, tables)
    assert rendered.elements.count("img") == 1
    assert not {"code", "pre"} & set(rendered.elements)
    assert rendered.elements.count("blockquote") == 1


def without_policy(page: str) -> str:
    """Remove the Content-Security-Policy, so that only escaping protects the page."""
    assert re.search(POLICY, page)
    return re.sub(POLICY, "", page)


def without_own_elements(page: str) -> str:
    """Remove the active elements of the page itself, which must be on it once."""
    assert page.count(SKIP) == page.count(SCRIPT) == 1
    return page.replace(SKIP, "").replace(SCRIPT, "")


def open_page(page: str, folder: Path) -> str:
    """Return a page after its scripts have run in the browser."""
    (folder / "page.html").write_text(page, encoding="utf-8")
    return opened(f"file://{folder}/page.html", folder / "profile")


@needs_browser
@pytest.mark.failure_mode("markup-in-text")
def test_no_script_in_a_text_runs_in_a_browser(tmp_path: Path) -> None:
    report = hostile_report()
    page = without_policy(html.render_html(report))
    rendered_markdown = render_with_html(markdown.render_markdown(report, figure_links.file_uri))
    opened_page = open_page(page.replace("</body>", f"{rendered_markdown}</body>"), tmp_path)
    assert "data-ran" not in opened_page.split("<head>")[0]
    # The script of the page itself did run.
    assert '<th scope="col" class="text"><button' in opened_page
    assert is_inactive(Page(without_own_elements(opened_page)), tables=len(Page(page).tables) * 2)
    assert opened_page.rstrip().endswith("</html>")


@needs_browser
@pytest.mark.failure_mode("markup-in-text")
def test_policy_stops_scripts_that_are_not_escaped(tmp_path: Path) -> None:
    bare = "<!doctype html><html><head>{}</head><body>" + HOSTILE[2] + HOSTILE[0] + "</body></html>"
    policy = re.search(POLICY, html.render_html(hostile_report()))[0]
    assert "data-ran" in open_page(bare.format(""), tmp_path).split("<head>")[0]
    assert "data-ran" not in open_page(bare.format(policy), tmp_path).split("<head>")[0]
