"""Processes that die, hang or run out of memory: real ones, by their own hand, in a real flow."""

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
def supervised(api: str, tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("supervised")
    deaths = {"healthy": 0, "stopped": 1, "once": 1, "left": 0, "wrong": 0, "hungry": 0, "always": 99, "late": 0}
    program = [sys.executable, "-m", "tests.helpers.programs.run_trials"]
    done = subprocess.run(
        [*program, "local", json.dumps(deaths), "0.2", str(folder)],
        cwd=ROOT, env=os.environ | {"PREFECT_API_URL": api}, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = {"tries": [path.name for path in folder.iterdir()], "said": done.stderr}
    return json.loads(done.stdout.splitlines()[-1]) | said


@pytest.mark.failure_mode("worker-killed")
def test_a_death_costs_one_try_of_its_own_call(supervised: dict) -> None:
    assert isinstance(supervised["outcomes"]["once"], int)
    assert ["once", 1, "its process died"] in supervised["failures"]
    assert {"healthy-0", "late-0", "once-0", "once-1"} <= set(supervised["tries"])
    assert not {"healthy-1", "late-1", "once-2"} & set(supervised["tries"])


@pytest.mark.failure_mode("worker-always-killed")
def test_a_call_that_always_dies_is_given_up_and_the_others_finish(supervised: dict) -> None:
    assert "died 3 times" in supervised["outcomes"]["always"]
    assert "--workers" in supervised["outcomes"]["always"]
    assert sum(name.startswith("always-") for name in supervised["tries"]) == 3
    assert isinstance(supervised["outcomes"]["late"], int)


@pytest.mark.failure_mode("worker-always-killed")
@pytest.mark.failure_mode("stale-running-state")
def test_no_task_of_a_dead_process_runs_for_ever_on_prefects_page(supervised: dict, api: str) -> None:
    query = {"flow_runs": {"id": {"any_": [supervised["run"]]}}}
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
def test_a_call_without_memory_says_what_it_needed_once(supervised: dict) -> None:
    said = supervised["outcomes"]["hungry"]
    assert "out of memory (Unable to allocate 8.00 GiB" in said
    assert "--workers" in said
    assert sum(name.startswith("hungry-") for name in supervised["tries"]) == 1
    assert "Traceback" not in supervised["said"].split("not this one")[0]


@pytest.mark.failure_mode("training-hangs")
def test_a_call_that_hangs_is_ended_at_the_limit_and_tried_again(supervised: dict) -> None:
    assert isinstance(supervised["outcomes"]["stopped"], int)
    assert {"stopped-0", "stopped-1"} <= set(supervised["tries"])
    assert ["stopped", 1, "it ran longer than 0.2 minutes (--trial-timeout-minutes)"] in supervised["failures"]


@pytest.mark.failure_mode("server-down")
def test_a_process_that_leaves_by_exit_costs_one_try_and_nobody_waits_for_it(supervised: dict) -> None:
    assert isinstance(supervised["outcomes"]["left"], int)
    assert ["left", 1, "its process died"] in supervised["failures"]


def test_an_error_is_handed_over_and_not_tried_again(supervised: dict) -> None:
    assert "not this one" in supervised["outcomes"]["wrong"]
    assert sum(name.startswith("wrong-") for name in supervised["tries"]) == 1


@pytest.mark.slow
@pytest.mark.failure_mode("worker-always-killed")
@pytest.mark.failure_mode("out-of-memory")
@pytest.mark.failure_mode("loss-diverged")
def test_out_of_memory_killed_and_diverged_are_told_apart_and_the_others_reported(
    api: str, tiny: Path, tmp_path: Path
) -> None:
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
