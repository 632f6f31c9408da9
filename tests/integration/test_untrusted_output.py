"""Texts of others in every output: a terminal, a page and a document show them, and do nothing that they say."""

import contextlib
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import httpx
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from flows import alert
from flows.cli import diff, export, history, predict
from tasks.config.errors import UserError, without_tracebacks_for_mistakes
from tasks.config.escape import escape_html, escape_markdown, escape_terminal
from tasks.data.files import read_reviews
from tasks.execution.prefect_api import doing_without_server
from tasks.figures import registry
from tasks.inference import exported_model
from tasks.inference.selection import Wanted, chosen
from tasks.nightly.history import seeds_of
from tasks.reporting import figure_links, html, markdown
from tasks.reporting.model import Report
from tasks.reporting.run_diff import compare_two, in_markdown
from tasks.storage import store
from tasks.storage.runs import open_run
from tests.conftest import ROOT, TINY
from tests.helpers import synthetic
from tests.integration.test_history import FIRST, WHERE, add

pytestmark = pytest.mark.fault(25)

# What a terminal may act on: C0 but tab and line feed, DEL, C1, bidirectional controls, separators, surrogates.
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
TITLE, CLEAR, BIDI = "\x1b]0;OWNED\x07", "\x1b[2J", "\u202egnp.exe\u2066"
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>[x](javascript:alert(1))![y](z)|a|b|`c`$x_$[red]*s*"
LINES = "\nFORGED line\r\nFORGED line\u2028FORGED\x85FORGED\rFORGED"
EVIL = f"{TITLE}{CLEAR}\x9b31m\x7f{BIDI}{LINES}{MARKUP}\nwww.evil.example https://evil.example mail@evil.example"
# Of an architecture: what stands before a colon is the module, and is not shown.
EVIL_ARCHITECTURE = EVIL.replace(":", "")
# As the name of a file: no slash, and at most 255 bytes.
EVIL_NAME = f"{TITLE}{CLEAR}{BIDI}\nFORGED\r<img src=x onerror=alert(1)>[x](javascript:1)|`$_$[red]".replace("/", "")

Capture = pytest.CaptureFixture[str]
text = st.text(st.characters(exclude_categories=()) | st.sampled_from("\x1b\x9b\n\r\u202e\ud800<>&|`[]()!*_$#:/@.w"))


def is_shown(said: str) -> bool:
    """Tell whether a terminal shows this and does nothing else, and no line is one of the text's own making."""
    return not ACTS.search(said) and not re.search(r"^\W*FORGED", said, re.MULTILINE)


def names_it(said: str) -> bool:
    """Tell whether the hostile text is there at all: a test that sees none of it proves nothing."""
    return "OWNED" in said


