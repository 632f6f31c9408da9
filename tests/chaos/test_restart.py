"""`imdb-compare ui` is stopped during a run and started again: the next run of the deployment resumes."""

import json
import time
from pathlib import Path

import pytest

from tasks.config.labels import BASELINE_NAMES
from tests.helpers.runs import (
    find_processes,
    find_violations,
    finished_trials,
    query_api,
    run_prefect,
    run_ui,
    tiny_parameters,
)

pytestmark = [pytest.mark.slow, pytest.mark.failure_mode("server-down")]
MARKER = "IMDB_COMPARE_TEST"


def wait_until(happened: object, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_restart_during_a_run_keeps_finished_trials_and_later_runs_start(tiny: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    # One trial at a time, each long enough that others remain when the first one is finished.
    wanted = tiny_parameters(tiny, results) | {"seeds": 6, "epochs": 30, "patience": 30, "workers": 1}
    mark = {MARKER: str(tmp_path)}
    with run_ui(tmp_path, mark) as environment:
        run_prefect(environment, "deployment", "run", "imdb-compare/default", "--params", json.dumps(wanted))
        wait_until(lambda: finished_trials(results))
    assert not find_processes(f"{MARKER}={tmp_path}")
    before = finished_trials(results)
    assert 0 < len(before) < 6 + len(BASELINE_NAMES)
    with run_ui(tmp_path, mark) as environment:
        api = environment["PREFECT_API_URL"]
        watched = ("deployment", "run", "imdb-compare/default", "--watch", "--params", json.dumps(wanted))
        run_prefect(environment, *watched)
        begun = {
            "flow_runs": {"state": {"type": {"not_any_": ["SCHEDULED"]}}},
            "flows": {"name": {"any_": ["imdb-compare"]}},  # the alert about the crash is another flow
        }
        states = [run["state"]["type"] for run in query_api(api, "flow_runs/filter", begun)]
    assert len(finished_trials(results)) == 6 + len(BASELINE_NAMES)
    assert before.items() <= finished_trials(results).items()
    assert not find_violations(results)
    assert sorted(states) == ["COMPLETED", "CRASHED"]
