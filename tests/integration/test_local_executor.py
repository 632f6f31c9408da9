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

SCRIPT = """
import json, os, resource, signal, sys, time
from pathlib import Path
from prefect import flow, runtime, task
from tasks.execution import local
from tasks.config.errors import telling_of_memory


def start_worker(parent, threads, process, gpu):
    local.follow(parent, process)  # the rest, TensorFlow, takes its time and is none of this test's business


@task(task_run_name="{name}")
def work(name, folder, deaths):
    count = len(list(Path(folder).glob(name + "-*")))
    (Path(folder) / f"{name}-{count}").touch()
    if count < deaths:
        time.sleep(0.5)  # as a training would, so that Prefect hears of it
        os.kill(os.getpid(), signal.SIGSTOP if name.startswith("stopped") else signal.SIGKILL)
    if name == "left" and count == 0:
        time.sleep(0.5)
        exit(1)  # as Prefect does where it cannot begin
    if name == "wrong":
        raise ValueError("not this one")
    if name == "hungry":
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        import numpy as np
        with telling_of_memory():
            np.ones(1 << 30)
    return os.getpid()

@flow
def run(calls):
    died, reasons = [], []
    def on_death(call, attempt, reason):
        died.append([call["name"], attempt])
        reasons.append(reason)
    local.start_worker = start_worker
    outcomes = {
        call["name"]: repr(outcome) if isinstance(outcome, Exception) else outcome
        for call, outcome in local.supervise(work, calls, workers=2, minutes=0.2, on_death=on_death)
    }
    return {"outcomes": outcomes, "died": died, "reasons": reasons, "run": str(runtime.flow_run.id)}

if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
"""


@pytest.fixture(scope="module")
def supervised(api: str, tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("supervised")
    (folder / "script.py").write_text(SCRIPT)
    deaths = {"healthy": 0, "stopped": 1, "once": 1, "left": 0, "wrong": 0, "hungry": 0, "always": 99, "late": 0}
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
    said = {"tries": [path.name for path in folder.iterdir()], "said": done.stderr}
    return json.loads(done.stdout.splitlines()[-1]) | said


@pytest.mark.fault(1)
def test_a_death_costs_one_try_of_its_own_call(supervised: dict) -> None:
    assert isinstance(supervised["outcomes"]["once"], int)
    assert ["once", 1] in supervised["died"]
    assert {"healthy-0", "late-0", "once-0", "once-1"} <= set(supervised["tries"])
    assert not {"healthy-1", "late-1", "once-2"} & set(supervised["tries"])


@pytest.mark.fault(2)
def test_a_call_that_always_dies_is_given_up_and_the_others_finish(supervised: dict) -> None:
    assert "died 3 times" in supervised["outcomes"]["always"]
    assert "--workers" in supervised["outcomes"]["always"]
    assert sum(name.startswith("always-") for name in supervised["tries"]) == 3
    assert isinstance(supervised["outcomes"]["late"], int)


@pytest.mark.fault(2)
@pytest.mark.fault(17)
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


@pytest.mark.fault(7)
def test_a_call_without_memory_says_what_it_needed_once(supervised: dict) -> None:
    said = supervised["outcomes"]["hungry"]
    assert "out of memory (Unable to allocate 8.00 GiB" in said
    assert "--workers" in said
    assert sum(name.startswith("hungry-") for name in supervised["tries"]) == 1
    assert "Traceback" not in supervised["said"].split("not this one")[0]


@pytest.mark.fault(15)
def test_a_call_that_hangs_is_ended_at_the_limit_and_tried_again(supervised: dict) -> None:
    assert isinstance(supervised["outcomes"]["stopped"], int)
    assert {"stopped-0", "stopped-1"} <= set(supervised["tries"])
    assert "it ran longer than 0.2 minutes (--trial-timeout-minutes)" in supervised["reasons"]


@pytest.mark.fault(13)
def test_a_process_that_leaves_by_exit_costs_one_try_and_nobody_waits_for_it(supervised: dict) -> None:
    assert isinstance(supervised["outcomes"]["left"], int)
    assert ["left", 1] in supervised["died"]


def test_an_error_is_handed_over_and_not_tried_again(supervised: dict) -> None:
    assert "not this one" in supervised["outcomes"]["wrong"]
    assert sum(name.startswith("wrong-") for name in supervised["tries"]) == 1


ODD = """
import os, signal
import numpy as np
from tasks.models.registry import ARCHITECTURES


def hungry(recipe):
    import tensorflow as tf
    return tf.ones([1 << 20, 1 << 20])  # 4 TiB


def killed(recipe):
    os.kill(os.getpid(), signal.SIGKILL)


def diverging(recipe):
    model = ARCHITECTURES["simple_rnn"](recipe)
    model.set_weights([np.full_like(each, np.nan) for each in model.get_weights()])
    return model


ARCHITECTURES.update(hungry=hungry, killed=killed, diverging=diverging)
"""
COMMAND = """
import sys
import odd_architectures
if __name__ == "__main__":
    from flows.cli.run import main
    sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.fault(2)
@pytest.mark.fault(7)
@pytest.mark.fault(16)
def test_out_of_memory_killed_and_diverged_are_told_apart_and_the_others_reported(
    api: str, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "odd_architectures.py").write_text(ODD)
    (tmp_path / "command.py").write_text(COMMAND)
    options = TINY | {"--architectures": "hungry,killed,diverging,simple_rnn", "--data": str(tiny)}
    done = subprocess.run(
        [sys.executable, "command.py", *(word for option in options.items() for word in option), "--results=results"],
        cwd=tmp_path,
        env=os.environ | {"PREFECT_API_URL": api, "PYTHONPATH": f"{ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    report, _, failures = done.stderr.rpartition("2 trainings failed:")
    hungry, killed = sorted(failures.strip().splitlines()[:2])  # either may give up first
    assert "hungry-seed-0: out of memory (OOM when allocating tensor with shape[1048576,1048576]" in hungry
    assert "--units" in hungry
    assert "killed-seed-0: its process died 3 times (killed, or out of memory" in killed
    assert re.search(r"Diverging +0 of 1 \(1 diverged\)", report)
    assert re.search(r"Simple RNN +1 +\d", report)
    assert "\nReport: " in report
    caveats = (tmp_path / "results" / "latest" / "report.md").read_text()
    assert "hungry-seed-0 failed and is missing" in caveats
    assert "killed-seed-0 failed and is missing" in caveats
