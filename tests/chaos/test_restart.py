"""What `make ui` runs, ended and started again in mid-run: the next run of the deployment goes on from there."""

import json
import time
from pathlib import Path

import pytest

from tests.helpers.runs import asked, flaws, pages, prefect, processes_of, tiny_parameters, trials

pytestmark = [pytest.mark.slow, pytest.mark.fault(13)]
MARKER = "IMDB_COMPARE_TEST"


def until(happened: object, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_restart_in_mid_run_loses_no_trial_and_blocks_no_later_run(tiny: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    # One trial at a time, and each long enough that some are still to come when the first is there.
    wanted = tiny_parameters(tiny, results) | {"seeds": 6, "epochs": 30, "patience": 30, "workers": 1}
    mark = {MARKER: str(tmp_path)}
    with pages(tmp_path, mark) as environment:
        prefect(environment, "deployment", "run", "imdb-compare/default", "--params", json.dumps(wanted))
        until(lambda: trials(results))
    assert not processes_of(f"{MARKER}={tmp_path}")
    before = trials(results)
    assert 0 < len(before) < 6 + 3
    with pages(tmp_path, mark) as environment:
        api = environment["PREFECT_API_URL"]
        watched = ("deployment", "run", "imdb-compare/default", "--watch", "--params", json.dumps(wanted))
        prefect(environment, *watched)
        begun = {
            "flow_runs": {"state": {"type": {"not_any_": ["SCHEDULED"]}}},
            "flows": {"name": {"any_": ["imdb-compare"]}},  # the alert, which tells of the crash, is another
        }
        states = [run["state"]["type"] for run in asked(api, "flow_runs/filter", begun)]
    assert len(trials(results)) == 6 + 3
    assert before.items() <= trials(results).items()
    assert not flaws(results)
    assert sorted(states) == ["COMPLETED", "CRASHED"]
