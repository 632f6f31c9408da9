"""Texts and names from data, options and stored files are shown in every output, and have no effect there."""

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
from pathlib import Path
from urllib.parse import unquote

import httpx
import pandas as pd
import pytest

from flows import alert
from tasks.config.errors import UserError
from tasks.config.log_filters import hide_user_error_tracebacks
from tasks.data.files import read_reviews
from tasks.execution.prefect_api import ignore_api_errors
from tasks.figures import registry
from tasks.inference import exported_model
from tasks.inference.selection import ModelSelection, select_models
from tasks.nightly.seeds import nightly_seeds
from tasks.notify import notify
from tasks.reporting import figure_links, html, markdown
from tasks.reporting.formatting import text_table
from tasks.reporting.model import Report
from tasks.reporting.run_diff import compare_runs
from tasks.reporting.run_diff_text import format_diff
from tasks.reporting.sections import Section
from tasks.storage import store
from tasks.storage.runs import open_run
from tests.conftest import ROOT, TINY
from tests.helpers import synthetic
from tests.helpers.hostile import (
    CONTROL_CHARACTERS,
    HOSTILE_ARCHITECTURE,
    HOSTILE_FILE_NAME,
    HOSTILE_TEXT,
    PRINTABLE_NAME,
    Elements,
    contains_hostile_text,
    is_inert,
    is_plain_markdown,
    render_markdown,
)
from tests.helpers.report_inputs import make_run_info
from tests.helpers.subcommands import run_subcommand
from tests.integration.test_history import FIRST, PARTITION, add

pytestmark = pytest.mark.failure_mode("markup-in-text")

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def hostile(past: Path, tmp_path: Path) -> Path:
    """Copy the past run's results; every name in its run.json is replaced by a hostile one that is allowed there."""
    results = tmp_path / "results"
    shutil.copytree(past, results, symlinks=True)
    change_run_info(results / "runs" / "first")
    return results


def change_run_info(folder: Path, **facts: object) -> None:
    """Write hostile names (printable, at most 200 characters) and texts (anything) into run.json."""
    path = folder / "run.json"
    found = json.loads(path.read_text())
    found |= {
        part: {**found[part], PRINTABLE_NAME: HOSTILE_TEXT, "processor": HOSTILE_TEXT}
        for part in ("hardware", "versions")
    }
    found |= dict.fromkeys(("run_name", "started"), PRINTABLE_NAME) | dict.fromkeys(("source", "command"), HOSTILE_TEXT)
    found |= {"classes": [PRINTABLE_NAME, f"{PRINTABLE_NAME}2"], "caveats": [HOSTILE_TEXT]}
    path.write_text(json.dumps(found | facts))


@pytest.fixture
def model(past: Path, tmp_path: Path) -> Path:
    """Export a model into a folder with a hostile name; its card, with a right checksum, holds hostile names."""
    run = open_run(past, None)
    (model,) = select_models(run, ModelSelection(architecture="nb_svm"))
    folder = exported_model.export_model(run, model, tmp_path / HOSTILE_FILE_NAME)
    card = json.loads((folder / exported_model.CARD_FILE).read_text())
    card |= {"classes": [PRINTABLE_NAME, f"{PRINTABLE_NAME}2"]}
    store.write(folder / exported_model.CARD_FILE, json.dumps(card).encode())
    return folder


def test_predict_escapes_texts_and_names_of_the_run(hostile: Path, tiny: Path, tmp_path: Path, capsys: Capture) -> None:
    asked = ["--results", str(hostile), "--architecture", "nb_svm"]
    assert run_subcommand("predict", *asked, f"a good film {HOSTILE_TEXT}", f"{HOSTILE_TEXT} bad") == 0
    out, err = capsys.readouterr()
    assert is_inert(out)
    assert is_inert(err)
    assert contains_hostile_text(out)
    assert contains_hostile_text(err)
    assert len(re.findall(r"^\S.*  P\(.*\) = [01]\.\d{3}  ", out, re.MULTILINE)) == 2
    assert len(err.splitlines()) == 1
    assert run_subcommand("predict", *asked, "--json", "a good film") == 0
    assert is_inert(out := capsys.readouterr().out)
    assert json.loads(out)["label"] == f"{PRINTABLE_NAME}2"
    assert (
        run_subcommand("predict", *asked, "--file", str(tiny), "--output", str(tmp_path / f"{HOSTILE_FILE_NAME}.csv"))
        == 0
    )
    assert is_inert(out := capsys.readouterr().out)
    assert len(out.splitlines()) == 1
    assert out.count("OWNED") == 3


