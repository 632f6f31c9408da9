"""Stored files with control characters, line breaks or overlong names are refused with one safe message."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tasks.storage import store
from tests.helpers.hostile import HOSTILE_ARCHITECTURE, HOSTILE_TEXT, is_inert
from tests.helpers.subcommands import run_subcommand
from tests.integration.test_history import FIRST, PARTITION, add

pytestmark = pytest.mark.failure_mode("unsafe-name")

Capture = pytest.CaptureFixture[str]
REFUSED = {
    "hostile": HOSTILE_TEXT,
    "escape sequence": "\x1b[2J",
    "line break": "a\nFORGED",
    "bidirectional control": "a\u202eb",
    "overlong": "x" * 201,
    "empty": "",
}
names = pytest.mark.parametrize("name", REFUSED.values(), ids=REFUSED)


@pytest.fixture
def results(past: Path, tmp_path: Path) -> Path:
    return shutil.copytree(past, tmp_path / "results", symlinks=True)


def change_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def assert_refused(code: int, capsys: Capture) -> None:
    """Check for exit code 1, no output, and one line of error message without control characters."""
    said = capsys.readouterr()
    assert (code, said.out) == (1, "")
    assert len(said.err.splitlines()) == 1
    assert is_inert(said.err)
    assert len(said.err) < 2_000


@names
def test_run_with_a_refused_class_name_is_not_used(results: Path, capsys: Capture, name: str) -> None:
    change_json(results / "runs" / "first" / "run.json", classes=["negative", name])
    assert_refused(run_subcommand("predict", "--results", str(results), "a good film"), capsys)
    output = str(results / "model")
    assert_refused(run_subcommand("export", "--results", str(results), "--output", output), capsys)
    assert not Path(output).exists()
    assert_refused(run_subcommand("diff", "first", "first", "--results", str(results)), capsys)


@names
@pytest.mark.parametrize("field", ["run_name", "started", "rows", "settings", "versions", "hardware"])
def test_run_with_a_refused_name_in_any_field_is_not_used(
    results: Path, capsys: Capture, field: str, name: str
) -> None:
    change_json(
        results / "runs" / "first" / "run.json", **{field: name if field in ("run_name", "started") else {name: 1}}
    )
    assert_refused(run_subcommand("diff", "first", "first", "--results", str(results)), capsys)


@names
@pytest.mark.parametrize("table", ["trials", "scores", "calibration"])
def test_run_with_a_refused_architecture_name_is_not_used(
    results: Path, capsys: Capture, table: str, name: str
) -> None:
    path = results / "runs" / "first" / "tables" / f"{table}.parquet"
    frame = pd.read_parquet(path)
    frame["architecture"] = frame["architecture"].astype(str).replace("simple_rnn", name)
    frame.to_parquet(path)
    assert_refused(run_subcommand("predict", "--results", str(results), "a good film"), capsys)


def test_run_with_markup_as_architecture_name_is_not_used(results: Path, capsys: Capture) -> None:
    for path in (results / "runs" / "first" / "tables").glob("*.parquet"):
        frame = pd.read_parquet(path)
        if "architecture" in frame:
            frame["architecture"] = frame["architecture"].astype(str).replace("simple_rnn", "<script>|x|")
            frame.to_parquet(path)
    assert_refused(run_subcommand("predict", "--results", str(results), "a good film"), capsys)


@names
def test_exported_model_with_a_refused_name_is_not_used(results: Path, capsys: Capture, name: str) -> None:
    folder = results / "model"
    asked = ("--results", str(results), "--architecture", "nb_svm", "--output", str(folder))
    assert run_subcommand("export", *asked) == 0
    capsys.readouterr()
    for field, value in (("classes", ["negative", name]), ("name", name), ("architecture", name)):
        card = json.loads((folder / "model.json").read_text()) | {field: value}
        store.write(folder / "model.json", json.dumps(card).encode())  # with its checksum
        assert_refused(run_subcommand("predict", "--model", str(folder), "a good film"), capsys)


def assert_left_out(place: Path, capsys: Capture) -> None:
    """Check that the history shows the first night, and warns once of the file that is left out."""
    assert run_subcommand("history", "--results", str(place)) == 0
    out, err = capsys.readouterr()
    assert str(FIRST) in out
    assert "2026-03-09" not in out
    assert len(err.splitlines()) == 1
    assert is_inert(out)
    assert is_inert(err)


@names
@pytest.mark.parametrize("column", ["run", "architecture", "trial", "status"])
def test_nightly_results_with_a_refused_name_are_left_out(
    tmp_path: Path, capsys: Capture, column: str, name: str
) -> None:
    add(tmp_path, FIRST, {0: 0.8})
    file = add(tmp_path, FIRST.replace(day=9), {0: 0.5})
    store.write(file, store.read(file).to_pandas().assign(**{column: name}))
    assert_left_out(tmp_path, capsys)


@pytest.mark.parametrize("part", ["data", "configuration"])
@pytest.mark.parametrize("name", ["\x1b[2J", "a\nFORGED", "<script>", HOSTILE_ARCHITECTURE.replace("/", "")[:80]])
def test_nightly_results_in_a_folder_with_an_unsafe_name_are_left_out(
    tmp_path: Path, capsys: Capture, part: str, name: str
) -> None:
    add(tmp_path, FIRST, {0: 0.8})
    add(tmp_path, FIRST.replace(day=9), {0: 0.5}, partition=replace(PARTITION, **{part: name}))
    assert_left_out(tmp_path, capsys)
