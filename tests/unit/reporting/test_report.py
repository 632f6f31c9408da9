"""Reports in HTML and Markdown: content, escaping and self-containment."""

import base64
import csv
import hashlib
import re
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tasks.config.escape import escape_markdown
from tasks.figures.rendered_figure import RenderedFigure
from tasks.reporting import figure_links, formatting, html, markdown, model, summary_tables, tabular
from tasks.reporting.sections import Section, report_sections
from tests.helpers import synthetic
from tests.helpers.report_inputs import make_run_info

HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "```mermaid\ngraph\n```",
    "a | b | c", "line\nbreak", "`code` **bold** _it_",
    "https://evil.example/", "~~~\nfence", "{{ 7*7 }}", "\\|", "&lt;b&gt;",
]  # fmt: skip


def make_report(**info: object) -> model.Report:
    """Return a report with one figure and one sentence; `info` changes fields of the run record."""
    figure = RenderedFigure("costs", "Costs", "How to read the figure.", b"\x89PNG")
    frames = synthetic.make_frames(reviews=40, seeds=2)
    return model.Report(make_run_info(**info), frames, [figure], ["One sentence."])


def read_inline(page: str, element: str) -> str:
    """Return the exact content of the only `script` or `style` of a page."""
    (content,) = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
    return content


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.failure_mode("markup-in-text")
def test_html_escapes_markup(text):
    page = html.render_html(make_report(source=text, caveats=[text], settings={text: text}))
    assert page.count("<script") == 1
    assert "alert" not in read_inline(page, "script")
    assert "<img src=x" not in page
    assert page.count("<img ") == 1


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.failure_mode("markup-in-text")
def test_markdown_escapes_markup(text):
    table = f"| a | b |\n| --- | --- |\n| {escape_markdown(text)} | 1 |\n"
    page = MarkdownIt("gfm-like", {"linkify": False}).render(table)
    assert page.count("<td") == 2
    assert not re.search(r"<(script|img|a|code|pre|strong|em|s)\b", page)


@given(st.text())
@pytest.mark.failure_mode("markup-in-text")
def test_any_text_stays_in_its_table_cell(text):
    page = MarkdownIt("gfm-like", {"linkify": False}).render(f"| a | b |\n|---|---|\n| {escape_markdown(text)} | 1 |\n")
    assert page.count("<td") == 2


def test_page_loads_nothing():
    page = html.render_html(make_report())
    assert "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; " in page
    assert not re.search(r"(src|href)=\"(?!data:|#report)|url\(|@import|fetch|import\(", page)


def test_policy_allows_only_inline_script_and_style():
    page = html.render_html(make_report())
    policy = re.search(r"Content-Security-Policy\" content=\"([^\"]*)\"", page)[1]
    for element in ("script", "style"):
        digest = hashlib.sha256(read_inline(page, element).encode()).digest()
        assert policy.count(f"{element}-src") == 1
        assert f"{element}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"\sstyle=|\son\w+=", page)
    assert "innerHTML" not in read_inline(page, "script")


def test_rounded_number_has_exact_value():
    frame = pd.DataFrame(
        {"architecture": ["lstm"], "x": [1 / 3], "whole": [7], "text": ["<7>"], "none": [float("nan")]}
    )
    section = Section("Own", formatting.text_table(frame))
    page = html.render_html(
        model.Report(make_run_info(), synthetic.make_frames(reviews=40, seeds=2), sections=[section])
    )
    (row,) = re.findall(
        r"<tr>(.*)</tr>", page.split("Own</h2>")[1].split("<tbody>")[1].split("</tbody>")[0].replace("\n", "")
    )
    assert row == (
        '<th scope="row" class="text" data-architecture="LSTM">LSTM</th>'
        '<td data-value="0.3333333333333333" data-exact="0.333333333333333">0.3333</td>'
        '<td data-value="7">7</td><td class="text">&lt;7&gt;</td><td>not known</td>'
    )


def test_large_figures_are_embedded_as_thumbnails():
    figure = RenderedFigure("costs", "Costs", "How to read.", b"x" * 1_500_000, b"<svg/>" * 100_000, b"small")
    assert figure_links.embed_figures([figure]) == [figure_links.data_uri(figure.png, "png")]
    assert figure_links.embed_figures([figure] * 2) == [figure_links.data_uri(b"small", "png")] * 2


def test_html_and_markdown_have_the_same_content():
    table = Section("Against the best", formatting.text_table(pd.DataFrame({"x": ["compared"]})), "A note.")
    report = replace(
        make_report(caveats=["The split is biased."], command="imdb-compare run --units 7"), verdict_section=table,
        limits=["A limit."], findings=["A finding."], nightly=["A nightly sentence."],
    )  # fmt: skip
    pages = (html.render_html(report), markdown.render_markdown(report, figure_links.file_uri))
    for page in pages:
        for text in (
            "40 reviews of own.csv", "f1f2f1f2", "The split is biased.", "One sentence.", "Bidirectional LSTM",
            "compared", "A note.", "A limit.", "A finding.", "A nightly sentence.",
            "imdb-compare run --units 7", "How to read the figure.",
            "3.11.15",
        ):  # fmt: skip
            assert text in page
    assert "(figures/costs.png)" in pages[1]
    assert "(data:image/png;base64," in markdown.render_markdown(report, figure_links.thumbnail_uri)