def test_predict_escapes_names_of_an_exported_model(model: Path, capsys: Capture) -> None:
    assert run_subcommand("predict", "--model", str(model), "a good film") == 0
    out, err = capsys.readouterr()
    assert is_inert(out + err)
    assert contains_hostile_text(out)
    assert contains_hostile_text(err)
    card = model / exported_model.CARD_FILE
    store.write(card, card.read_bytes().replace(b'"format": 1', b'"format": "\\u001b[2J\\nFORGED"'))
    assert run_subcommand("predict", "--model", str(model), "a good film") == 1
    assert is_inert(err := capsys.readouterr().err)
    assert contains_hostile_text(err)


@pytest.mark.parametrize(
    "words",
    [
        ["--results", "{results}", "--file", "{here}/{evil}.csv"],
        ["--file", "{here}/{evil}.docx"], ["--output", "{evil}", "x"],
        ["--model", "{evil}", "x"], ["--results", "{evil}", "x"], ["--run", "{evil}", "x"], ["--{option}", "x"],
        ["--threshold", "{evil}", "x"], ["--results", "{results}", "--architecture", "{evil}", "x"],
        ["--results", "{results}", "--architecture", "nb_svm", "--seed", "7", "x"],
        ["--results", "{results}", "--run", "other", "x"], ["--results", "{results}", "--run", "older", "x"],
        ["--results", "{results}", "--file", "{here}/{evil}.csv", "--text-column", "{evil}2"],
    ],
    ids=str,
)  # fmt: skip
def test_user_errors_of_predict_are_escaped(hostile: Path, tmp_path: Path, capsys: Capture, words: list[str]) -> None:
    (tmp_path / f"{HOSTILE_FILE_NAME}.docx").write_text("x")
    pd.DataFrame({HOSTILE_TEXT: ["a"]}).to_csv(tmp_path / f"{HOSTILE_FILE_NAME}.csv", index=False)
    shutil.copytree(hostile / "runs" / "first", hostile / "runs" / HOSTILE_FILE_NAME)
    older = shutil.copytree(hostile / "runs" / "first", hostile / "runs" / "older")
    facts = json.loads((older / "run.json").read_text())
    (older / "run.json").write_text(json.dumps({name: facts[name] for name in facts if name != "vocabulary"}))
    names = {
        "evil": HOSTILE_FILE_NAME,
        "option": HOSTILE_FILE_NAME.replace(" ", ""),
        "here": tmp_path,
        "results": hostile,
    }
    given = [word.format_map(names) for word in words]
    code = run_subcommand("predict", *given)
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert is_inert(said.err)
    # Names of folders that cannot be runs are not listed.
    assert contains_hostile_text(said.err) or {"--seed", "other"} & set(words)


def test_model_card_escapes_names_of_the_run(
    hostile: Path, tmp_path: Path, capsys: Capture, with_tensorflow: None
) -> None:
    folder = tmp_path / "model"
    asked = ["--results", str(hostile), "--output", str(folder), "--architecture", "simple_rnn", "--onnx"]
    assert run_subcommand("export", *asked) == 0
    card = (folder / exported_model.README_FILE).read_text()
    assert is_inert(card)
    assert card.count("OWNED") >= 9  # classes (three times), run, its start, data, caveat, processor, versions
    assert is_plain_markdown(card)
    # Its own headings, a list of scores, one of caveats and one of steps, and nothing more.
    assert [each for each in render_markdown(card).names if each.startswith("h")] == ["h1", *["h2"] * 7]
    assert render_markdown(card).names.count("ul") == 2
    assert render_markdown(card).names.count("ol") == 1
    assert render_markdown(card).names.count("li") == 4 + 1 + 3 + 13
    capsys.readouterr()
    assert run_subcommand("export", *asked) == 2
    wrong = [*asked[:2], "--output", str(tmp_path / "other"), "--architecture", "lstm"]
    assert run_subcommand("export", *wrong) == 2
    said = capsys.readouterr()
    assert is_inert(said.err)
    assert contains_hostile_text(said.err)


