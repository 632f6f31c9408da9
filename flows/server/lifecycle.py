"""Prefect servers: tell whether one answers, and run one for a while, on 127.0.0.1 only."""

import ctypes
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import httpx

from flows.server.database import make_private
from tasks.config.errors import UserError

START_SECONDS = 90
QUOTED_LINES = 5
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


def project_api() -> str:
    """Return the address of the server's API that the environment or else the project's settings name."""
    settings = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    return os.environ.get("PREFECT_API_URL") or str(settings["tool"]["prefect"]["api"]["url"])


def answers(api: str) -> bool:
    """Tell whether a Prefect server answers at the address of its API."""
    try:
        return httpx.get(f"{api}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False


def wait_for(api: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers.

    Raises:
        RuntimeError: If it ends before, or does not answer within `START_SECONDS`.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if answers(api):
            return
        time.sleep(0.2)
    ended = server.poll()
    how = f"did not answer at {api} within {START_SECONDS} s" if ended is None else f"ended with exit code {ended}"
    raise RuntimeError(f"the Prefect server {how}")


def _end_with_parent() -> None:
    """Ask for an end when the parent is killed without a chance to clean up, and listen to signals whoever started us.

    A shell that runs a command in the background lets it ignore SIGINT, by which Prefect's worker is ended.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        set_death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGTERM)


@contextmanager
def prefect_process(
    *arguments: str,
    output: IO[bytes] | None = None,
    module: str = "prefect",
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Prefect command in a session of its own, so that Ctrl-C does not reach it, and end it with the block.

    Args:
        arguments: Words behind `python -m prefect`.
        output: Where its output goes; by default, to the terminal.
        module: What is run in Prefect's place.
        environment: Of the process; by default, this one's.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        start_new_session=True,
        stdout=output,
        stderr=output,
        env=environment,
        preexec_fn=_end_with_parent,
    )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        process.kill()
        process.wait()


@contextmanager
def server_process(
    port: int, *, host: str = "127.0.0.1", output: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Prefect server that no page of another site can write to, until the end of the block.

    What is set in the environment counts before the settings made here.

    Raises:
        UserError: If it would listen to other machines without a password.
    """
    check_host(host)
    make_private()  # before this process, too, makes Prefect's folder
    if password := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        os.environ.setdefault("PREFECT_API_AUTH_STRING", password)  # of whoever asks it from this process, or below
    own = ",".join(f"http://{name}:{port}" for name in LOOPBACK_NAMES)
    safe = {"PREFECT_SERVER_CORS_ALLOWED_ORIGINS": own, "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true"}
    with prefect_process(
        *(host, str(port)), module="flows.server.guard", output=output, environment={**safe, **os.environ}
    ) as process:
        yield process


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches what listens there."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(host: str) -> None:
    """Refuse to listen to other machines without a password: whoever can write to the server can run code here.

    Raises:
        UserError: If it would.
    """
    if not is_loopback(host) and not os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        raise UserError(
            f"PREFECT_SERVER_API_HOST is {host!r:.200}: other machines could run code here. "
            "Leave it at 127.0.0.1, or set PREFECT_SERVER_API_AUTH_STRING=<user>:<password>."
        )


@contextmanager
def any_server(meanwhile: Callable[[], object]) -> Iterator[None]:
    """Use the project's server if it answers, or else a temporary one until the end of the block.

    Prefect reads the address when it is imported, so this comes before. An address that somebody
    set in the environment is theirs: no temporary server takes its place.

    Args:
        meanwhile: Called while the temporary server starts, with its address set: what imports Prefect.

    Raises:
        UserError: If the temporary server does not start, with what it said last.
    """
    if os.environ.get("PREFECT_API_URL") or answers(project_api()):
        yield
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    api = f"http://127.0.0.1:{port}/api"
    with tempfile.TemporaryFile() as log, server_process(port, output=log) as process:
        os.environ["PREFECT_API_URL"] = api
        try:
            meanwhile()
            _wait_or_quote(api, process, log)
            try:
                yield
            finally:
                _send_the_rest()
        finally:
            del os.environ["PREFECT_API_URL"]


def _wait_or_quote(api: str, server: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    try:
        wait_for(api, server)
    except RuntimeError as error:
        log.seek(0)
        said = log.read().decode(errors="replace").strip().splitlines()[-QUOTED_LINES:] or ["(nothing)"]
        raise UserError(
            f"A run needs a Prefect server, and the temporary one did not start: {error}. What it said last:\n"
            + "\n".join(f"  {line:.300}" for line in said)
            + "\nSet PREFECT_HOME to an empty folder for a new history and default settings, or PREFECT_API_URL to a "
            "server that runs."
        ) from None


def _send_the_rest() -> None:
    """Let Prefect's background threads send the last logs and events while there is a server to send them to."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=10)
    EventsWorker.drain_all(timeout=10)
