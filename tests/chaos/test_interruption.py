"""Runs that are killed, terminated or interrupted during training, or started twice at the same time."""

import os
import re
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
import pandas as pd
import pytest

from flows.cli.exit_codes import RESUME
from tasks.config.labels import BASELINE_NAMES
from tests.conftest import TINY
from tests.helpers import runs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
# One worker: expensive trials start first, so the network finishes before the baselines.
SHORT = TINY | {"--architectures": "lstm", "--epochs": "4", "--patience": "4", "--workers": "1"}
ENDLESS = TINY | {"--epochs": "1000", "--patience": "1000", "--workers": "1"}


@pytest.fixture(scope="module")
def twice(api: str, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[runs.Run]]:
    """Run the same comparison twice at the same time; the results are those of an undisturbed run."""
    results = tmp_path_factory.mktemp("twice")
    options = SHORT | {"--data": str(tiny), "--results": str(results)}
    both = [runs.start(options, results / "output", {"PREFECT_API_URL": api}) for _ in range(2)]
    for run in both:
        run.process.wait(timeout=240)
    return results, both


@pytest.mark.failure_mode("concurrent-runs")
@pytest.mark.slow
def test_two_concurrent_runs_train_each_trial_once_with_the_same_scores(twice: tuple[Path, list[runs.Run]]) -> None:
    results, both = twice
    assert [run.process.returncode for run in both] == [0, 0], both[0].output + both[1].output
    outputs = [run.output for run in both]
    trained = re.findall(r"(\S+): epoch 1 of", "".join(outputs))
    assert trained == ["lstm-seed-0"]
    one, other = (
        pd.read_parquet(re.search(r"Report: (\S+)/report.html", each).group(1) + "/tables/scores.parquet")
        for each in outputs
    )
    pd.testing.assert_frame_equal(one, other)
    assert not runs.find_violations(results)
    assert all(run.wait_for_exit() < 2 for run in both)


@pytest.mark.failure_mode("flow-killed")
@pytest.mark.failure_mode("stale-running-state")
@pytest.mark.failure_mode("same-seed-twice")
@pytest.mark.slow
def test_run_after_a_kill_resumes_with_the_same_weights(
    api: str, tiny: Path, tmp_path: Path, twice: tuple[Path, list[runs.Run]]
) -> None:
    options = SHORT | {"--data": str(tiny), "--results": str(tmp_path)}
    run = runs.start(options, tmp_path / "output", {"PREFECT_API_URL": api})
    run.wait_until(lambda: runs.finished_trials(tmp_path))
    run.process.kill()
    assert run.wait_for_exit() < 2
    assert run.process.wait() == -signal.SIGKILL
    before = runs.finished_trials(tmp_path)
    assert 0 < len(before) < 1 + len(BASELINE_NAMES)  # baselines end first
    assert not [flaw for flaw in runs.find_violations(tmp_path) if "partial" not in flaw]
    again = runs.start(options, tmp_path / "output", {"PREFECT_API_URL": api})
    assert again.process.wait(timeout=240) == 0, again.output
    assert before.items() <= runs.finished_trials(tmp_path).items()
    assert runs.count_trainings(again.output) == 1 + len(BASELINE_NAMES) - len(before)
    assert not runs.find_violations(tmp_path)
    pd.testing.assert_frame_equal(runs.read_scores(tmp_path), runs.read_scores(twice[0]))
    # Those runs were executed at the same time, this one alone.
    assert weights(tmp_path) == weights(twice[0])
    # Prefect still lists the killed run as running, which has no effect on the next one.
    assert state(api, run) == "RUNNING"
    assert state(api, again) == "COMPLETED"


def weights(results: Path) -> dict[str, str]:
    """Return the hash of the weights of each trial."""
    found = {file.name: file.read_text() for file in results.glob("cache/trials/*.safetensors.sha256")}
    assert found
    return found


def state(api: str, run: runs.Run) -> str:
    """Return the state of a run in Prefect."""
    name = re.search(r"Flow run '([^']+)'", run.output).group(1)
    query = {"flow_runs": {"name": {"any_": [name]}}, "sort": "START_TIME_DESC"}
    return httpx.post(f"{api}/flow_runs/filter", json=query).json()[0]["state"]["type"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("death", "code", "seconds", "ended"),
    [
        pytest.param(signal.SIGKILL, -9, 2, "RUNNING", marks=pytest.mark.failure_mode("flow-killed")),
        pytest.param(signal.SIGTERM, 143, 5, "CRASHED", marks=pytest.mark.failure_mode("flow-terminated")),
        pytest.param(signal.SIGINT, 130, 5, "CRASHED", marks=pytest.mark.failure_mode("interrupted")),
    ],
)
def test_temporary_server_ends_with_the_run_and_stores_its_state(
    tiny: Path, tmp_path: Path, death: signal.Signals, code: int, seconds: float, ended: str
) -> None:
    options = ENDLESS | {"--data": str(tiny), "--results": str(tmp_path / "results")}
    run = runs.start(options, tmp_path / "output", {"PREFECT_API_URL": "", "PREFECT_HOME": str(tmp_path / "prefect")})
    run.wait_until(lambda: "epoch 3 of" in run.output)
    assert {"flow", "worker", "server"} <= set(run.living_processes().values())
    os.killpg(run.process.pid, death) if death == signal.SIGINT else run.process.send_signal(death)
    assert run.wait_for_exit() < seconds
    assert run.process.wait() == code
    with closing(sqlite3.connect(tmp_path / "prefect" / "prefect.db")) as database:
        assert database.execute("SELECT state_type FROM flow_run").fetchall() == [(ended,)]


