"""Execution on Dask: real schedulers and workers on 127.0.0.1, and workers that kill themselves."""

import asyncio
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from distributed import LocalCluster

from flows.cli.exit_codes import RESUME
from tasks.config.errors import UserError
from tasks.config.parameters import Parameters
from tasks.execution.check_engine import check_engine
from tasks.execution.dask import DaskExecutor
from tasks.execution.dask_worker import WorkerSetup, trial_versions
from tasks.models.baselines import BASELINES
from tests.conftest import ROOT, TINY, Command
from tests.helpers import runs, task_states

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def execute(api: str, folder: Path, deaths: dict[str, int], minutes: float = 5) -> dict:
    program = [sys.executable, "-m", "tests.helpers.programs.run_trials"]
    done = subprocess.run(
        [*program, "dask", json.dumps(deaths), str(minutes), str(folder)],
        cwd=ROOT, env=os.environ | {"PREFECT_API_URL": api, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout.splitlines()[-1])
    states = task_states.state_history(api, ended["run"], len(deaths))
    return ended | {"tries": sorted(file.name for file in folder.iterdir()), "said": done.stderr, "states": states}


@pytest.mark.slow
def test_death_of_a_worker_costs_one_attempt_of_its_trial(api: str, tmp_path: Path) -> None:
    got = execute(api, tmp_path, {"healthy": 0, "once": 1, "wrong": 0, "always": 99, "late": 0})
    assert [isinstance(got["outcomes"][name], int) for name in ("healthy", "once", "late")] == [True] * 3
    assert "not this one" in got["outcomes"]["wrong"]
    assert "its worker process died" in got["outcomes"]["always"]
    assert got["tries"] == [
        "always-0", "always-1", "always-2", "healthy-0", "late-0", "once-0", "once-1", "wrong-0"
    ]  # fmt: skip
    assert got["states"] == {
        "healthy": ["Running", "Completed"], "late": ["Running", "Completed"], "wrong": ["Running", "Failed"],
        "once": ["Running", "Retrying", "Completed"], "always": ["Running", "Retrying", "Retrying", "Failed"],
    }  # fmt: skip


@pytest.mark.slow
def test_trial_above_the_time_limit_is_killed_and_tried_again(api: str, tmp_path: Path) -> None:
    got = execute(api, tmp_path, {"stopped": 1}, minutes=0.1)
    assert isinstance(got["outcomes"]["stopped"], int)
    assert got["states"] == {"stopped": ["Running", "Retrying", "Completed"]}
    assert "it ran longer than 0.1 minutes (`trial_timeout_minutes`)" in got["said"]


@pytest.fixture
def scheduler(api: str, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a scheduler with two workers, as a person would start them; yield its address and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    dask = [sys.executable, "-m", "dask"]
    workers = ["worker", address, "--nworkers", "2", "--nthreads", "1", "--host", "127.0.0.1"]
    commands = [["scheduler", "--host", address, "--dashboard-address", "127.0.0.1:0"], workers]
    environment = os.environ | {"PREFECT_API_URL": api, "PYTHONPATH": str(ROOT)}
    with (tmp_path / "dask.log").open("wb") as log:
        processes = [
            subprocess.Popen([*dask, *words], cwd=tmp_path, env=environment, stdout=log, stderr=log)
            for words in commands
        ]
        yield address, processes[0]
        for process in reversed(processes):
            process.terminate()
            process.wait(timeout=60)


@pytest.mark.slow
def test_running_scheduler_gives_the_same_weights_as_processes(
    compare: Command, scheduler: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    address, _ = scheduler
    for place, options in {"processes": (), "dask": ("--engine", "dask", "--dask-address", address)}.items():
        done = compare("--results", str(tmp_path / place), "--seeds", "2", *options)
        assert done.returncode == 0, done.stderr
        assert runs.count_trainings(done.stderr) == 2 + len(BASELINES)
    assert weights(tmp_path / "dask") == weights(tmp_path / "processes")
    assert not runs.find_violations(tmp_path / "dask")


@pytest.mark.slow
def test_search_on_dask_selects_and_trains_the_same_as_processes(compare: Command, tmp_path: Path) -> None:
    found = {}
    for place, options in {"processes": (), "dask": ("--engine", "dask")}.items():
        done = compare("--results", str(tmp_path / place), "--tune", "4", *options)
        assert done.returncode == 0, done.stderr
        assert runs.count_trainings(done.stderr) == 4 + 1 + len(BASELINES)
        tables = tmp_path / place / "latest" / "tables"
        tuning = pd.read_parquet(tables / "tuning.parquet").drop(columns=["cpu_seconds", "train_seconds"])
        found[place] = (tuning, pd.read_parquet(tables / "trials.parquet")["weights_sha256"])
    for one, other in zip(*found.values(), strict=True):
        assert one.equals(other)


def weights(results: Path) -> dict[str, str]:
    """Return the hash of the weights of each trial."""
    found = {file.name: file.read_text() for file in results.glob("cache/trials/*.safetensors.sha256")}
    assert len(found) == 2 + len(BASELINES)
    return found


@pytest.mark.slow
def test_loss_of_the_scheduler_is_reported_once(
    api: str, tiny: Path, scheduler: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    address, process = scheduler
    options = TINY | {"--epochs": "1000", "--patience": "1000", "--data": str(tiny), "--results": str(tmp_path / "r")}
    options |= {"--engine": "dask", "--dask-address": address}
    run = runs.start(options, tmp_path / "said", {"PREFECT_API_URL": api})
    run.wait_until(lambda: len(runs.finished_trials(tmp_path / "r")) == 3)  # the network goes on
    so_far = len(run.output)
    process.kill()
    assert run.process.wait(timeout=60) == 1, run.output
    assert run.output.count(RESUME) == 1
    assert f"The Dask scheduler {address} no longer answers" in run.output.splitlines()[-1]
    assert "Traceback" not in run.output[so_far:], run.output[so_far:]
    assert not [flaw for flaw in runs.find_violations(tmp_path / "r") if "does not match its checksum" in flaw]


@pytest.mark.slow
def test_no_process_of_the_cluster_outlives_an_interrupted_run(api: str, tiny: Path, tmp_path: Path) -> None:
    options = TINY | {"--epochs": "1000", "--patience": "1000", "--data": str(tiny), "--results": str(tmp_path)}
    run = runs.start(options | {"--engine": "dask"}, tmp_path / "said", {"PREFECT_API_URL": api})
    run.wait_until(lambda: "epoch 2 of" in run.output)
    so_far = len(run.output)
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.process.wait(timeout=60) == 130, run.output[so_far:]
    deadline = time.monotonic() + 10
    while run.living_processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not run.living_processes()
    assert run.output.count(RESUME) == 1
    assert "Traceback" not in run.output[so_far:], run.output[so_far:]


@pytest.mark.parametrize(
    ("engine", "address", "said"),
    [
        ("dask", "tcp://127.0.0.1:1", "No Dask scheduler answers at tcp://127.0.0.1:1"),
        ("processes", "tcp://127.0.0.1:1", "Set `engine` to 'dask'"),
    ],
)
def test_useless_addresses_are_user_errors(
    engine: str, address: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.execution.dask_scheduler.RESPONSE_SECONDS", 1)
    with pytest.raises(UserError, match=re.escape(said)):
        check_engine(engine, address)


def silent(connection: socket.socket) -> None:
    connection.recv(1_000_000)
    time.sleep(60)


def web(connection: socket.socket) -> None:
    connection.recv(10)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    connection.close()


def noisy(connection: socket.socket) -> None:
    connection.sendall(random.Random(0).randbytes(65_536))
    time.sleep(60)


def short(connection: socket.socket) -> None:
    """Send one frame in Dask's form which is no message."""
    connection.sendall(struct.pack("<QQQ", 13, 1, 5) + b"abcde")
    time.sleep(60)


@pytest.fixture
def listener() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """Return a function that listens on 127.0.0.1, treats each connection as it is told to, and returns the port."""
    with ExitStack() as opened:

        def listen(treat: Callable[[socket.socket], None]) -> int:
            server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve() -> None:
                with suppress(OSError):
                    while True:
                        connection, _ = server.accept()
                        threading.Thread(target=quietly, args=(treat, connection), daemon=True).start()

            threading.Thread(target=serve, daemon=True).start()
            return server.getsockname()[1]

        yield listen


def quietly(treat: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with suppress(OSError):
        treat(connection)


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
@pytest.mark.parametrize("treat", [silent, socket.socket.close, web, noisy, short])
def test_server_that_is_no_scheduler_is_a_user_error(
    treat: Callable[[socket.socket], None],
    scheme: str,
    listener: Callable[[Callable[[socket.socket], None]], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tasks.execution.dask_scheduler.RESPONSE_SECONDS", 1)
    address = f"{scheme}://127.0.0.1:{listener(treat)}"
    started = time.monotonic()
    with pytest.raises(UserError) as refused:
        check_engine("dask", address)
    assert time.monotonic() - started < 4
    assert str(refused.value).startswith(f"No Dask scheduler answers at {address}, the value of `dask_address` (")
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("address", ["tcp://no-such-host.invalid:8786", "tcp://127.0.0.1:0", "tcp://127.0.0.1:99999"])
def test_address_without_a_server_is_a_user_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.execution.dask_scheduler.RESPONSE_SECONDS", 1)
    with pytest.raises(UserError, match=f"No Dask scheduler answers at {re.escape(address)}"):
        check_engine("dask", address)


def test_scheduler_needs_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.execution.dask_scheduler.RESPONSE_SECONDS", 2)
    own = {"processes": False, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=0, protocol="tcp", host="127.0.0.1", **own) as cluster:
        with pytest.raises(UserError, match="has no workers"):
            check_engine("dask", cluster.scheduler_address)
        cluster.scale(1)
        check_engine("dask", cluster.scheduler_address)


@pytest.mark.slow
def test_command_exits_with_code_2_without_a_scheduler(
    compare: Command, listener: Callable[[Callable[[socket.socket], None]], int], tmp_path: Path
) -> None:
    address = f"tcp://127.0.0.1:{listener(silent)}"
    started = time.monotonic()
    done = compare("--results", str(tmp_path), "--engine", "dask", "--dask-address", address)
    assert done.returncode == 2
    assert time.monotonic() - started < 60
    assert done.stderr.splitlines()[-1].startswith(f"No Dask scheduler answers at {address}")
    assert "Traceback" not in done.stderr


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.execution.check_engine.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install 'distributed"):
        check_engine("dask", None)


@pytest.mark.parametrize("address", ["localhost:8786", "http://h:1", "tcp://user:secret@h:1", "tcp://h"])
def test_invalid_addresses_are_user_errors(address: str) -> None:
    with pytest.raises(UserError, match=r"dask.address"):
        Parameters.from_user(engine="dask", dask_address=address)


def test_worker_with_other_versions_is_refused() -> None:
    worker = SimpleNamespace(address="tcp://h:1")
    other = WorkerSetup({**trial_versions(), "numpy": "0.1"}, load=lambda gpu: None)
    with pytest.raises(UserError, match=r"tcp://h:1 has other versions.*numpy.*here.*0\.1"):
        asyncio.run(other.setup(worker))


@pytest.mark.slow
def test_an_error_while_closing_is_logged_and_does_not_fail_the_run(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("cannot close \x1b[31m")

    with DaskExecutor(1, prepare=_load_nothing) as executor:
        executor._stack.callback(fail)
        assert executor.run(os.getpid) != os.getpid()
    (record,) = [record for record in caplog.records if record.name == "tasks.execution.dask"]
    assert record.levelname == "WARNING"
    assert "RuntimeError: cannot close \\x1b[31m" in record.getMessage()


@pytest.mark.slow
def test_worker_is_found_while_the_client_refreshes_what_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.execution.dask.MAX_SECONDS_WITHOUT_WORKERS", 3)
    with DaskExecutor(1, prepare=_load_nothing) as executor:
        refresh = executor._client._update_scheduler_info

        async def refresh_again(n_workers: int = 0) -> None:
            await refresh(n_workers)
            await refresh()  # as every two seconds, which may come between a question and the answer

        monkeypatch.setattr(executor._client, "_update_scheduler_info", refresh_again)
        assert executor.run(os.getpid) != os.getpid()


def _load_nothing(gpu: str | None = None) -> None:
    """Load no library."""
