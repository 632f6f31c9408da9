"""Worker processes that die, hang or run out of memory, in a real flow."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT, TINY


@pytest.fixture(scope="module")
def executed(api: str, tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("executed")
    deaths = {"healthy": 0, "stopped": 1, "once": 1, "left": 0, "wrong": 0, "hungry": 0, "always": 99, "late": 0}
    program = [sys.executable, "-m", "tests.helpers.programs.run_trials"]
    done = subprocess.run(
        [*program, "local", json.dumps(deaths), "0.4", str(folder)],
        cwd=ROOT, env=os.environ | {"PREFECT_API_URL": api}, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = {"tries": [path.name for path in folder.iterdir()], "said": done.stderr}
    return json.loads(done.stdout.splitlines()[-1]) | said


@pytest.mark.failure_mode("worker-killed")
def test_death_of_a_process_costs_one_attempt_of_its_trial(executed: dict) -> None:
    assert isinstance(executed["outcomes"]["once"], int)
    assert ["once", 1, "its process died"] in executed["failures"]
    assert {"healthy-0", "late-0", "once-0", "once-1"} <= set(executed["tries"])
    assert not {"healthy-1", "late-1", "once-2"} & set(executed["tries"])


@pytest.mark.failure_mode("worker-always-killed")
def test_trial_that_always_dies_ends_and_the_others_finish(executed: dict) -> None:
    assert "died 3 times" in executed["outcomes"]["always"]
    assert "--workers" in executed["outcomes"]["always"]
    assert sum(name.startswith("always-") for name in executed["tries"]) == 3
    assert isinstance(executed["outcomes"]["late"], int)


@pytest.mark.failure_mode("worker-always-killed")
@pytest.mark.failure_mode("stale-running-state")
def test_task_runs_of_dead_processes_are_crashed(executed: dict, api: str) -> None:
    query = {"flow_runs": {"id": {"any_": [executed["run"]]}}}
    deadline = time.monotonic() + 20
    ended: list[tuple[str, str]] = []
    while len(ended) < 13 and time.monotonic() < deadline:  # Prefect writes them down a moment later
        runs = httpx.post(f"{api}/task_runs/filter", json=query).json()
        ended = sorted((run["name"], run["state"]["type"]) for run in runs if run["state"]["type"] != "RUNNING")
        time.sleep(0.5)
    states = {name: [state for each, state in ended if each == name] for name in dict(ended)}
    assert states == {
        "healthy": ["COMPLETED"], "late": ["COMPLETED"], "once": ["COMPLETED", "CRASHED"],
        "stopped": ["COMPLETED", "CRASHED"], "left": ["COMPLETED", "CRASHED"],
        "wrong": ["FAILED"], "hungry": ["FAILED"], "always": ["CRASHED"] * 3,
    }  # fmt: skip


@pytest.mark.failure_mode("out-of-memory")
def test_trial_out_of_memory_fails_without_another_attempt(executed: dict) -> None:
    said = executed["outcomes"]["hungry"]
    assert "out of memory (Unable to allocate 8.00 GiB" in said
    assert "--workers" in said
    assert sum(name.startswith("hungry-") for name in executed["tries"]) == 1
    assert "Traceback" not in executed["said"].split("not this one")[0]


@pytest.mark.failure_mode("training-hangs")
def test_trial_above_the_time_limit_is_killed_and_tried_again(executed: dict) -> None:
    assert isinstance(executed["outcomes"]["stopped"], int)
    assert {"stopped-0", "stopped-1"} <= set(executed["tries"])
    assert ["stopped", 1, "it ran longer than 0.4 minutes (--trial-timeout-minutes)"] in executed["failures"]


@pytest.mark.failure_mode("server-down")
def test_exit_of_a_process_costs_one_attempt(executed: dict) -> None:
    assert isinstance(executed["outcomes"]["left"], int)
    assert ["left", 1, "its process died"] in executed["failures"]


def test_error_of_a_trial_is_returned_without_another_attempt(executed: dict) -> None:
    assert "not this one" in executed["outcomes"]["wrong"]
    assert sum(name.startswith("wrong-") for name in executed["tries"]) == 1


@pytest.mark.slow
@pytest.mark.failure_mode("worker-always-killed")
@pytest.mark.failure_mode("out-of-memory")
@pytest.mark.failure_mode("loss-diverged")
def test_failed_and_diverged_trials_are_reported_with_the_others(api: str, tiny: Path, tmp_path: Path) -> None:
    options = TINY | {"--architectures": "gru,lstm,deep_lstm,simple_rnn", "--data": str(tiny)}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.helpers.programs.odd_command"),
            *(word for option in options.items() for word in option),
            "--results=results",
        ],
        cwd=tmp_path,
        env=os.environ | {"PREFECT_API_URL": api, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    report, _, failures = done.stderr.rpartition("2 trainings failed:")
    hungry, killed = sorted(failures.strip().splitlines()[:2])  # either may give up first
    assert "gru-seed-0: out of memory (OOM when allocating tensor with shape[1048576,1048576]" in hungry
    assert "--units" in hungry
    assert "lstm-seed-0: its process died 3 times (killed, or out of memory" in killed
    assert re.search(r"Deep LSTM +0 of 1 \(1 diverged\)", report)
    assert re.search(r"Simple RNN +1 +\d", report)
    assert "\nReport: " in report
    caveats = (tmp_path / "results" / "latest" / "report.md").read_text()
    assert "gru-seed-0 failed and is missing" in caveats
    assert "lstm-seed-0 failed and is missing" in caveats