def test_diff_escapes_names_of_both_runs(hostile: Path, capsys: Capture) -> None:
    shutil.copytree(hostile / "runs" / "first", hostile / "runs" / "second")
    other = {
        "versions": {PRINTABLE_NAME: f"{HOSTILE_TEXT}2"},
        "run_name": f"{PRINTABLE_NAME}2",
        "settings": {PRINTABLE_NAME: HOSTILE_TEXT},
    }
    change_run_info(hostile / "runs" / "second", **other)
    asked = ["first", "second", "--results", str(hostile)]
    assert run_subcommand("diff", *asked) == 0
    out = capsys.readouterr().out
    assert is_inert(out)
    assert contains_hostile_text(out)
    written = hostile / "diff.md"
    assert run_subcommand("diff", *asked, "--output", str(written)) == 0
    assert is_inert(capsys.readouterr().out)
    report = written.read_text()
    assert contains_hostile_text(report)
    assert is_plain_markdown(report)
    assert set(render_markdown(report).cells) == {8}
    assert len(render_markdown(report).cells) == 5
    assert run_subcommand("diff", *asked, "--json") == 0
    assert is_inert(capsys.readouterr().out)
    change_run_info(hostile / "runs" / "second", fingerprint="0" * 64)
    assert run_subcommand("diff", *asked) == 2
    assert run_subcommand("diff", HOSTILE_FILE_NAME, "second", "--results", str(hostile)) == 2
    said = capsys.readouterr().err
    assert is_inert(said)
    assert contains_hostile_text(said)
    assert len(said.splitlines()) == 2
    assert run_subcommand("diff", *asked, f"--{HOSTILE_FILE_NAME}") == 2
    assert is_inert(capsys.readouterr().err)


def test_plan_escapes_names_of_the_run(hostile: Path, capsys: Capture) -> None:
    assert run_subcommand("plan", "--run", "first", "--results", str(hostile)) == 0
    out = capsys.readouterr().out
    assert is_inert(out)
    assert contains_hostile_text(out)
    assert out.count("OWNED") == 3  # the source, and twice the run's name
    assert not [line for line in out.splitlines() if line.startswith("FORGED")]


def test_architecture_names_of_frames_and_options_are_escaped(hostile: Path) -> None:
    run = open_run(hostile, "first")
    table = compare_runs(run, run)
    table["architecture"] = table["architecture"].replace("simple_rnn", HOSTILE_ARCHITECTURE)
    report = format_diff(table, run, run)
    assert is_inert(report)
    assert is_plain_markdown(report)
    assert report.count("OWNED") > 4  # the run's name, its source, and an architecture
    assert set(render_markdown(report).cells) == {8}
    with pytest.raises(UserError) as refused:
        exported_model.check_export(HOSTILE_ARCHITECTURE, hostile / "new", False)
    assert is_inert(str(refused.value))
    with pytest.raises(UserError) as refused:
        select_models(run, ModelSelection(architecture="lstm"))
    assert is_inert(str(refused.value))
    assert contains_hostile_text(str(refused.value))


def test_history_escapes_versions_hardware_and_file_names(tmp_path: Path, capsys: Capture) -> None:
    version = PRINTABLE_NAME.replace("/", "")[:150]  # a part of the trials' names, which are names of files
    seeds = {0: 0.878, 1: 0.882, 2: 0.878}
    for day in range(1, 7):
        seeds[nightly_seeds(date(2026, 3, day), 1)[0]] = 0.878 if day % 2 else 0.882
        add(tmp_path, date(2026, 3, day), seeds, keras=version, hardware={HOSTILE_TEXT: HOSTILE_TEXT})
    lower = {0: 0.86, 1: 0.861, 2: 0.859, nightly_seeds(date(2026, 3, 7), 1)[0]: 0.86}
    other = {"hardware": {HOSTILE_TEXT: f"2{HOSTILE_TEXT}"}, "code": {"lstm": HOSTILE_TEXT}}
    add(tmp_path, date(2026, 3, 7), lower, keras=f"2{version}", **other)
    file = add(tmp_path, date(2026, 3, 9), {0: 0.5})
    shutil.copy(file, file.with_name(f"{HOSTILE_FILE_NAME}.parquet"))
    file.with_name(f"{HOSTILE_FILE_NAME}.parquet.sha256").write_text("0" * 64)
    assert run_subcommand("history", f"--results={tmp_path}") == 0
    out, err = capsys.readouterr()
    assert is_inert(out)
    assert is_inert(err)
    assert "Alarm of 2026-03-07" in out
    assert "Changed since the previous nightly run: " in out
    assert out.count("OWNED") > 4
    assert contains_hostile_text(err)


def test_history_prints_printable_architecture_names_literally(tmp_path: Path, capsys: Capture) -> None:
    file = add(tmp_path, FIRST, {0: 0.8, 1: 0.9})
    name = PRINTABLE_NAME.replace(":", "")
    store.write(file, store.read(file).to_pandas().assign(architecture=name))
    assert run_subcommand("history", f"--results={tmp_path}") == 0
    out = capsys.readouterr().out
    assert name[:90] in out
    assert PARTITION.configuration in out