@pytest.mark.slow
@pytest.mark.failure_mode("flow-killed")
def test_worker_that_has_just_started_ends_with_the_killed_flow(api: str, tiny: Path, tmp_path: Path) -> None:
    options = SHORT | {"--data": str(tiny), "--results": str(tmp_path)}
    run = runs.start(options, tmp_path / "output", {"PREFECT_API_URL": api})
    run.wait_until(lambda: "worker" in run.living_processes().values())
    run.process.kill()
    assert run.wait_for_exit() < 2


@pytest.mark.parametrize(
    ("death", "times", "code"),
    [
        pytest.param(signal.SIGTERM, 1, 143, marks=pytest.mark.failure_mode("flow-terminated")),
        pytest.param(signal.SIGINT, 1, 130, marks=[pytest.mark.failure_mode("interrupted"), pytest.mark.slow]),
        pytest.param(signal.SIGINT, 2, 130, marks=[pytest.mark.failure_mode("interrupted"), pytest.mark.slow]),
    ],
)
def test_terminated_or_interrupted_run_ends_with_all_its_processes(
    api: str, tiny: Path, tmp_path: Path, death: signal.Signals, times: int, code: int
) -> None:
    options = ENDLESS | {"--data": str(tiny), "--results": str(tmp_path), "--run-name": f"ended-{death.name}-{times}"}
    run = runs.start(options, tmp_path / "output", {"PREFECT_API_URL": api})
    run.wait_until(lambda: "epoch 3 of" in run.output)
    assert "worker" in run.living_processes().values()
    before = len(run.output)
    asked = time.monotonic()
    for _ in range(times):
        os.killpg(run.process.pid, death) if death == signal.SIGINT else run.process.send_signal(death)
        time.sleep(0.3)
    run.wait_for_exit()
    assert time.monotonic() - asked < 5, run.output[before:]
    assert run.process.wait() == code, run.output[before:]
    assert run.output.count(RESUME) == 1
    assert "Traceback" not in run.output[before:], run.output[before:]
    assert not runs.find_violations(tmp_path)
    assert times == 2 or state(api, run) == "CRASHED"


@pytest.mark.slow
@pytest.mark.failure_mode("worker-killed")
@pytest.mark.failure_mode("worker-always-killed")
def test_trial_whose_worker_is_always_killed_is_named_and_others_are_kept(api: str, tiny: Path, tmp_path: Path) -> None:
    options = SHORT | {"--epochs": "60", "--patience": "60", "--data": str(tiny), "--results": str(tmp_path)}
    run = runs.start(options, tmp_path / "output", {"PREFECT_API_URL": api})
    seen: set[int] = set()
    while len(seen) < 3:
        run.wait_until(lambda: run.output.count("epoch 1 of") > len(seen))
        (worker,) = (number for number, kind in run.living_processes().items() if kind == "worker")
        os.kill(worker, signal.SIGKILL)
        seen.add(worker)
    assert run.process.wait(timeout=240) == 1, run.output
    end = run.output.split("trainings failed:")[1]
    assert "lstm-seed-0: its worker process died" in end
    assert "Traceback" not in run.output
    assert len(runs.finished_trials(tmp_path)) == len(BASELINE_NAMES)
    assert not runs.find_violations(tmp_path)
    assert run.wait_for_exit() < 2
    again = runs.start(options, tmp_path / "output", {"PREFECT_API_URL": api})
    assert again.process.wait(timeout=240) == 0, again.output
    assert runs.count_trainings(again.output) == 1


@pytest.mark.slow
@pytest.mark.failure_mode("training-hangs")
def test_trials_beyond_the_time_limit_fail_after_three_attempts(api: str, tiny: Path, tmp_path: Path) -> None:
    options = SHORT | {"--trial-timeout-minutes": "0.01", "--data": str(tiny), "--results": str(tmp_path)}
    run = runs.start(options, tmp_path / "output", {"PREFECT_API_URL": api})
    assert run.process.wait(timeout=240) == 1, run.output
    _, _, end = run.output.rpartition("trainings failed:")  # a baseline may be fast enough
    assert "lstm-seed-0: it ran longer than 0.01 minutes (--trial-timeout-minutes), in the last of 3 attempts" in end
    assert "Traceback" not in run.output
    assert not runs.find_violations(tmp_path)
    assert run.wait_for_exit() < 2
