"""The parts of the soak: what it holds to be a flaw, and what it takes for true. `make soak` runs it whole."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

from tasks.storage import store
from tests.chaos.soak import HEAD, Kill, ending, kill_one, left_alive, untrue
from tests.helpers import runs

pytestmark = [pytest.mark.fault(4), pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


def sleeping(folder: Path, said: str = "") -> runs.Run:
    """Start a process that looks like one that trains, and says something first."""
    marker = f"IMDB_COMPARE_TEST={folder}"
    words = [sys.executable, "-c", "import time; time.sleep(60)", "spawn_main"]
    process = subprocess.Popen(words, env=os.environ | {"IMDB_COMPARE_TEST": str(folder)})
    (folder / f"{process.pid}.err").write_text(said)
    return runs.Run(process, folder, marker)


def test_every_flaw_is_found(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "trials" / "lstm-seed-0-x.parquet"
    store.write(file, pd.DataFrame({"a": [1]}))
    with store.locked(file):
        assert runs.flaws(tmp_path) == [f"{file.name}.lock is held"]
    assert runs.flaws(tmp_path) == []
    assert list(runs.trials(tmp_path)) == [f"{file.name}.sha256"]
    file.write_bytes(b"other")
    file.with_name(".y.1.partial").touch()
    assert runs.flaws(tmp_path) == [f"{file.name} fails its checksum", ".y.1.partial is left"]


def test_the_victim_is_killed_and_what_lives_on_is_found(tmp_path: Path) -> None:
    run = sleeping(tmp_path)
    assert left_alive(run, seconds=0) == ["a process of the worker lives on"]
    killed = kill_one(run, "worker", moment=0.2)
    assert run.process.wait(timeout=10) == -signal.SIGKILL
    assert killed.victim == "worker"
    assert killed.second >= 0.2
    assert left_alive(run) == []
    assert kill_one(run, "worker", moment=0).victim == "none"


def test_the_flow_is_killed_where_nothing_trains_any_more(tmp_path: Path) -> None:
    run = sleeping(tmp_path)
    flow = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "flows.imdb_compare"],
                            env=os.environ | {"IMDB_COMPARE_TEST": str(tmp_path)})  # fmt: skip
    whole = runs.Run(flow, tmp_path, run.marker)
    threading.Timer(0.5, run.process.kill).start()
    threading.Timer(0.7, run.process.wait).start()
    assert kill_one(whole, "worker", moment=1.5).victim == "flow"
    assert flow.wait(timeout=10) == -signal.SIGKILL
    assert left_alive(whole) == []


def test_a_run_that_does_not_end_is_told_and_ended(tmp_path: Path) -> None:
    run, killed = sleeping(tmp_path, said="epoch 1"), Kill("server", 1.0)
    assert ending(run, killed, seconds=0.5) == -signal.SIGKILL
    assert killed.violations == ["no end within 0.5 s: 'epoch 1'"]
    assert left_alive(run, seconds=0) == []


@pytest.mark.parametrize(
    ("victim", "code", "said", "true"),
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
def test_exit_codes_must_be_true(tmp_path: Path, victim: str, code: int, said: str, true: bool) -> None:
    run = sleeping(tmp_path, said)
    run.process.kill()
    run.process.wait()
    assert (untrue(run, Kill(victim, 1.0, code)) == []) is true


def test_the_table_has_a_column_for_each_heading() -> None:
    assert HEAD.split()[0] == "kill"
    row = Kill("flow", 3.25, -9, 12.0, 0, ["a", "b"]).row(7).split()
    assert row == ["7", "flow", "3.2", "-9", "12.0", "0", "a;", "b"]
