"""Runs of the deployment that are cancelled or retried as in the Prefect UI."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tasks.config.labels import BASELINE_NAMES
from tests.helpers import runs

pytestmark = pytest.mark.slow
MARKER = "IMDB_COMPARE_TEST"


def wait_until(happened: Callable[[], object], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def start_run(environment: dict[str, str], parameters: dict[str, object]) -> str:
    """Start a run of the deployment, and return its id."""
    words = ("deployment", "run", "imdb-compare/default", "--params", json.dumps(parameters))
    (run,) = re.findall(r"UUID: (\S+)", runs.run_prefect(environment, *words))
    return run


def state(environment: dict[str, str], run: str) -> str:
    """Return the type of the state of a flow run."""
    return httpx.get(f"{environment['PREFECT_API_URL']}/flow_runs/{run}").json()["state"]["type"]


@pytest.mark.failure_mode("flow-terminated")
def test_cancelled_run_ends_with_all_its_processes(tiny: Path, tmp_path: Path) -> None:
    endless = {"epochs": 1000, "patience": 1000, "workers": 2, "run_name": "endless"}
    parameters = runs.tiny_parameters(tiny, tmp_path / "results") | endless

    def processes() -> list[str]:
        return sorted(runs.find_processes(f"{MARKER}={tmp_path}").values())

    with runs.run_ui(tmp_path, {MARKER: str(tmp_path)}) as environment:
        idle = processes()
        run = start_run(environment, parameters)
        wait_until(lambda: processes().count("worker") == 2 and runs.finished_trials(tmp_path / "results"))
        asked = time.monotonic()
        runs.run_prefect(environment, "flow-run", "cancel", run)
        commanded = time.monotonic()
        wait_until(lambda: processes() == idle, seconds=30)
        assert time.monotonic() - commanded < 5, f"the command took {commanded - asked} s"
        wait_until(lambda: state(environment, run) == "CANCELLED", seconds=30)
    assert not [flaw for flaw in runs.find_violations(tmp_path / "results") if "partial" not in flaw]


@pytest.mark.failure_mode("worker-always-killed")
def test_retried_run_trains_only_what_failed(tiny: Path, tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    odd = "tests.helpers.programs.odd_architectures:killed_until_allowed"
    parameters = runs.tiny_parameters(tiny, tmp_path / "results") | {
        "architectures": ["simple_rnn", odd], "run_name": "retried",
    }  # fmt: skip
    with runs.run_ui(tmp_path, {MARKER: str(tmp_path), "IMDB_COMPARE_ALLOW": str(allowed)}) as environment:
        run = start_run(environment, parameters)
        wait_until(lambda: state(environment, run) == "FAILED")
        before = runs.finished_trials(tmp_path / "results")
        assert len(before) == 1 + len(BASELINE_NAMES)
        allowed.touch()
        retry = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}  # as the button of the UI
        runs.query_api(environment["PREFECT_API_URL"], f"flow_runs/{run}/set_state", retry)
        wait_until(lambda: state(environment, run) == "COMPLETED")
    after = runs.finished_trials(tmp_path / "results")
    assert len(after) == 2 + len(BASELINE_NAMES)
    assert before.items() <= after.items()
    assert not runs.find_violations(tmp_path / "results")
