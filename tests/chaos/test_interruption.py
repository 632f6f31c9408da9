"""Runs that are ended from outside while they train, or started twice: nothing lives on, nothing is trained twice."""

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

from tests.conftest import TINY
from tests.helpers import runs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
# One worker: what takes long goes first, so the network is finished and the baselines are not.
SHORT = TINY | {"--architectures": "lstm", "--epochs": "4", "--patience": "4", "--workers": "1"}
ENDLESS = TINY | {"--epochs": "1000", "--patience": "1000", "--workers": "1"}


@pytest.fixture(scope="module")
def twice(api: str, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[runs.Run]]:
    """Run the same comparison twice at once; what comes out is what an undisturbed run gives."""
    results = tmp_path_factory.mktemp("twice")
    options = SHORT | {"--data": str(tiny), "--results": str(results)}
    both = [runs.start(options, results / "said", {"PREFECT_API_URL": api}) for _ in range(2)]
    for run in both:
        run.process.wait(timeout=240)
    return results, both


@pytest.mark.fault(11)
@pytest.mark.slow
def test_two_runs_at_once_train_each_trial_once_and_say_the_same(twice: tuple[Path, list[runs.Run]]) -> None:
    results, both = twice
    assert [run.process.returncode for run in both] == [0, 0], both[0].said + both[1].said
    said = [run.said for run in both]
    trained = re.findall(r"Task run '(\S+)' - epoch 1 of", "".join(said))
    assert trained == ["lstm-seed-0"]
    one, other = (
        pd.read_parquet(re.search(r"Report: (\S+)/report.html", each).group(1) + "/tables/scores.parquet")
        for each in said
    )
    pd.testing.assert_frame_equal(one, other)
    assert not runs.flaws(results)
    assert not any(run.living() for run in both)


@pytest.mark.fault(3)
@pytest.mark.fault(17)
@pytest.mark.fault(33)
@pytest.mark.slow
def test_a_killed_run_is_taken_up_where_it_was(
    api: str, tiny: Path, tmp_path: Path, twice: tuple[Path, list[runs.Run]]
) -> None:
    options = SHORT | {"--data": str(tiny), "--results": str(tmp_path)}
    run = runs.start(options, tmp_path / "said", {"PREFECT_API_URL": api})
    run.until(lambda: "1 of 4 trainings done" in run.said)
    run.process.kill()
    assert run.seconds_alive() < 2
    assert run.process.wait() == -signal.SIGKILL
    before = runs.trials(tmp_path)
    assert any(name.startswith("lstm") for name in before)
    assert not [flaw for flaw in runs.flaws(tmp_path) if "partial" not in flaw]
    again = runs.start(options, tmp_path / "said", {"PREFECT_API_URL": api})
    assert again.process.wait(timeout=240) == 0, again.said
    assert before.items() <= runs.trials(tmp_path).items()
    assert f"training {4 - len(before)}." in again.said
    assert not runs.flaws(tmp_path)
    pd.testing.assert_frame_equal(runs.scores(tmp_path), runs.scores(twice[0]))
    # One run stood beside another then, and is alone now.
    assert weights(tmp_path) == weights(twice[0])
    # Prefect still has the killed run as running: nobody told it, and nobody minds.
    assert state(api, run) == "RUNNING"
    assert state(api, again) == "COMPLETED"


def weights(results: Path) -> dict[str, str]:
    """Return the hash of the weights of each trial."""
    found = {file.name: file.read_text() for file in results.glob("cache/trials/*.safetensors.sha256")}
    assert found
    return found


def state(api: str, run: runs.Run) -> str:
    """Return the state that Prefect knows a run in."""
    name = re.search(r"Flow run '([^']+)'", run.said).group(1)
    query = {"flow_runs": {"name": {"any_": [name]}}, "sort": "START_TIME_DESC"}
    return httpx.post(f"{api}/flow_runs/filter", json=query).json()[0]["state"]["type"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("death", "code", "seconds", "ended"),
    [
        pytest.param(signal.SIGKILL, -9, 2, "RUNNING", marks=pytest.mark.fault(3)),
        pytest.param(signal.SIGTERM, 143, 5, "CRASHED", marks=pytest.mark.fault(5)),
        pytest.param(signal.SIGINT, 130, 5, "CRASHED", marks=pytest.mark.fault(6)),
    ],
)
def test_the_temporary_server_ends_with_the_run_and_keeps_how_it_ended(
    tiny: Path, tmp_path: Path, death: signal.Signals, code: int, seconds: float, ended: str
) -> None:
    options = ENDLESS | {"--data": str(tiny), "--results": str(tmp_path / "results")}
    run = runs.start(options, tmp_path / "said", {"PREFECT_API_URL": "", "PREFECT_HOME": str(tmp_path / "prefect")})
    run.until(lambda: "epoch 3 of" in run.said)
    assert {"flow", "worker", "server"} <= set(run.living().values())
    os.killpg(run.process.pid, death) if death == signal.SIGINT else run.process.send_signal(death)
    assert run.seconds_alive() < seconds
    assert run.process.wait() == code
    with closing(sqlite3.connect(tmp_path / "prefect" / "prefect.db")) as database:
        assert database.execute("SELECT state_type FROM flow_run").fetchall() == [(ended,)]


