"""Runs in separate processes, which tests can kill, and the checks that must hold afterwards."""

import fcntl
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from flows.server.lifecycle import server_process, wait_until_healthy
from tests.conftest import ROOT, TINY

# A word in the command line of each kind of process.
KINDS = {"flow": "flows.imdb_compare", "server": "server", "worker": "popen_loky"}


@dataclass
class Run:
    """A run of the command in a separate process.

    Attributes:
        process: The flow's process.
        folder: Folder of the output of the process, in `<process id>.err`.
        marker: Environment variable (`NAME=value`) that all processes of the run share.
    """

    process: subprocess.Popen[bytes]
    folder: Path
    marker: str

    @property
    def output(self) -> str:
        """Return the output so far, stdout and stderr."""
        return (self.folder / f"{self.process.pid}.err").read_text(errors="replace")

    def wait_until(self, happened: Callable[[], object], seconds: float = 120) -> None:
        """Wait until a condition holds.

        Raises:
            AssertionError: If the run ends before, or after `seconds`; with the output of the run.
        """
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, self.output
            assert self.process.poll() is None, self.output
            time.sleep(0.02)

    def living_processes(self) -> dict[int, str]:
        """Return the living processes of this run: kind (`flow`, `server`, `worker`, `other`) by process id."""
        return find_processes(self.marker)

    def wait_for_exit(self) -> float:
        """Wait until no process of this run is alive, at most 30 s, and return the duration in seconds."""
        started = time.monotonic()
        while self.living_processes() and time.monotonic() - started < 30:
            time.sleep(0.05)
            self.process.poll()
        return time.monotonic() - started


def start(options: Mapping[str, str], folder: Path, environment: Mapping[str, str] | None = None) -> Run:
    """Start the command in a new process group; its output is written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    marker = f"{folder}-{time.monotonic_ns()}"
    said = folder / f"{marker.rsplit('-', 1)[1]}.err"
    with said.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.imdb_compare", *(word for option in options.items() for word in option)],
            cwd=ROOT,
            env=os.environ | {"IMDB_COMPARE_TEST": marker} | dict(environment or {}),
            stdout=errors,
            stderr=errors,
            start_new_session=True,
            preexec_fn=restore_interrupts,
        )
    said.rename(folder / f"{process.pid}.err")
    return Run(process, folder, f"IMDB_COMPARE_TEST={marker}")


def restore_interrupts() -> None:
    """Make a child process handle Ctrl-C. Processes that a shell starts in the background ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def find_processes(marker: str) -> dict[int, str]:
    """Return the living processes whose environment contains `marker`: kind by process id."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            state = path.with_name("stat").read_text().rsplit(")", 1)[1].split()[0]
            if marker.encode() in path.read_bytes() and state != "Z":
                words = path.with_name("cmdline").read_text()
                found[int(path.parent.name)] = next((kind for kind, word in KINDS.items() if word in words), "other")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def finished_trials(results: Path) -> dict[str, int]:
    """Return the finished trials: time of writing (ns) by file name."""
    histories = (results / "cache" / "trials").glob("*.parquet.sha256")
    return {file.name: file.stat().st_mtime_ns for file in histories if "predictions" not in file.name}


def count_trainings(output: str) -> int:
    """Return the number of trials that a run had to train, from its output."""
    (number,) = re.findall(r"training (\d+)\.", output)[-1:]
    return int(number)


def find_violations(results: Path) -> list[str]:
    """Return what must not remain after a run: files that do not match their checksum, partial files, held locks."""
    found = []
    for checksum in results.rglob("*.sha256"):
        file = checksum.with_suffix("")
        expected = checksum.read_text().split()[0]
        if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            found.append(f"{file.name} does not match its checksum")
    found += [f"{path.name} is left" for path in results.rglob(".*.partial")]
    return found + [f"{lock.name} is held" for lock in results.rglob("*.lock") if _held(lock)]


def _held(lock: Path) -> bool:
    with lock.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def read_scores(results: Path) -> pd.DataFrame:
    """Return the scores of the latest run."""
    return pd.read_parquet(results / "latest" / "tables" / "scores.parquet")


def free_port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def run_server(home: Path, *, host: str = "127.0.0.1", password: str | None = None) -> Iterator[str]:
    """Run the server of `imdb-compare ui`, with database and log in `home`, and yield the address of its API."""
    port = free_port()
    api = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/api"
    with ExitStack() as running:
        log = running.enter_context((home / "server.log").open("wb"))
        with pytest.MonkeyPatch.context() as patch:  # only while the server starts
            patch.setenv("PREFECT_HOME", str(home))
            patch.setenv("PREFECT_API_URL", api)  # the UI sends its requests to this address
            for name in ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"):
                patch.setenv(name, password) if password else patch.delenv(name, raising=False)
            process = running.enter_context(server_process(port, host=host, output=log))
            wait_until_healthy(api, process)
        yield api


@contextmanager
def run_ui(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
    """Run `imdb-compare ui` on a free port, with database and log in `folder`, and yield the environment for clients.

    Raises:
        AssertionError: If it is not ready within three minutes, or does not end with exit code 0 after Ctrl-C.
    """
    port = free_port()
    found = {**os.environ, "PREFECT_HOME": str(folder), "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    found |= dict(environment or {})
    said = folder / "ui.log"
    with said.open("w") as log:
        command = [sys.executable, "-m", "flows.cli", "ui"]
        process = subprocess.Popen(command, cwd=ROOT, env=found, stdout=log, stderr=log, preexec_fn=restore_interrupts)
        try:
            deadline = time.monotonic() + 180
            while "Ready:" not in said.read_text() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.5)
            assert "Ready:" in said.read_text(), said.read_text()
            yield found
        finally:
            process.send_signal(signal.SIGINT)
            ended = process.wait(timeout=60)
    assert ended == 0, said.read_text()


def run_prefect(environment: Mapping[str, str], *words: str, seconds: float = 400) -> str:
    """Run a Prefect command, and return its output.

    Raises:
        AssertionError: If its exit code is not 0.
    """
    command = [sys.executable, "-m", "prefect", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def query_api(api: str, path: str, query: dict[str, Any]) -> list[dict[str, Any]]:
    """Send a query to the server by POST, with a CSRF token, and return the answer."""
    token = httpx.get(f"{api}/csrf-token?client=e2e").json()["token"]
    answer = httpx.post(
        f"{api}/{path}", json=query, headers={"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "e2e"}
    )
    return list(answer.raise_for_status().json())


def tiny_parameters(data: Path, results: Path) -> dict[str, object]:
    """Return parameters of the flow for a comparison of one tiny architecture."""
    numbers = {name.strip("-").replace("-", "_"): int(value) for name, value in TINY.items() if value.isdigit()}
    return {**numbers, "architectures": ["simple_rnn"], "data": str(data), "results": str(results)}