def test_only_the_verdict_its_table_and_its_limits_are_not_collapsed():
    report = replace(make_report(caveats=["Caveat."]), limits=["A limit."], findings=["A finding."])
    for page in (html.render_html(report), markdown.render_markdown(report, figure_links.file_uri)):
        body = page.split("<style>")[0] + page.split("</style>")[-1]
        visible, *collapsed = re.split(r"<details>", body)
        assert "One sentence." in visible
        assert "A limit." in visible
        assert visible.index("One sentence.") < visible.index("A limit.") < visible.index("40 reviews of own.csv")
        assert not any(text in visible for text in ("Caveat.", "A finding.", "How to read the figure.", "3.11.15"))
        assert body.count("<details>") == body.count("</details>") == len(collapsed) >= 5
    three = replace(report, verdict=["One sentence.", "Another one.", "The last one."])
    page = markdown.render_markdown(three, figure_links.file_uri)
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(page)
    assert rendered.index("<blockquote>") < rendered.index("One sentence.")
    assert rendered.index("The last one.") < rendered.index("</blockquote>")
    assert rendered.count("<blockquote>") == 1
    assert "<details><summary>Summary</summary>\n<table>" in rendered


def test_report_of_all_frames_has_every_section():
    frames = synthetic.make_all_frames()
    sections = report_sections(frames)
    report = model.Report(make_run_info(), frames, sections=sections)
    for page in (html.render_html(report), markdown.render_markdown(report, figure_links.file_uri)):
        assert all(section.title in page for section in sections)
    assert len({section.title for section in sections}) == len(sections) == 16
    assert all(section.note for section in sections)


def test_diverged_seeds_are_counted_and_no_cell_is_nan():
    frames = synthetic.make_frames(reviews=40, seeds=2)
    one_seed = (frames["trials"]["architecture"] == "lstm") & (frames["trials"]["seed"] == 1)
    frames["trials"].loc[one_seed, "status"] = "diverged"
    all_seeds = frames["trials"]["architecture"] == "deep_lstm"
    frames["trials"].loc[all_seeds, ["status", "train_seconds"]] = ["diverged", float("nan")]
    frames["scores"] = frames["scores"].query("architecture != 'deep_lstm'")
    rows = {row[0]: [*map(str, row)] for row in summary_tables.summary_table(frames).rows}
    assert rows["LSTM"][1] == "1 of 2 (1 diverged)"
    assert list(rows)[-1] == "Deep LSTM"
    assert rows["Deep LSTM"][2] == rows["Deep LSTM"][-1] == "not known"
    page = html.render_html(model.Report(make_run_info(), frames)).lower()
    assert "nan" not in page.split("summary</h2>")[1].split("figures</h2>")[0]


def test_artifact_records_are_rounded_without_missing_values():
    frame = pd.DataFrame({"a": [0.123456, float("nan")], "b": [1, 2]})
    assert tabular.table_records(frame) == [{"a": 0.1235, "b": 1}, {"a": "not known", "b": 2}]


@pytest.mark.failure_mode("spreadsheet-formula")
def test_csv_guards_formulas_but_not_numbers(tmp_path):
    frame = pd.DataFrame({"text": ["=1+1", "@x", "-1", "fine"], "=head": [-0.5, 1.0, 2.0, 3.0]})
    lines = tabular.write_csv(frame, tmp_path / "x.csv").read_text("utf-8-sig").splitlines()
    assert lines == ["text,'=head", "'=1+1,-0.5", "'@x,1.0", "-1,2.0", "fine,3.0"]


@pytest.mark.failure_mode("spreadsheet-formula")
@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1+1", "@SUM(1)", "  =1", "\t=1", "\r=1", "\n=1", "\u00a0=1", "\ufeff=1", "＝1", "-1_0",
             "-inf", "+x"]
)  # fmt: skip
def test_hidden_formula_is_guarded(text):
    assert tabular.guard_formula(text) == f"'{text}"


@pytest.mark.failure_mode("spreadsheet-formula")
@pytest.mark.parametrize("text", ["-1", "+1.5e-3", "-.5", "1=1", "a-b", "'=1", "", "-1.0", 7, None])
def test_other_values_are_not_guarded(text):
    assert tabular.guard_formula(text) == text


@pytest.mark.failure_mode("spreadsheet-formula")
@given(texts=st.lists(st.text('=+-@ \t\r\n",;1a.e＝\ufeff'), min_size=1), name=st.text("=+-@a", min_size=1))
def test_no_csv_cell_is_a_formula(tmp_path_factory, texts, name):
    path = tabular.write_csv(pd.DataFrame({name: texts}), tmp_path_factory.mktemp("csv") / "x.csv")
    with path.open(newline="", encoding="utf-8") as file:
        (header, *rows) = csv.reader(file)
    cells = [*header, *(cell for row in rows for cell in row)]
    assert not [cell for cell in cells if cell.strip(" \t\r\n\ufeff")[:1] in tuple("=+-@＝") and not is_number(cell)]
    assert [row[0].removeprefix("'") if row else "" for row in rows] == [text.removeprefix("'") for text in texts]


def is_number(text):
    try:
        return bool(text.strip() == text and float(text) * 0 == 0)
    except ValueError:
        return not text.strip()