class Tags(HTMLParser):
    """Gathers the elements of a page, their attributes, and the trials of each row."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.rows: list[int] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "tr":
            self.rows.append(0)
        elif tag in ("td", "th") and self.rows:
            self.rows[-1] += 1


def rendered(markdown: str) -> Tags:
    """Render Markdown with the HTML that stands in it, and its tables and links."""
    return Tags(MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(markdown))


def is_plain(markdown: str) -> bool:
    """Tell whether Markdown renders without any element or attribute that acts."""
    page = rendered(markdown)
    acting = {"script", "img", "a", "iframe", "svg", "em", "strong", "blockquote"} & set(page.elements)
    return not acting and not {name for name, _ in page.attributes} - {"class", "style"}


@given(text, st.booleans())
@example(EVIL, False)
@example("\ud800", True)
def test_a_terminal_is_sent_nothing_that_it_acts_on(words: str, lines: bool) -> None:
    shown = escape_terminal(words, lines=lines)
    assert not ACTS.search(shown)
    assert lines or not set(shown) & set("\n\t")
    assert shown.count("\n") == (words.count("\n") if lines and len(words) < 90 else shown.count("\n"))
    assert len(shown) <= 1_001
    assert escape_terminal(shown, lines=lines) == shown
    shown.encode("utf-8")
    if words.isprintable() and len(words) <= 1_000:
        assert shown == words


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a\x1b[2J\x07", "a\\x1b[2J\\x07"), ("a\nb\tc\r\nd", "a b c  d"), ("\u202egnp.exe", "\\u202egnp.exe"),
        ("file\udcff.csv", "file\\udcff.csv"), ("na\u00efve\u00a0film 映画 👨\u200d👩", "naïve film 映画 👨\u200d👩"),
        ("می\u200cخواهم", "می\u200cخواهم"), (7, "7"),
    ],
)  # fmt: skip
def test_what_is_shown_by_hand(words: object, shown: str) -> None:
    assert escape_terminal(words) == shown


def test_a_long_name_is_cut() -> None:
    assert escape_terminal("x" * 1_001) == "x" * 1_000 + "…"
    assert escape_terminal("\x1b" * 10, 8) == "\\x1b\\x1b…"
    assert len(escape_terminal("x" * 5_000, None)) == 5_000


@given(text)
@example(EVIL)
def test_no_element_of_a_page_is_a_texts(words: str) -> None:
    page = Tags(f'<p title="{escape_html(words)}">{escape_html(words)}</p>')
    assert page.elements == ["p"]
    assert [name for name, _ in page.attributes] == ["title"]
    assert not ACTS.search(escape_html(words))


@given(text)
@example(EVIL)
def test_no_element_of_a_document_is_a_texts(words: str) -> None:
    shown = escape_markdown(words)
    assert not re.search("[<\n]", shown)
    assert not ACTS.search(shown)
    page = rendered(f"| a | b |\n|---|---|\n| {shown} | 1 |\n")
    assert page.rows == [2, 2]
    assert set(page.elements) == {"table", "thead", "tbody", "tr", "th", "td"}


def test_an_address_is_not_what_github_makes_a_link_of() -> None:
    shown = escape_markdown("www.evil.example https://evil.example")
    assert shown == "www&#46;evil.example https&#58;//evil.example"
    assert "www.evil.example https://evil.example" in MarkdownIt().render(shown)


@pytest.fixture
def hostile(past: Path, tmp_path: Path) -> Path:
    """Return the past run's results, with hostile names wherever its run.json holds one."""
    results = tmp_path / "results"
    shutil.copytree(past, results, symlinks=True)
    change(results / "runs" / "first")
    return results


def change(folder: Path, **facts: object) -> None:
    path = folder / "run.json"
    found = json.loads(path.read_text())
    hardware, versions = ({**found[part], EVIL: EVIL, "processor": EVIL} for part in ("hardware", "versions"))
    found |= {"classes": [EVIL, f"{EVIL}2"], "run_name": EVIL, "source": EVIL, "caveats": [EVIL], "command": EVIL}
    path.write_text(json.dumps(found | {"hardware": hardware, "versions": versions, "started": EVIL, **facts}))


@pytest.fixture
def model(past: Path, tmp_path: Path) -> Path:
    """Write a model whose card, with a right checksum, holds hostile names, into a folder of such a name."""
    run = open_run(past, None)
    (trial,) = chosen(run, Wanted(architecture="nb_svm")).to_dict("records")
    folder = exported_model.write_model(run, trial, tmp_path / EVIL_NAME)
    card = json.loads((folder / exported_model.CARD).read_text()) | {"classes": [EVIL[:150], f"2{EVIL[:150]}"]}
    store.write(folder / exported_model.CARD, json.dumps(card).encode())
    return folder


def test_predictions_of_a_run(hostile: Path, tiny: Path, tmp_path: Path, capsys: Capture) -> None:
    asked = ["--results", str(hostile), "--architecture", "nb_svm"]
    assert predict.main([*asked, f"a good film {EVIL}", f"{EVIL} bad"]) == 0
    out, err = capsys.readouterr()
    assert is_shown(out)
    assert is_shown(err)
    assert names_it(out)
    assert names_it(err)
    assert len(re.findall(r"^\S.*  [01]\.\d{3}  ", out, re.MULTILINE)) == 2
    assert len(err.splitlines()) == 1
    assert predict.main([*asked, "--json", "a good film"]) == 0
    assert is_shown(out := capsys.readouterr().out)
    assert json.loads(out)["label"] == f"{EVIL}2"
    assert predict.main([*asked, "--file", str(tiny), "--output", str(tmp_path / f"{EVIL_NAME}.csv")]) == 0
    assert is_shown(out := capsys.readouterr().out)
    assert len(out.splitlines()) == 1
    assert out.count("OWNED") == 3


