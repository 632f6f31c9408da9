"""Reports say what the frames say, and nothing in them acts."""

import base64
import csv
import hashlib
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tasks.config.escape import escape_markdown
from tasks.figures.picture import Picture
from tasks.reporting import figure_links, html, markdown, model, tables, tabular
from tests.helpers import synthetic

HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "```mermaid\ngraph\n```",
    "a | b | c", "line\nbreak", "`code` **bold** _it_",
    "https://evil.example/", "~~~\nfence", "{{ 7*7 }}", "\\|", "&lt;b&gt;",
]  # fmt: skip


def full(**facts: object) -> model.Report:
    base = {"source": "Made-up reviews.", "rows": {"test": 40}, "fingerprint": "f1f2", "seconds": 3.0}
    picture = Picture("costs", "Costs?", "How to read.", b"\x89PNG")
    return model.Report({**base, **facts}, synthetic.frames(reviews=40, seeds=2), [picture], ["One sentence."])


def inlined(page: str, element: str) -> str:
    """Return what stands in the one `script` or `style` of a page, letter for letter."""
    (found,) = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
    return found


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.fault(25)
def test_markup_does_nothing_in_html(text):
    page = html.render_html(full(source=text, caveats=[text], settings={text: text}))
    assert page.count("<script") == 1
    assert "alert" not in inlined(page, "script")
    assert "<img src=x" not in page
    assert page.count("<img ") == 1


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.fault(25)
def test_markup_does_nothing_in_markdown(text):
    table = f"| a | b |\n| --- | --- |\n| {escape_markdown(text)} | 1 |\n"
    page = MarkdownIt("gfm-like", {"linkify": False}).render(table)
    assert page.count("<td") == 2
    assert not re.search(r"<(script|img|a|code|pre|strong|em|s)\b", page)


@given(st.text())
@pytest.mark.fault(25)
def test_any_text_stays_in_its_trial(text):
    page = MarkdownIt("gfm-like", {"linkify": False}).render(f"| a | b |\n|---|---|\n| {escape_markdown(text)} | 1 |\n")
    assert page.count("<td") == 2


def test_page_stands_alone():
    page = html.render_html(full())
    assert "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; " in page
    assert not re.search(r"(src|href)=\"(?!data:|#report)|url\(|@import|fetch|import\(", page)


def test_the_policy_allows_the_inlined_script_and_style_alone():
    page = html.render_html(full())
    policy = re.search(r"Content-Security-Policy\" content=\"([^\"]*)\"", page)[1]
    for element in ("script", "style"):
        digest = hashlib.sha256(inlined(page, element).encode()).digest()
        assert policy.count(f"{element}-src") == 1
        assert f"{element}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"\sstyle=|\son\w+=", page)
    assert "innerHTML" not in inlined(page, "script")


def test_a_rounded_figure_carries_its_exact_value():
    frame = pd.DataFrame(
        {"architecture": ["lstm"], "x": [1 / 3], "whole": [7], "text": ["<7>"], "none": [float("nan")]}
    )
    page = html.render_html(model.Report({}, synthetic.frames(reviews=40, seeds=2), tables={"Own": frame}))
    (row,) = re.findall(
        r"<tr>(.*)</tr>", page.split("Own</h2>")[1].split("<tbody>")[1].split("</tbody>")[0].replace("\n", "")
    )
    assert row == (
        '<th scope="row" class="text" data-architecture="LSTM">LSTM</th>'
        '<td data-value="0.3333333333333333" data-exact="0.333333333333333">0.3333</td>'
        '<td data-value="7">7</td><td class="text">&lt;7&gt;</td><td>not known</td>'
    )


def test_too_many_bytes_of_pictures_are_made_fewer():
    picture = Picture("costs", "Costs?", "How to read.", b"x" * 1_500_000, b"<svg/>" * 100_000, b"small")
    assert figure_links.addresses([picture]) == [figure_links.data_uri(picture.png, "png")]
    assert figure_links.addresses([picture] * 2) == [figure_links.data_uri(b"small", "png")] * 2


