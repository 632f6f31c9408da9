"""The parts of the soak: kills, and the rules that are checked afterwards. `make soak` runs it as a whole."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

from tasks.storage import store
from tests.chaos.soak import HEAD, Kill, check_exit_code, find_remaining, kill_process, wait_for_end
from tests.helpers import runs

pytestmark = [
    pytest.mark.failure_mode("random-kill"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


def start_sleeping(folder: Path, output: str = "") -> runs.Run:
    """Start a process that sleeps and looks like a worker process with this output."""
    marker = f"IMDB_COMPARE_TEST={folder}"
    words = [sys.executable, "-c", "import time; time.sleep(60)", "popen_loky"]
    process = subprocess.Popen(words, env=os.environ | {"IMDB_COMPARE_TEST": str(folder)})
    (folder / f"{process.pid}.err").write_text(output)
    return runs.Run(process, folder, marker)


def test_violations_are_held_locks_wrong_checksums_and_partial_files(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "trials" / "lstm-seed-0-x.parquet"
    store.write(file, pd.DataFrame({"a": [1]}))
    with store.locked(file):
        assert runs.find_violations(tmp_path) == [f"{file.name}.lock is held"]
    assert runs.find_violations(tmp_path) == []
    assert list(runs.finished_trials(tmp_path)) == [f"{file.name}.sha256"]
    file.write_bytes(b"other")
    file.with_name(".y.1.partial").touch()
    assert runs.find_violations(tmp_path) == [f"{file.name} does not match its checksum", ".y.1.partial is left"]


def test_victim_is_killed_and_remaining_processes_are_found(tmp_path: Path) -> None:
    run = start_sleeping(tmp_path)
    assert find_remaining(run, seconds=0) == ["a process of kind worker is still alive"]
    killed = kill_process(run, "worker", moment=0.2)
    assert run.process.wait(timeout=10) == -signal.SIGKILL
    assert killed.victim == "worker"
    assert killed.second >= 0.2
    assert find_remaining(run) == []
    assert kill_process(run, "worker", moment=0).victim == "none"


def test_flow_is_killed_if_the_last_worker_has_ended(tmp_path: Path) -> None:
    run = start_sleeping(tmp_path)
    flow = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "flows.imdb_compare"],
                            env=os.environ | {"IMDB_COMPARE_TEST": str(tmp_path)})  # fmt: skip
    whole = runs.Run(flow, tmp_path, run.marker)
    threading.Timer(0.5, run.process.kill).start()
    threading.Timer(0.7, run.process.wait).start()
    assert kill_process(whole, "worker", moment=1.5).victim == "flow"
    assert flow.wait(timeout=10) == -signal.SIGKILL
    assert find_remaining(whole) == []


def test_run_that_does_not_end_is_a_violation_and_is_killed(tmp_path: Path) -> None:
    run, killed = start_sleeping(tmp_path, "epoch 1"), Kill("server", 1.0)
    assert wait_for_end(run, killed, seconds=0.5) == -signal.SIGKILL
    assert killed.violations == ["no end within 0.5 s: 'epoch 1'"]
    assert find_remaining(run, seconds=0) == []


@pytest.mark.parametrize(
    ("victim", "code", "output", "correct"),
    [
        ("flow", -9, "", True),
        ("flow", 0, "\nReport: x", False),
        ("worker", 0, "x\nReport: x", True),
        ("worker", 0, "x", False),
        ("worker", 1, "x", False),
        ("server", 1, "x\nPrefect's server no longer answers", True),
        ("server", 1, "KeyError", False),
    ],
)
def test_exit_code_must_agree_with_the_output(
    tmp_path: Path, victim: str, code: int, output: str, correct: bool
) -> None:
    run = start_sleeping(tmp_path, output)
    run.process.kill()
    run.process.wait()
    assert (check_exit_code(run, Kill(victim, 1.0, code)) == []) is correct


def test_table_row_has_a_value_for_each_heading() -> None:
    assert HEAD.split()[0] == "kill"
    row = Kill("flow", 3.25, -9, 12.0, 0, ["a", "b"]).format_row(7).split()
    assert row == ["7", "flow", "3.2", "-9", "12.0", "0", "a;", "b"]
