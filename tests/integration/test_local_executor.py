"""Worker processes that die, hang or run out of memory, in a real flow."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Command
from tests.helpers import task_states


@pytest.fixture(scope="module")
def executed(api: str, tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("executed")
    deaths = {
        "hanging": 99, "healthy": 0, "stopped": 1, "once": 1, "left": 0, "wrong": 0, "strange": 0, "hungry": 0,
        "always": 99, "late": 0,
    }  # fmt: skip
    program = [sys.executable, "-m", "tests.helpers.programs.run_trials"]
    done = subprocess.run(
        [*program, "local", json.dumps(deaths), "0.1", str(folder)],
        cwd=ROOT, env=os.environ | {"PREFECT_API_URL": api}, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout.splitlines()[-1])
    states = task_states.state_history(api, ended["run"], len(deaths))
    return ended | {"tries": [path.name for path in folder.iterdir()], "said": done.stderr, "states": states}


@pytest.mark.failure_mode("worker-killed")
def test_death_of_a_process_costs_one_attempt_of_its_trial(executed: dict) -> None:
    assert isinstance(executed["outcomes"]["once"], int)
    assert executed["states"]["once"] == ["Running", "Retrying", "Completed"]
    assert {"healthy-0", "late-0", "once-0", "once-1"} <= set(executed["tries"])
    assert not {"healthy-1", "late-1", "once-2"} & set(executed["tries"])
    assert executed["states"]["healthy"] == executed["states"]["late"] == ["Running", "Completed"]


@pytest.mark.failure_mode("worker-always-killed")
@pytest.mark.failure_mode("stale-running-state")
def test_trial_that_always_dies_ends_and_the_others_finish(executed: dict) -> None:
    assert "its worker process died" in executed["outcomes"]["always"]
    assert "`workers`" in executed["outcomes"]["always"]
    assert sum(name.startswith("always-") for name in executed["tries"]) == 3
    assert executed["states"]["always"] == ["Running", "Retrying", "Retrying", "Failed"]
    assert isinstance(executed["outcomes"]["late"], int)


@pytest.mark.failure_mode("out-of-memory")
def test_trial_out_of_memory_fails_without_another_attempt(executed: dict) -> None:
    said = executed["outcomes"]["hungry"]
    assert "out of memory (Unable to allocate 8.00 GiB" in said
    assert "`workers`" in said
    assert executed["states"]["hungry"] == ["Running", "Failed"]
    assert sum(name.startswith("hungry-") for name in executed["tries"]) == 1


@pytest.mark.failure_mode("training-hangs")
def test_trial_above_the_time_limit_is_killed_and_tried_again(executed: dict) -> None:
    assert isinstance(executed["outcomes"]["stopped"], int)
    assert {"stopped-0", "stopped-1"} <= set(executed["tries"])
    assert executed["states"]["stopped"] == ["Running", "Retrying", "Completed"]
    assert "it ran longer than 0.1 minutes (`trial_timeout_minutes`)" in executed["said"]


def test_trial_that_always_hangs_is_timed_out(executed: dict) -> None:
    assert "it ran longer than 0.1 minutes" in executed["outcomes"]["hanging"]
    assert executed["states"]["hanging"] == ["Running", "Retrying", "Retrying", "TimedOut"]


@pytest.mark.failure_mode("server-down")
def test_exit_of_a_process_costs_one_attempt(executed: dict) -> None:
    assert isinstance(executed["outcomes"]["left"], int)
    assert executed["states"]["left"] == ["Running", "Retrying", "Completed"]


@pytest.mark.parametrize(("trial", "said"), [("wrong", "not this one"), ("strange", "StrangeError: not that one")])
def test_error_of_a_trial_is_returned_without_another_attempt(executed: dict, trial: str, said: str) -> None:
    assert said in executed["outcomes"][trial]
    assert executed["states"][trial] == ["Running", "Failed"]
    assert sum(name.startswith(f"{trial}-") for name in executed["tries"]) == 1


@pytest.mark.slow
@pytest.mark.failure_mode("worker-always-killed")
@pytest.mark.failure_mode("out-of-memory")
@pytest.mark.failure_mode("loss-diverged")
def test_failed_and_diverged_trials_are_reported_with_the_others(compare: Command, tmp_path: Path) -> None:
    odd = "tests.helpers.programs.odd_architectures"
    names = f"{odd}:hungry,{odd}:killed,{odd}:diverging,simple_rnn"
    done = compare("--architectures", names, "--results", str(tmp_path / "results"))
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    report, _, failures = done.stderr.rpartition("trainings failed:")
    assert len(re.findall(r"^  ", failures, re.MULTILINE)) == 2
    hungry, killed = sorted(line.strip() for line in failures.splitlines() if "seed-0:" in line)  # in any order
    assert f"{odd}:hungry-seed-0: out of memory (OOM when allocating tensor with shape[1048576,1048576]" in hungry
    assert "--units" in hungry
    assert f"{odd}:killed-seed-0: its worker process died (killed, or out of memory" in killed
    assert re.search(r"Simple RNN +\d", report)
    assert "\nReport: " in report
    caveats = (tmp_path / "results" / "latest" / "report.md").read_text()
    assert "hungry-seed-0 failed and is missing" in caveats
    assert re.search(r"diverging.*: training diverged for all seeds", caveats)
    assert "killed-seed-0 failed and is missing" in caveats