@pytest.mark.filterwarnings("error")
def test_figures_show_names_literally(tmp_path: Path) -> None:
    made = synthetic.select_architectures(synthetic.make_frames(reviews=40, seeds=2), "simple_rnn", "lstm")
    for frame in made.values():
        frame["architecture"] = frame["architecture"].replace("simple_rnn", f"$\\frac{{x$ {HOSTILE_ARCHITECTURE}")
    found = registry.plot_figures(synthetic.with_statistics(made))
    for figure in found.values():
        figure.draw_without_rendering()
    words = " ".join(each.get_text() for each in found["costs"].findobj(lambda each: hasattr(each, "get_text")))
    assert "$\\frac{x$" in re.sub(r"\s+", " ", words)
    assert not CONTROL_CHARACTERS.search(words)


def test_report_escapes_everything_in_html_and_markdown(tmp_path: Path) -> None:
    frames = synthetic.make_frames(reviews=40, seeds=2)
    plain = Report(make_run_info(caveats=("x",)), frames, verdict=["x"])
    for frame in (evil := {name: frame.copy() for name, frame in frames.items()}).values():
        frame["architecture"] = frame["architecture"].replace("lstm", HOSTILE_ARCHITECTURE)
    facts = dict.fromkeys(("source", "fingerprint", "command", "run_name", "started"), HOSTILE_TEXT)
    facts |= {
        "caveats": [HOSTILE_TEXT],
        "classes": [HOSTILE_TEXT, HOSTILE_TEXT],
        "rows": {HOSTILE_TEXT: 7},
        "settings": {HOSTILE_TEXT: f"{HOSTILE_TEXT}\ud800"},
    }
    section = Section(HOSTILE_TEXT, text_table(pd.DataFrame({HOSTILE_TEXT: [HOSTILE_TEXT]})), HOSTILE_TEXT)
    made = Report(make_run_info(**facts), evil, verdict=[HOSTILE_TEXT], sections=[section])
    page = html.render_html(made)
    page.encode("utf-8")
    assert not CONTROL_CHARACTERS.search(page)
    assert "OWNED" in page
    own = Elements(html.render_html(plain))
    acting = {"script", "img", "a", "iframe", "svg"}
    found = Elements(page)
    assert [each for each in found.names if each in acting] == [each for each in own.names if each in acting]
    assert {name for name, _ in found.attributes} <= {name for name, _ in own.attributes}
    document = markdown.render_markdown(made, figure_links.file_uri)
    document.encode("utf-8")
    assert is_inert(document)
    assert not {"script", "img", "a", "iframe", "em"} & set(render_markdown(document).names)
    assert not CONTROL_CHARACTERS.search(document)


@pytest.fixture
def log() -> Callable[[], str]:
    """Listen to what Prefect's loggers of runs say, as the console does."""
    from prefect.logging import get_logger
    from prefect.logging.formatters import PrefectFormatter

    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(PrefectFormatter("%(levelname)s | %(message)s"))
    loggers = [*(get_logger(name) for name in ("flow_runs", "task_runs")), logging.getLogger("tasks")]
    hide_user_error_tracebacks()
    for logger in loggers:
        logger.addHandler(handler)
    yield said.getvalue
    for logger in loggers:
        logger.removeHandler(handler)


def test_log_lines_are_escaped(log: Callable[[], str]) -> None:
    from prefect.logging import get_logger

    logger = get_logger("task_runs")
    logger.warning("%s: %d%%", HOSTILE_TEXT, 7)
    logger.warning(f"{HOSTILE_TEXT} 100%")
    try:
        raise RuntimeError(HOSTILE_TEXT)
    except RuntimeError:
        logger.exception("failed")
    with ignore_api_errors():
        raise httpx.ConnectError(HOSTILE_TEXT)
    said = log()
    assert not CONTROL_CHARACTERS.search(said)
    assert said.count("OWNED") == 4
    assert ": 7%" in said
    assert "RuntimeError: \\x1b]0;OWNED" in said


