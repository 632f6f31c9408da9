"""Runs as processes of their own, that tests and the soak kill, and what must hold after that."""

import fcntl
import hashlib
import os
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

from flows.server.lifecycle import server_process, wait_for
from tests.conftest import ROOT, TINY

# How each kind of process is known by its command line.
KINDS = {"flow": "flows.imdb_compare", "server": "server", "worker": "spawn_main"}


@dataclass
class Run:
    """A run of the command, with what it says in files."""

    process: subprocess.Popen[bytes]
    folder: Path
    marker: str

    @property
    def said(self) -> str:
        """Return what it has said on stderr so far."""
        return (self.folder / f"{self.process.pid}.err").read_text(errors="replace")

    def until(self, happened: Callable[[], object], seconds: float = 120) -> None:
        """Wait for something to happen while the run runs.

        Raises:
            AssertionError: If it does not, with what the run said.
        """
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, self.said
            assert self.process.poll() is None, self.said
            time.sleep(0.02)

    def living(self) -> dict[int, str]:
        """Return the processes of this run that are alive, and of what kind each is."""
        return processes_of(self.marker)

    def seconds_alive(self) -> float:
        """Wait until no process of this run is alive, and return how long that took; at most 30 s."""
        started = time.monotonic()
        while self.living() and time.monotonic() - started < 30:
            time.sleep(0.05)
            self.process.poll()
        return time.monotonic() - started


def start(options: Mapping[str, str], folder: Path, environment: Mapping[str, str] | None = None) -> Run:
    """Start the command in a process group of its own; `folder` holds what it says."""
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
            preexec_fn=heeding_interrupts,
        )
    said.rename(folder / f"{process.pid}.err")
    return Run(process, folder, f"IMDB_COMPARE_TEST={marker}")


def heeding_interrupts() -> None:
    """Let a child heed Ctrl-C also where this process does not: in a shell's background, it is told to ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def processes_of(marker: str) -> dict[int, str]:
    """Return the living processes whose environment holds `marker`, and of what kind each is."""
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


def trials(results: Path) -> dict[str, int]:
    """Return the trials that are listed as finished, each with the time at which it was written."""
    histories = (results / "cache" / "trials").glob("*.parquet.sha256")
    return {file.name: file.stat().st_mtime_ns for file in histories if "predictions" not in file.name}


def flaws(results: Path) -> list[str]:
    """Return what a crash must not leave: files that fail their checksum, temporary files, locks that are held."""
    found = []
    for checksum in results.rglob("*.sha256"):
        file = checksum.with_suffix("")
        expected = checksum.read_text().split()[0]
        if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            found.append(f"{file.name} fails its checksum")
    found += [f"{path.name} is left" for path in results.rglob(".*.partial")]
    return found + [f"{lock.name} is held" for lock in results.rglob("*.lock") if _held(lock)]


def _held(lock: Path) -> bool:
    with lock.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def scores(results: Path) -> pd.DataFrame:
    """Return the scores of the latest run."""
    return pd.read_parquet(results / "latest" / "tables" / "scores.parquet")


def free_port() -> int:
    """Return a port of 127.0.0.1 at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def guarded_server(home: Path, *, host: str = "127.0.0.1", password: str | None = None) -> Iterator[str]:
    """Run the server as `make ui` does, its database and log in `home`, and yield the address of its API."""
    port = free_port()
    api = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/api"
    with ExitStack() as running:
        log = running.enter_context((home / "server.log").open("wb"))
        with pytest.MonkeyPatch.context() as patch:  # of the server alone, not of the tests meanwhile
            patch.setenv("PREFECT_HOME", str(home))
            patch.setenv("PREFECT_API_URL", api)  # which the pages are told to ask
            for name in ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"):
                patch.setenv(name, password) if password else patch.delenv(name, raising=False)
            process = running.enter_context(server_process(port, host=host, output=log))
            wait_for(api, process)
        yield api


@contextmanager
def pages(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
    """Run what `make ui` runs on a free port, its database and log in `folder`; yield the environment that finds it.

    Raises:
        AssertionError: If it is not ready in three minutes, or does not end by itself after Ctrl-C.
    """
    port = free_port()
    found = {**os.environ, "PREFECT_HOME": str(folder), "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    found |= dict(environment or {})
    said = folder / "ui.log"
    with said.open("w") as log:
        command = [sys.executable, "-m", "flows.server.ui"]
        process = subprocess.Popen(command, cwd=ROOT, env=found, stdout=log, stderr=log, preexec_fn=heeding_interrupts)
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


def prefect(environment: Mapping[str, str], *words: str, seconds: float = 400) -> str:
    """Run a command of Prefect's, and return what it said.

    Raises:
        AssertionError: If it does not end well.
    """
    command = [sys.executable, "-m", "prefect", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def asked(api: str, path: str, query: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask the server by a POST, with the token that it wants."""
    token = httpx.get(f"{api}/csrf-token?client=e2e").json()["token"]
    answer = httpx.post(
        f"{api}/{path}", json=query, headers={"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "e2e"}
    )
    return list(answer.raise_for_status().json())


def tiny_parameters(data: Path, results: Path) -> dict[str, object]:
    """Return parameters of the flow for a tiny comparison."""
    numbers = {name.strip("-").replace("-", "_"): int(value) for name, value in TINY.items() if value.isdigit()}
    return {**numbers, "architectures": ["simple_rnn"], "data": str(data), "results": str(results)}