def test_predictions_of_a_model_that_was_carried(model: Path, capsys: Capture) -> None:
    assert predict.main(["--model", str(model), "a good film"]) == 0
    out, err = capsys.readouterr()
    assert is_shown(out + err)
    assert names_it(out)
    assert names_it(err)
    card = model / exported_model.CARD
    store.write(card, card.read_bytes().replace(b'"format": 1', b'"format": "\\u001b[2J\\nFORGED"'))
    assert predict.main(["--model", str(model), "a good film"]) == 1
    assert is_shown(err := capsys.readouterr().err)
    assert names_it(err)


@pytest.mark.parametrize(
    "words",
    [
        ["--results", "{results}", "--file", "{here}/{evil}.csv"],
        ["--file", "{here}/{evil}.txt"], ["--output", "{evil}", "x"],
        ["--model", "{evil}", "x"], ["--results", "{evil}", "x"], ["--run", "{evil}", "x"], ["--{option}", "x"],
        ["--threshold", "{evil}", "x"], ["--results", "{results}", "--architecture", "{evil}", "x"],
        ["--results", "{results}", "--architecture", "nb_svm", "--seed", "7", "x"],
        ["--results", "{results}", "--run", "other", "x"], ["--results", "{results}", "--run", "older", "x"],
        ["--results", "{results}", "--file", "{here}/{evil}.csv", "--text-column", "{evil}2"],
    ],
    ids=str,
)  # fmt: skip
def test_mistakes_of_predictions(hostile: Path, tmp_path: Path, capsys: Capture, words: list[str]) -> None:
    (tmp_path / f"{EVIL_NAME}.txt").write_text("x")
    pd.DataFrame({EVIL: ["a"]}).to_csv(tmp_path / f"{EVIL_NAME}.csv", index=False)
    shutil.copytree(hostile / "runs" / "first", hostile / "runs" / EVIL_NAME)
    older = shutil.copytree(hostile / "runs" / "first", hostile / "runs" / "older")
    facts = json.loads((older / "run.json").read_text())
    (older / "run.json").write_text(json.dumps({name: facts[name] for name in facts if name != "vocabulary"}))
    names = {"evil": EVIL_NAME, "option": EVIL_NAME.replace(" ", ""), "here": tmp_path, "results": hostile}
    given = [word.format_map(names) for word in words]
    try:
        code = predict.main(given)
    except SystemExit as ended:
        code = ended.code
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert is_shown(said.err)
    assert names_it(said.err) or "--seed" in words


def test_an_exported_card(hostile: Path, tmp_path: Path, capsys: Capture, with_tensorflow: None) -> None:
    folder = tmp_path / "model"
    asked = ["--results", str(hostile), "--output", str(folder), "--architecture", "simple_rnn", "--onnx"]
    assert export.main(asked) == 0
    card = (folder / exported_model.TEXT).read_text()
    assert is_shown(card)
    assert card.count("OWNED") >= 9  # classes (three times), run, its start, data, caveat, processor, versions
    assert is_plain(card)
    # Its own headings, a list of scores and one of caveats, and nothing more.
    assert [each for each in rendered(card).elements if each.startswith("h")] == ["h1", *["h2"] * 6]
    assert rendered(card).elements.count("ul") == 2
    assert rendered(card).elements.count("li") == 4 + 1 + 3
    capsys.readouterr()
    assert export.main(asked) == 2
    wrong = [*asked[:2], "--output", str(tmp_path / "other"), "--architecture", "lstm"]
    assert export.main(wrong) == 2
    said = capsys.readouterr()
    assert is_shown(said.err)
    assert names_it(said.err)