@pytest.mark.slow
@pytest.mark.fault(3)
def test_a_process_that_has_just_been_started_ends_with_a_killed_run(api: str, tiny: Path, tmp_path: Path) -> None:
    options = SHORT | {"--data": str(tiny), "--results": str(tmp_path)}
    run = runs.start(options, tmp_path / "said", {"PREFECT_API_URL": api})
    run.until(lambda: "worker" in run.living().values())
    run.process.kill()
    assert run.seconds_alive() < 2


@pytest.mark.parametrize(
    ("death", "times", "code"),
    [
        pytest.param(signal.SIGTERM, 1, 143, marks=pytest.mark.fault(5)),
        pytest.param(signal.SIGINT, 1, 130, marks=[pytest.mark.fault(6), pytest.mark.slow]),
        pytest.param(signal.SIGINT, 2, 130, marks=[pytest.mark.fault(6), pytest.mark.slow]),
    ],
)
def test_no_process_outlives_a_run_that_is_ended(
    api: str, tiny: Path, tmp_path: Path, death: signal.Signals, times: int, code: int
) -> None:
    options = ENDLESS | {"--data": str(tiny), "--results": str(tmp_path), "--run-name": f"ended-{death.name}-{times}"}
    run = runs.start(options, tmp_path / "said", {"PREFECT_API_URL": api})
    run.until(lambda: "epoch 3 of" in run.said)
    assert "worker" in run.living().values()
    so_far = len(run.said)
    asked = time.monotonic()
    for _ in range(times):
        os.killpg(run.process.pid, death) if death == signal.SIGINT else run.process.send_signal(death)
        time.sleep(0.3)
    run.seconds_alive()
    assert time.monotonic() - asked < 5, run.said[so_far:]
    assert run.process.wait() == code, run.said[so_far:]
    assert run.said.count("What is trained is kept") == 1
    assert "Traceback" not in run.said[so_far:], run.said[so_far:]
    assert not runs.flaws(tmp_path)
    assert times == 2 or state(api, run) == "CRASHED"


@pytest.mark.slow
@pytest.mark.fault(1)
@pytest.mark.fault(2)
def test_a_training_that_is_always_killed_is_named_and_the_others_are_kept(
    api: str, tiny: Path, tmp_path: Path
) -> None:
    options = SHORT | {"--epochs": "60", "--patience": "60", "--data": str(tiny), "--results": str(tmp_path)}
    run = runs.start(options, tmp_path / "said", {"PREFECT_API_URL": api})
    seen: set[int] = set()
    while len(seen) < 3:
        run.until(lambda: run.said.count("epoch 1 of") > len(seen))
        (worker,) = (number for number, kind in run.living().items() if kind == "worker")
        os.kill(worker, signal.SIGKILL)
        seen.add(worker)
    assert run.process.wait(timeout=240) == 1, run.said
    end = run.said.split("1 trainings failed:")[1]
    assert "lstm-seed-0: its process died 3 times" in end
    assert "Traceback" not in run.said
    assert len(runs.trials(tmp_path)) == 3
    assert not runs.flaws(tmp_path)
    assert not run.living()
    again = runs.start(options, tmp_path / "said", {"PREFECT_API_URL": api})
    assert again.process.wait(timeout=240) == 0, again.said
    assert "training 1." in again.said


@pytest.mark.slow
@pytest.mark.fault(15)
def test_the_limit_of_minutes_ends_what_takes_longer(api: str, tiny: Path, tmp_path: Path) -> None:
    options = SHORT | {"--trial-timeout-minutes": "0.01", "--data": str(tiny), "--results": str(tmp_path)}
    run = runs.start(options, tmp_path / "said", {"PREFECT_API_URL": api})
    assert run.process.wait(timeout=240) == 1, run.said
    end = run.said.split("4 trainings failed:")[1]
    assert "lstm-seed-0: it ran longer than 0.01 minutes (--trial-timeout-minutes) 3 times" in end
    assert "Traceback" not in run.said
    assert not runs.flaws(tmp_path)
    assert not run.living()
