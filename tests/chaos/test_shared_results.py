"""One folder of results, shared by containers: two namespaces in which the same process ids mean other processes."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.storage import store
from tests.conftest import ROOT, TINY
from tests.helpers import runs
from tests.helpers.namespaces import PIDS, needs, unshared

WRITER = """
import os, sys, time
from pathlib import Path
from tasks.storage import store
real = os.fsync
def slowly(file):
    real(file)
    Path(sys.argv[2]).touch()
    while not Path(sys.argv[3]).exists():
        time.sleep(0.01)
store.os.fsync = slowly
store.write(Path(sys.argv[1]), b"content")
print(os.getpid())
"""
SWEEPER = (
    "import os, sys; from pathlib import Path; from tasks.storage import store; print(store.sweep(Path(sys.argv[1])))"
)
# Each does the same to the same names, as fast as it can, and sweeps in between.
STORER = """
import os, sys
from pathlib import Path
from tasks.reporting import run_directory
from tasks.storage import cache, store
from tasks.storage.partial_files import partial_path
results, own = Path(sys.argv[1]), sys.argv[2]
for number in range(40):
    store.sweep(results)
    with store.locked(results / "cache" / f"{number}.bin"):
        if store.read_bytes(results / "cache" / f"{number}.bin") is None:
            store.write(results / "cache" / f"{number}.bin", own.encode() * 1000)
    cache.kept(results / "cache" / f"{number}.zip", lambda: {"made by": own.encode()}, sys.exit)
    store.write(results / "history" / f"{number}-{own}.bin", own.encode())
    partial = partial_path(results / "runs" / f"night-{number}x")
    with store.unfinished(partial):
        with store.create(partial / "run.json") as file:
            file.write(own.encode())
        run_directory.settle(partial, results, f"night-{number}x")
print(os.getpid())
"""


def python(*words: str) -> subprocess.Popen[str]:
    """Start Python in a namespace of its own, in which it is process 1."""
    command = [*unshared(PIDS), sys.executable, *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended_well(process: subprocess.Popen[str]) -> str:
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return said.strip()


@needs(PIDS)
def test_the_sweep_spares_a_writer_of_another_namespace(tmp_path: Path) -> None:
    path, begun, go = tmp_path / "results" / "x.bin", tmp_path / "begun", tmp_path / "go"
    writer = python("-c", WRITER, str(path), str(begun), str(go))
    deadline = time.monotonic() + 60
    while not begun.exists() and writer.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    (unfinished,) = path.parent.glob(".*.partial")
    assert store.sweep(path.parent) == []
    assert ended_well(python("-c", SWEEPER, str(path.parent))) == "[]"
    assert unfinished.exists()
    go.touch()
    assert ended_well(writer) == "1"  # the number that the sweeper had, too
    assert store.read_bytes(path) == b"content"


@needs(PIDS)
def test_what_a_namespace_left_that_is_gone_is_removed_after_a_day(tmp_path: Path) -> None:
    script = "import os; from pathlib import Path; from tasks.storage.partial_files import partial_path; import sys\n"
    ended_well(python("-c", script + "partial_path(Path(sys.argv[1]) / 'x.bin').touch()", str(tmp_path)))
    (left,) = tmp_path.iterdir()
    assert store.sweep(tmp_path) == []
    os.utime(left, (time.time() - 25 * 3600,) * 2)
    assert store.sweep(tmp_path) == [left]


@needs(PIDS)
def test_two_namespaces_lose_nothing_to_each_other(tmp_path: Path) -> None:
    both = [python("-c", STORER, str(tmp_path), own) for own in "ab"]
    assert [ended_well(each) for each in both] == ["1", "1"]
    assert runs.flaws(tmp_path) == []
    for number in range(40):
        assert store.read_bytes(tmp_path / "cache" / f"{number}.bin") in (b"a" * 1000, b"b" * 1000)
        made = {(tmp_path / "runs" / f"night-{number}x{more}" / "run.json").read_text() for more in ("", "-2")}
        assert made == {"a", "b"}
    assert len(list((tmp_path / "history").glob("*.bin"))) == 80
    assert (tmp_path / "latest").resolve().parent == tmp_path / "runs"


RUNS_EACH = 20
# Trials differ in the learning rate: runs with an even number are the same in both namespaces, the others are not.
MANY_RUNS = """
import json, subprocess, sys, time
options, own = json.loads(sys.argv[1]), sys.argv[2]
for number in range(int(sys.argv[3])):
    rate = "0.001" if number % 2 == 0 else {"a": "0.002", "b": "0.003"}[own]
    asked = options | {"--learning-rate": rate, "--seeds": str(1 + number // 5), "--run-name": f"run-{number}"}
    started = time.monotonic()
    words = [word for option in asked.items() for word in option]
    done = subprocess.run([sys.executable, "-m", "flows.imdb_compare", *words], capture_output=True, text=True)
    seconds = round(time.monotonic() - started, 1)
    print(json.dumps({"own": own, "number": number, "code": done.returncode, "seconds": seconds,
                      "said": done.stderr[-2000:] if done.returncode else ""}), flush=True)
"""


@needs(PIDS)
@pytest.mark.slow
def test_twenty_runs_each_in_two_namespaces_at_once(tiny: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir(mode=0o755)
    options = json.dumps(TINY | {"--data": str(tiny), "--results": str(results)})
    both = {}
    for own in "ab":
        home = os.environ | {"PREFECT_API_URL": "", "PREFECT_HOME": str(tmp_path / f"prefect-{own}")}
        command = [*unshared(PIDS), sys.executable, "-c", MANY_RUNS, options, own, str(RUNS_EACH)]
        with (tmp_path / f"{own}.jsonl").open("w") as said:
            both[own] = subprocess.Popen(command, cwd=ROOT, env=home, stdout=said, stderr=said)
    assert [process.wait(timeout=3600) for process in both.values()] == [0, 0]
    done = [json.loads(line) for own in both for line in (tmp_path / f"{own}.jsonl").read_text().splitlines()]
    assert len(done) == 2 * RUNS_EACH
    assert [run for run in done if run["code"]] == []
    assert runs.flaws(results) == []
    # Seeds 0 to 3 of three learning rates, and the three baselines.
    assert len(runs.trials(results)) == 3 * 4 + 3
    histories = list((results / "history").rglob("*.parquet"))
    assert len(histories) == 2 * RUNS_EACH
    assert all(store.read(file) is not None for file in histories)
    names = {path.name for path in (results / "runs").iterdir()}
    assert names == {f"run-{number}{more}" for number in range(RUNS_EACH) for more in ("", "-2")}
    assert all((results / "runs" / name / "report.html").is_file() for name in names)