def test_two_runs_compared(hostile: Path, capsys: Capture) -> None:
    shutil.copytree(hostile / "runs" / "first", hostile / "runs" / "second")
    change(hostile / "runs" / "second", versions={EVIL: f"{EVIL}2"}, run_name=f"{EVIL}2", settings={EVIL: EVIL})
    asked = ["first", "second", "--results", str(hostile)]
    assert diff.main(asked) == 0
    out = capsys.readouterr().out
    assert is_shown(out)
    assert names_it(out)
    assert is_plain(out)
    assert set(rendered(out).rows) == {8}
    assert len(rendered(out).rows) == 4
    assert diff.main([*asked, "--json"]) == 0
    assert is_shown(capsys.readouterr().out)
    change(hostile / "runs" / "second", fingerprint=EVIL)
    assert diff.main(asked) == 2
    assert diff.main([EVIL_NAME, "second", "--results", str(hostile)]) == 2
    said = capsys.readouterr().err
    assert is_shown(said)
    assert names_it(said)
    assert len(said.splitlines()) == 2
    with pytest.raises(SystemExit):
        diff.main([*asked, f"--{EVIL_NAME}"])
    assert is_shown(capsys.readouterr().err)


def test_hostile_architectures_of_two_runs(hostile: Path) -> None:
    for table in (hostile / "runs" / "first" / "tables").glob("*.parquet"):
        frame = pd.read_parquet(table)
        if "architecture" in frame:
            names = frame["architecture"].astype(str).replace("simple_rnn", EVIL_ARCHITECTURE)
            frame.assign(architecture=names).to_parquet(table)
    run = open_run(hostile, "first")
    said = in_markdown(compare_two(run, run), run, run)
    assert is_shown(said)
    assert is_plain(said)
    assert said.count("OWNED") == 4  # twice the run's name, its source, and an architecture
    assert set(rendered(said).rows) == {8}
    with pytest.raises(UserError) as refused:
        exported_model.check(EVIL_ARCHITECTURE, hostile / "new", False)
    assert is_shown(str(refused.value))
    with pytest.raises(UserError) as refused:
        chosen(run, Wanted(architecture="lstm"))
    assert is_shown(str(refused.value))
    assert names_it(str(refused.value))


def test_the_history(tmp_path: Path, capsys: Capture) -> None:
    where = {"data": f"{EVIL_NAME}"[:100], "configuration": f"{EVIL_NAME}"[:100]}
    seeds = {0: 0.878, 1: 0.882, 2: 0.878}
    for day in range(1, 7):
        seeds[seeds_of(date(2026, 3, day), 1)[0]] = 0.878 if day % 2 else 0.882
        add(tmp_path, date(2026, 3, day), seeds, keras=EVIL_NAME, where=where, hardware={EVIL: EVIL})
    lower = {0: 0.86, 1: 0.861, 2: 0.859, seeds_of(date(2026, 3, 7), 1)[0]: 0.86}
    other = {"hardware": {EVIL: f"2{EVIL}"}, "code": {"lstm": EVIL}}
    add(tmp_path, date(2026, 3, 7), lower, keras=f"2{EVIL_NAME}", where=where, **other)
    file = add(tmp_path, date(2026, 3, 9), {0: 0.5}, where=where)
    shutil.copy(file, file.with_name(f"{EVIL_NAME}.parquet"))
    file.with_name(f"{EVIL_NAME}.parquet.sha256").write_text("0" * 64)
    assert history.main([f"--results={tmp_path}"]) == 0
    out, err = capsys.readouterr()
    assert is_shown(out)
    assert is_shown(err)
    assert "Alarm of 2026-03-07" in out
    assert "Changed since the night before: " in out
    assert out.count("OWNED") > 4
    assert names_it(err)
    assert history.main([f"--results={tmp_path}", "--configuration=x"]) == 2
    err = capsys.readouterr().err
    assert is_shown(err)
    assert names_it(err)


def test_hostile_architectures_of_the_history(tmp_path: Path, capsys: Capture) -> None:
    file = add(tmp_path, FIRST, {0: 0.8, 1: 0.9})
    store.write(file, store.read(file).to_pandas().assign(architecture=EVIL_ARCHITECTURE))
    assert history.main([f"--results={tmp_path}"]) == 0
    out = capsys.readouterr().out
    assert is_shown(out)
    assert names_it(out)
    assert WHERE["configuration"] in out