def test_alert_escapes_parameters_and_messages(api: str, capsys: Capture) -> None:
    from uuid import UUID

    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from prefect.states import Failed

    from flows.imdb_compare import imdb_compare

    with temporary_settings({PREFECT_API_URL: api}):
        with get_client(sync_client=True) as client:
            name = HOSTILE_TEXT.replace("/", "").replace("%", "")
            run = client.create_flow_run(imdb_compare, parameters={"results": HOSTILE_TEXT}, name=name)
            client.set_flow_run_state(run.id, Failed(message=HOSTILE_TEXT), force=True)
        title, lines = alert.describe_alert(UUID(str(run.id)), "")
        assert is_inert(title)
        notify(title, lines)
    (found,) = httpx.post(f"{api}/artifacts/latest/filter", json={"artifacts": {"key": {"any_": ["alert"]}}}).json()
    for shown in (found["data"], found["description"]):
        assert is_inert(shown)
        assert contains_hostile_text(shown)
        assert is_plain_markdown(shown)
    said = capsys.readouterr()
    assert not CONTROL_CHARACTERS.search(said.out + re.sub(r"\x1b\[[\d;]*m", "", said.err))


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_user_errors_of_data_files_are_escaped(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"{HOSTILE_FILE_NAME}.{ending}"
    frame = pd.DataFrame(
        {
            "text": ["a", ""],
            "label": [HOSTILE_TEXT, "7"],
            "split": [HOSTILE_TEXT, HOSTILE_TEXT],
            HOSTILE_TEXT: [HOSTILE_TEXT, ""],
        }
    )
    write = {"csv": frame.to_csv, "parquet": frame.to_parquet, "jsonl": lambda at, index: frame.to_json(
        at, orient="records", lines=True)}[ending]  # fmt: skip
    write(path, index=False)
    for how in (
        {"group": HOSTILE_TEXT},
        {"text_column": f"{HOSTILE_TEXT}2"},
        {"group": "text"},
        {"positive": f"{HOSTILE_TEXT}2"},
    ):
        with pytest.raises(UserError) as refused:
            read_reviews(path, **how)
        assert is_inert(str(refused.value))
        assert contains_hostile_text(str(refused.value))
    path.write_bytes(f'{HOSTILE_TEXT}\n"{HOSTILE_TEXT}'.encode() + b"\xff\x00")
    with contextlib.suppress(UserError), pytest.raises(UserError) as refused:
        read_reviews(path)
    assert is_inert(str(refused.value))


@pytest.mark.slow
def test_run_on_a_hostile_data_file_escapes_all_its_outputs(api: str, tiny: Path, tmp_path: Path) -> None:
    classes = {0: f"b{PRINTABLE_NAME}".casefold(), 1: f"a{PRINTABLE_NAME}"}  # others are refused as labels
    data = tmp_path / f"{HOSTILE_FILE_NAME}.csv"
    frame = pd.read_csv(tiny)
    films = [f"{HOSTILE_TEXT}{row}" for row in range(len(frame))]
    frame = pd.DataFrame(
        {f"{HOSTILE_TEXT}t": frame["text"], f"{HOSTILE_TEXT}l": frame["label"].map(classes), f"{HOSTILE_TEXT}g": films}
    )
    frame.to_csv(data, index=False)
    results = tmp_path / "results"
    numbers = {name.strip("-").replace("-", "_"): int(value) for name, value in TINY.items() if value.isdigit()}
    asked = {
        **numbers, "architectures": ("simple_rnn",), "data": str(data), "results": str(results), "positive": classes[1],
        "text_column": f"{HOSTILE_TEXT}t", "label_column": f"{HOSTILE_TEXT}l", "group": f"{HOSTILE_TEXT}g",
        "run_name": "hostile",
    }  # fmt: skip
    parameters = tmp_path / "parameters.json"
    parameters.write_text(json.dumps(asked))
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.programs.run_flow", str(parameters)], cwd=ROOT,
        env={**os.environ, "PREFECT_API_URL": api, "PYTHONPATH": str(ROOT), "PREFECT_LOGGING_COLORS": "false"},
        capture_output=True, check=False,
    )  # fmt: skip
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 0, err
    assert is_inert(out)
    assert is_inert(err)
    assert contains_hostile_text(out)
    assert contains_hostile_text(err)
    run = results / "runs" / "hostile"
    for document in (run / "report.md").read_text(), artifact(api, "report")["data"]:
        assert is_inert(document)
        assert document.count("OWNED") > 5
        assert not {"script", "a", "iframe", "em"} & set(render_markdown(document).names)
    page = (run / "report.html").read_text()
    assert not CONTROL_CHARACTERS.search(page)
    assert Elements(page).names.count("script") == 1
    assert not [value for name, value in Elements(page).attributes if name.startswith("on")]
    assert [value for name, value in Elements(page).attributes if name == "href"] == ["#report"]
    assert unquote(artifact(api, "report-file")["data"]).count("](") == 1


def artifact(api: str, key: str) -> dict[str, str]:
    (found,) = httpx.post(f"{api}/artifacts/latest/filter", json={"artifacts": {"key": {"any_": [key]}}}).json()
    return found