def test_both_say_the_same_core():
    made = full(caveats=["Flatters."])
    for text in (html.render_html(made), markdown.render_markdown(made, figure_links.linked)):
        for words in (
            "Made-up reviews.",
            "f1f2",
            "Flatters.",
            "One sentence.",
            "Bidirectional LSTM",
            "Best by validation",
        ):
            assert words in text
    assert "(figures/costs.png)" in markdown.render_markdown(made, figure_links.linked)
    assert "(data:image/png;base64," in markdown.render_markdown(made, figure_links.inlined)


def test_diverged_seeds_are_counted_and_nothing_is_nan():
    frames = synthetic.frames(reviews=40, seeds=2)
    lost = (frames["trials"]["architecture"] == "lstm") & (frames["trials"]["seed"] == 1)
    frames["trials"].loc[lost, "status"] = "diverged"
    gone = frames["trials"]["architecture"] == "deep_lstm"
    frames["trials"].loc[gone, ["status", "train_seconds"]] = ["diverged", float("nan")]
    frames["scores"] = frames["scores"].query("architecture != 'deep_lstm'")
    rows = {row[0]: [*map(str, row)] for row in tables.summary_table(frames).rows}
    assert rows["LSTM"][1] == "1 of 2 (1 diverged)"
    assert list(rows)[-1] == "Deep LSTM"
    assert rows["Deep LSTM"][2] == rows["Deep LSTM"][-1] == "not known"
    assert (
        "nan"
        not in html.render_html(model.Report({}, frames)).lower().split("summary</h2>")[1].split("pictures</h2>")[0]
    )


def test_records_are_rounded_and_missing_is_said():
    frame = pd.DataFrame({"a": [0.123456, float("nan")], "b": [1, 2]})
    assert tabular.table_records(frame) == [{"a": 0.1235, "b": 1}, {"a": "not known", "b": 2}]


@pytest.mark.fault(26)
def test_formulas_are_guarded_and_numbers_are_not(tmp_path):
    frame = pd.DataFrame({"text": ["=1+1", "@x", "-1", "fine"], "=head": [-0.5, 1.0, 2.0, 3.0]})
    lines = tabular.write_csv(frame, tmp_path / "x.csv").read_text().splitlines()
    assert lines == ["text,'=head", "'=1+1,-0.5", "'@x,1.0", "-1,2.0", "fine,3.0"]


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1+1", "@SUM(1)", "  =1", "\t=1", "\r=1", "\n=1", "\u00a0=1", "\ufeff=1", "＝1", "-1_0",
             "-inf", "+x"]
)  # fmt: skip
def test_a_formula_is_guarded_however_it_is_hidden(text):
    assert tabular.guard_formula(text) == f"'{text}"


@pytest.mark.fault(26)
@pytest.mark.parametrize("text", ["-1", "+1.5e-3", "-.5", "1=1", "a-b", "'=1", "", "-1.0", 7, None])
def test_what_is_no_formula_is_left(text):
    assert tabular.guard_formula(text) == text


@pytest.mark.fault(26)
@given(texts=st.lists(st.text('=+-@ \t\r\n",;1a.e＝\ufeff'), min_size=1), name=st.text("=+-@a", min_size=1))
def test_no_trial_of_a_csv_begins_a_formula(tmp_path_factory, texts, name):
    path = tabular.write_csv(pd.DataFrame({name: texts}), tmp_path_factory.mktemp("csv") / "x.csv")
    with path.open(newline="", encoding="utf-8") as file:
        (head, *rows) = csv.reader(file)
    trials = [*head, *(trial for row in rows for trial in row)]
    assert not [
        trial for trial in trials if trial.strip(" \t\r\n\ufeff")[:1] in tuple("=+-@＝") and not is_number(trial)
    ]
    assert [row[0].removeprefix("'") if row else "" for row in rows] == [text.removeprefix("'") for text in texts]


def is_number(trial):
    try:
        return bool(trial.strip() == trial and float(trial) * 0 == 0)
    except ValueError:
        return not trial.strip()