@pytest.mark.filterwarnings("error")
def test_figures_draw_any_name_as_it_is(tmp_path: Path) -> None:
    made = synthetic.of(synthetic.frames(reviews=40, seeds=2), "simple_rnn", "lstm")
    for frame in made.values():
        frame["architecture"] = frame["architecture"].replace("simple_rnn", f"$\\frac{{x$ {EVIL_ARCHITECTURE}")
    found = registry.draw(synthetic.with_statistics(made))
    for figure in found.values():
        figure.draw_without_rendering()
    words = " ".join(each.get_text() for each in found["costs"].findobj(lambda each: hasattr(each, "get_text")))
    assert "$\\frac{x$" in re.sub(r"\s+", " ", words)
    assert not ACTS.search(words)


def test_a_report(tmp_path: Path) -> None:
    frames = synthetic.frames(reviews=40, seeds=2)
    plain = Report({}, frames)
    for frame in (evil := {name: frame.copy() for name, frame in frames.items()}).values():
        frame["architecture"] = frame["architecture"].replace("lstm", EVIL_ARCHITECTURE)
    facts = dict.fromkeys(("source", "fingerprint", "command", "run_name", "started"), EVIL)
    facts |= {"caveats": [EVIL], "classes": [EVIL, EVIL], "rows": {EVIL: 7}, "settings": {EVIL: f"{EVIL}\ud800"}}
    made = Report(facts, evil, verdict=[EVIL], tables={EVIL: pd.DataFrame({EVIL: [EVIL]})})
    page = html.render_html(made)
    page.encode("utf-8")
    assert not ACTS.search(page)
    assert "OWNED" in page
    own = Tags(html.render_html(plain))
    acting = {"script", "img", "a", "iframe", "svg"}
    found = Tags(page)
    assert [each for each in found.elements if each in acting] == [each for each in own.elements if each in acting]
    assert {name for name, _ in found.attributes} <= {name for name, _ in own.attributes}
    document = markdown.render_markdown(made, figure_links.linked)
    document.encode("utf-8")
    assert is_shown(document)
    assert not {"script", "img", "a", "iframe", "em"} & set(rendered(document).elements)
    assert not ACTS.search(document)


@pytest.fixture
def log() -> Callable[[], str]:
    """Listen to what Prefect's loggers of runs say, as the console does."""
    from prefect.logging import get_logger
    from prefect.logging.formatters import PrefectFormatter

    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(PrefectFormatter("%(levelname)s | %(message)s"))
    loggers = [get_logger(name) for name in ("flow_runs", "task_runs")]
    without_tracebacks_for_mistakes()
    for logger in loggers:
        logger.addHandler(handler)
    yield said.getvalue
    for logger in loggers:
        logger.removeHandler(handler)


def test_lines_of_a_log(log: Callable[[], str]) -> None:
    from prefect.logging import get_logger

    logger = get_logger("task_runs")
    logger.warning("%s: %d%%", EVIL, 7)
    logger.warning(f"{EVIL} 100%")
    try:
        raise RuntimeError(EVIL)
    except RuntimeError:
        logger.exception("failed")
    with doing_without_server(logger.warning):
        raise httpx.ConnectError(EVIL)
    said = log()
    assert not ACTS.search(said)
    assert said.count("OWNED") == 4
    assert ": 7%" in said
    assert "RuntimeError: \\x1b]0;OWNED" in said


