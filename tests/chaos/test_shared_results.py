"""A results folder that containers share: in two namespaces, the same process id belongs to different processes."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.config.labels import BASELINE_NAMES
from tasks.storage import store
from tests.conftest import ROOT, TINY
from tests.helpers import runs
from tests.helpers.namespaces import PIDS, needs, unshared

SWEEPER = (
    "import os, sys; from pathlib import Path; from tasks.storage import store; print(store.sweep(Path(sys.argv[1])))"
)


def start_python(*words: str) -> subprocess.Popen[str]:
    """Start Python in a new namespace, in which its process id is 1."""
    command = [*unshared(PIDS), sys.executable, *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_success(process: subprocess.Popen[str]) -> str:
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return said.strip()


@needs(PIDS)
def test_sweep_keeps_partial_files_of_a_living_writer_in_another_namespace(tmp_path: Path) -> None:
    path, begun, go = tmp_path / "results" / "x.bin", tmp_path / "begun", tmp_path / "go"
    writer = start_python("-m", "tests.helpers.programs.slow_writer", str(path), str(begun), str(go))
    deadline = time.monotonic() + 60
    while not begun.exists() and writer.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    (unfinished,) = path.parent.glob(".*.partial")
    assert store.sweep(path.parent) == []
    assert wait_for_success(start_python("-c", SWEEPER, str(path.parent))) == "[]"
    assert unfinished.exists()
    go.touch()
    assert wait_for_success(writer) == "1"  # the sweeper had the same process id
    assert store.read_bytes(path) == b"content"


@needs(PIDS)
def test_partial_file_of_a_gone_namespace_is_removed_after_a_day(tmp_path: Path) -> None:
    script = "import os; from pathlib import Path; from tasks.storage.partial_files import partial_path; import sys\n"
    wait_for_success(start_python("-c", script + "partial_path(Path(sys.argv[1]) / 'x.bin').touch()", str(tmp_path)))
    (left,) = tmp_path.iterdir()
    assert store.sweep(tmp_path) == []
    os.utime(left, (time.time() - 25 * 3600,) * 2)
    assert store.sweep(tmp_path) == [left]


@needs(PIDS)
def test_files_of_two_namespaces_are_all_complete(tmp_path: Path) -> None:
    both = [start_python("-m", "tests.helpers.programs.many_writers", str(tmp_path), own) for own in "ab"]
    assert [wait_for_success(each) for each in both] == ["1", "1"]
    assert runs.find_violations(tmp_path) == []
    for number in range(40):
        assert store.read_bytes(tmp_path / "cache" / f"{number}.bin") in (b"a" * 1000, b"b" * 1000)
        made = {(tmp_path / "runs" / f"night-{number}x{more}" / "run.json").read_text() for more in ("", "-2")}
        assert made == {"a", "b"}
    assert len(list((tmp_path / "history").glob("*.bin"))) == 80
    assert (tmp_path / "latest").resolve().parent == tmp_path / "runs"


RUNS_EACH = 20


@needs(PIDS)
@pytest.mark.slow
def test_twenty_runs_in_each_of_two_namespaces_succeed(tiny: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir(mode=0o755)
    options = json.dumps(TINY | {"--data": str(tiny), "--results": str(results)})
    both = {}
    for own in "ab":
        home = os.environ | {"PREFECT_API_URL": "", "PREFECT_HOME": str(tmp_path / f"prefect-{own}")}
        command = [
            *unshared(PIDS),
            sys.executable,
            "-m",
            "tests.helpers.programs.many_runs",
            options,
            own,
            str(RUNS_EACH),
        ]
        with (tmp_path / f"{own}.jsonl").open("w") as said:
            both[own] = subprocess.Popen(command, cwd=ROOT, env=home, stdout=said, stderr=said)
    assert [process.wait(timeout=3600) for process in both.values()] == [0, 0]
    done = [json.loads(line) for own in both for line in (tmp_path / f"{own}.jsonl").read_text().splitlines()]
    assert len(done) == 2 * RUNS_EACH
    assert [run for run in done if run["code"]] == []
    assert runs.find_violations(results) == []
    # Seeds 0 to 3 of three learning rates, and the baselines.
    assert len(runs.finished_trials(results)) == 3 * 4 + len(BASELINE_NAMES)
    histories = list((results / "history").rglob("*.parquet"))
    assert len(histories) == 2 * RUNS_EACH
    assert all(store.read(file) is not None for file in histories)
    names = {path.name for path in (results / "runs").iterdir()}
    assert names == {f"run-{number}{more}" for number in range(RUNS_EACH) for more in ("", "-2")}
    assert all((results / "runs" / name / "report.html").is_file() for name in names)
