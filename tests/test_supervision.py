"""Processes that die: real ones, killed by themselves, in a real flow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SCRIPT = """
import json, os, sys
from pathlib import Path
from prefect import flow, task
from tasks import supervision


@task
def work(name, folder, deaths):
    count = len(list(Path(folder).glob(name + "-*")))
    (Path(folder) / f"{name}-{count}").touch()
    if count < deaths:
        os.kill(os.getpid(), 9)
    if name == "wrong":
        raise ValueError("not this one")
    return os.getpid()

@flow
def run(calls):
    died = []
    outcomes = {
        call["name"]: repr(outcome) if isinstance(outcome, Exception) else outcome
        for call, outcome in supervision.supervise(work, calls, workers=2, on_death=lambda *death: died.append(death))
    }
    return {"outcomes": outcomes, "died": [[call["name"], attempt] for call, attempt in died]}

if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
"""


@pytest.fixture(scope="module")
def supervised(api: str, tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("supervised")
    (folder / "script.py").write_text(SCRIPT)
    deaths = {"healthy": 0, "once": 1, "wrong": 0, "always": 99, "late": 0}
    calls = [{"name": name, "folder": str(folder), "deaths": count} for name, count in deaths.items()]
    done = subprocess.run(
        [sys.executable, str(folder / "script.py"), json.dumps(calls)],
        cwd=ROOT,
        env=os.environ | {"PREFECT_API_URL": api, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]) | {"tries": [path.name for path in Path(folder).iterdir()]}


@pytest.mark.fault(1)
def test_a_death_costs_one_try_of_its_own_call(supervised: dict) -> None:
    assert isinstance(supervised["outcomes"]["once"], int)
    assert ["once", 1] in supervised["died"]
    assert {"healthy-0", "late-0", "once-0", "once-1"} <= set(supervised["tries"])
    assert not {"healthy-1", "late-1", "once-2"} & set(supervised["tries"])


@pytest.mark.fault(2)
def test_a_call_that_always_dies_is_given_up_and_the_others_finish(supervised: dict) -> None:
    assert "died 3 times" in supervised["outcomes"]["always"]
    assert sum(name.startswith("always-") for name in supervised["tries"]) == 3
    assert isinstance(supervised["outcomes"]["late"], int)


def test_an_error_is_handed_over_and_not_tried_again(supervised: dict) -> None:
    assert "not this one" in supervised["outcomes"]["wrong"]
    assert sum(name.startswith("wrong-") for name in supervised["tries"]) == 1