def test_an_alert(api: str, capsys: Capture) -> None:
    from uuid import UUID

    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from prefect.states import Failed

    from flows.imdb_compare import imdb_compare

    with temporary_settings({PREFECT_API_URL: api}):
        with get_client(sync_client=True) as client:
            name = EVIL.replace("/", "").replace("%", "")
            run = client.create_flow_run(imdb_compare, parameters={"results": EVIL}, name=name)
            client.set_flow_run_state(run.id, Failed(message=EVIL), force=True)
        title, lines = alert.story(UUID(str(run.id)), "")
        assert is_shown(title)
        alert.tell(title, lines)
    (found,) = httpx.post(f"{api}/artifacts/latest/filter", json={"artifacts": {"key": {"any_": ["alert"]}}}).json()
    for shown in (found["data"], found["description"]):
        assert is_shown(shown)
        assert names_it(shown)
        assert is_plain(shown)
    said = capsys.readouterr()
    assert not ACTS.search(said.out + re.sub(r"\x1b\[[\d;]*m", "", said.err))


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_mistakes_in_a_file_of_reviews(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"{EVIL_NAME}.{ending}"
    frame = pd.DataFrame({"text": ["a", ""], "label": [EVIL, "7"], "split": [EVIL, EVIL], EVIL: [EVIL, ""]})
    write = {"csv": frame.to_csv, "parquet": frame.to_parquet, "jsonl": lambda at, index: frame.to_json(
        at, orient="records", lines=True)}[ending]  # fmt: skip
    write(path, index=False)
    for how in ({"group": EVIL}, {"text_column": f"{EVIL}2"}, {"group": "text"}, {"positive": f"{EVIL}2"}):
        with pytest.raises(UserError) as refused:
            read_reviews(path, **how)
        assert is_shown(str(refused.value))
        assert names_it(str(refused.value))
    path.write_bytes(f'{EVIL}\n"{EVIL}'.encode() + b"\xff\x00")
    with contextlib.suppress(UserError), pytest.raises(UserError) as refused:
        read_reviews(path)
    assert is_shown(str(refused.value))


@pytest.mark.slow
def test_a_whole_run(api: str, tiny: Path, tmp_path: Path) -> None:
    markup = "".join(letter for letter in EVIL if letter.isprintable())  # control characters are refused in a label
    classes = {0: f"b{markup}".casefold(), 1: f"a{markup}"}
    data = tmp_path / f"{EVIL_NAME}.csv"
    frame = pd.read_csv(tiny)
    films = [f"{EVIL}{row}" for row in range(len(frame))]
    frame = pd.DataFrame({f"{EVIL}t": frame["text"], f"{EVIL}l": frame["label"].map(classes), f"{EVIL}g": films})
    frame.to_csv(data, index=False)
    results = tmp_path / "results"
    numbers = {name.strip("-").replace("-", "_"): int(value) for name, value in TINY.items() if value.isdigit()}
    asked = {
        **numbers, "architectures": ("simple_rnn",), "data": str(data), "results": str(results), "positive": classes[1],
        "text_column": f"{EVIL}t", "label_column": f"{EVIL}l", "group": f"{EVIL}g", "run_name": "hostile",
    }  # fmt: skip
    code = f"""if __name__ == '__main__':
        from flows.cli.run import say
        from flows.imdb_compare import imdb_compare
        say(imdb_compare(**{asked!r}))"""
    program = tmp_path / "program.py"
    program.write_text(code)
    done = subprocess.run(
        [sys.executable, str(program)], cwd=ROOT, env={**os.environ, "PREFECT_API_URL": api,
        "PYTHONPATH": str(ROOT), "PREFECT_LOGGING_COLORS": "false"}, capture_output=True, check=False,
    )  # fmt: skip
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 0, err
    assert is_shown(out)
    assert is_shown(err)
    assert names_it(out)
    assert names_it(err)
    run = results / "runs" / "hostile"
    for document in (run / "report.md").read_text(), artifact(api, "report")["data"]:
        assert is_shown(document)
        assert document.count("OWNED") > 5
        assert not {"script", "a", "iframe", "em"} & set(rendered(document).elements)
    page = (run / "report.html").read_text()
    assert not ACTS.search(page)
    assert Tags(page).elements.count("script") == 1
    assert not [value for name, value in Tags(page).attributes if name.startswith("on")]
    assert [value for name, value in Tags(page).attributes if name == "href"] == ["#report"]
    assert unquote(artifact(api, "report-file")["data"]).count("](") == 1


def artifact(api: str, key: str) -> dict[str, str]:
    (found,) = httpx.post(f"{api}/artifacts/latest/filter", json={"artifacts": {"key": {"any_": [key]}}}).json()
    return found
