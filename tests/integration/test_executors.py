"""Executors: results, epochs, errors, and workers that are killed, with real worker processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prefect.exceptions import TerminationSignal

from tasks.config.errors import TrialTimeoutError, WorkerDiedError
from tasks.execution.in_process import InProcessExecutor
from tasks.execution.local import LocalExecutor
from tests.conftest import ROOT
from tests.helpers.programs import worker_functions as functions


@pytest.fixture
def local() -> Iterator[LocalExecutor]:
    with LocalExecutor(2, timeout_minutes=0.5, prepare=functions.load_nothing) as executor:
        yield executor


@pytest.mark.parametrize("kind", ["local", "in_process"])
def test_result_and_epochs_arrive_in_order(kind: str, local: LocalExecutor) -> None:
    executor = local if kind == "local" else InProcessExecutor()
    epochs: list[tuple[int, dict[str, float]]] = []
    assert executor.run(functions.count_epochs, 5, on_epoch=lambda *epoch: epochs.append(epoch)) == "counted 5"
    assert epochs == [(number, {"loss": 1 / number}) for number in range(1, 6)]
    with pytest.raises(ValueError, match="not this one"):
        executor.run(functions.fail)


def test_calls_run_at_the_same_time_in_different_processes(local: LocalExecutor) -> None:
    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(local.run, functions.process_id, 1.0) for _ in range(2)]
        numbers = {call.result() for call in calls}
    assert len(numbers) == 2
    assert os.getpid() not in numbers


@pytest.mark.failure_mode("worker-killed")
def test_killed_worker_affects_only_its_own_call(local: LocalExecutor) -> None:
    with ThreadPoolExecutor(2) as threads:
        killed, other = (threads.submit(local.run, *call) for call in ((functions.kill,), (functions.process_id, 1.0)))
        with pytest.raises(WorkerDiedError):
            killed.result()
        assert other.result()
    assert local.run(functions.process_id, 0)


@pytest.mark.failure_mode("worker-killed")
def test_executor_recovers_from_the_death_of_idle_workers(local: LocalExecutor) -> None:
    with ThreadPoolExecutor(2) as threads:
        idle = {call.result() for call in [threads.submit(local.run, functions.process_id, 0.5) for _ in range(2)]}
    for number in idle:
        os.kill(number, signal.SIGKILL)
    time.sleep(0.5)
    assert local.run(functions.process_id, 0) not in idle


@pytest.mark.failure_mode("training-hangs")
def test_call_above_the_time_limit_is_killed() -> None:
    with LocalExecutor(1, timeout_minutes=0.01, prepare=functions.load_nothing) as executor:
        assert executor.run(functions.process_id, 0)
        started = time.monotonic()
        with pytest.raises(TrialTimeoutError):
            executor.run(functions.process_id, 60.0)
        assert time.monotonic() - started < 20
        assert executor.run(functions.process_id, 0)


@pytest.mark.failure_mode("flow-terminated")
def test_waiting_calls_end_with_the_executor() -> None:
    ended: list[BaseException] = []

    def wait(executor: LocalExecutor) -> None:
        try:
            executor.run(functions.process_id, 60.0)
        except BaseException as error:
            ended.append(error)

    with LocalExecutor(1, prepare=functions.load_nothing) as executor:
        number = executor.run(functions.process_id, 0)
        threads = [threading.Thread(target=wait, args=(executor,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
    for thread in threads:
        thread.join(timeout=10)
    assert [type(error) for error in ended] == [TerminationSignal] * 3
    assert not Path(f"/proc/{number}").exists()
    with pytest.raises(TerminationSignal):
        executor.run(functions.process_id, 0)


def test_each_worker_uses_another_gpu_and_its_successor_the_same() -> None:
    with LocalExecutor(2, gpus=["4", "7"], prepare=functions.set_gpu) as executor, ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(executor.run, functions.assigned_gpu, 1.0) for _ in range(2)]
        assert {call.result() for call in calls} == {"4", "7"}
        with pytest.raises(WorkerDiedError):
            executor.run(functions.kill)
        calls = [threads.submit(executor.run, functions.assigned_gpu, 1.0) for _ in range(2)]
        assert {call.result() for call in calls} == {"4", "7"}


def test_script_needs_no_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from tasks.execution.local import LocalExecutor\n"
        "from tests.helpers.programs import worker_functions as functions\n"
        "print('started')\n"
        "with LocalExecutor(2, prepare=functions.load_nothing) as executor:\n"
        "    print(executor.run(functions.count_epochs, 2, on_epoch=print))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.splitlines() == ["started", "1 {'loss': 1.0}", "2 {'loss': 0.5}", "counted 2"]
