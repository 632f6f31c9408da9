"""Prefect servers: check whether one answers, and run a temporary one on 127.0.0.1."""

import ctypes
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from flows.server.address import NAME, Address, configured_address
from flows.server.database import check_database, database_file, make_private
from flows.server.probe import RefusedError, UnusableServerError, check_address, check_api, is_healthy
from tasks.config.errors import UserError

PROJECT_ROOT = Path(__file__).parents[2]
START_SECONDS = 90
QUOTED_LINES = 5
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


class ServerError(RuntimeError):
    """A Prefect server, or one of Prefect's commands, failed or ended by itself."""


def wait_until_healthy(api: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers.

    Raises:
        ServerError: If it ends before, or does not answer within `START_SECONDS`.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if is_healthy(api):
            return
        time.sleep(0.05)
    code = server.poll()
    reason = f"did not answer at {api} within {START_SECONDS} s" if code is None else f"ended with exit code {code}"
    raise ServerError(f"The Prefect server {reason}.")


def _prepare_child(death_signal: signal.Signals) -> None:
    """Send this process a signal when its parent is killed, and restore the default handling of SIGINT.

    A shell starts background commands with SIGINT ignored, but Prefect's worker is ended by SIGINT.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        set_death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(set_death_signal, death_signal)


@contextmanager
def prefect_process(
    *arguments: str,
    output: IO[bytes] | None = None,
    errors: int | None = subprocess.STDOUT,
    module: str = "prefect",
    environment: Mapping[str, str] | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of Prefect until the end of the block, in its own session, so that Ctrl-C does not reach it.

    Its working directory is the project folder, where Prefect finds its settings and the flows.

    Args:
        arguments: Words behind `python -m prefect`.
        output: File for stdout and stderr; by default the terminal.
        errors: None if stderr is the terminal in any case.
        module: Module to run instead of Prefect.
        environment: Environment variables; by default those of this process.
        death_signal: Signal that it receives if this process is killed (Linux).
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        start_new_session=True,
        cwd=PROJECT_ROOT,
        stdout=output,
        stderr=errors if output else None,
        env=environment,
        preexec_fn=lambda: _prepare_child(death_signal),
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
    """Run a Prefect server that pages of other sites cannot use, until the end of the block.

    Environment variables take precedence over the settings made here.

    Args:
        port: Port at which it listens.
        host: Address at which it listens.
        output: File for stdout and stderr; by default the terminal.

    Raises:
        UserError: If it would be open to other machines without a password.
    """
    check_host(host)
    make_private()  # before this process creates Prefect's folder
    if password := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        os.environ.setdefault("PREFECT_API_AUTH_STRING", password)  # for the clients in this process and its children
    origins = ",".join(f"http://{name}:{port}" for name in LOOPBACK_NAMES)
    safe = {"PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origins, "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true"}
    with prefect_process(
        *(host, str(port)),
        output=output,
        module="flows.server.guard",
        environment={**safe, **os.environ},
        death_signal=signal.SIGKILL,  # to end in order takes seconds on a busy machine; the database does not need it
    ) as process:
        yield process


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect to an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(host: str) -> None:
    """Check that a server on this address has a password, unless only this machine can connect to it.

    Whoever can write to the server can execute code on this machine.

    Raises:
        UserError: If the password is missing.
    """
    if not is_loopback(host) and not os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        raise UserError(
            f"PREFECT_SERVER_API_HOST is {host!r:.200}: other machines could run code here. "
            "Leave it at 127.0.0.1, or set PREFECT_SERVER_API_AUTH_STRING=<user>:<password>."
        )


def check_server() -> None:
    """Check that a Prefect server answers or can be started, before anything heavy is imported.

    Raises:
        UserError: If none can be used at the address that is set, or Prefect's database cannot be used.
    """
    address = configured_address()
    if address.source:
        check_address(address)
    elif (file := database_file()) and not answers(address):
        check_database(file)


def answers(default: Address) -> bool:
    """Return whether a server can be used at the default address.

    Raises:
        UserError: If a Prefect server answers there, but refuses the credentials.
    """
    try:
        check_api(default.api)
        return True
    except UnusableServerError as error:
        if isinstance(error, RefusedError) and error.by_prefect:
            raise default.error(str(error)) from None
        return False


@contextmanager
def running_server(meanwhile: Callable[[], object]) -> Iterator[None]:
    """Use the server at the address that is set, else the project's if it answers, else a temporary one.

    Prefect reads the address when it is imported, so this comes first: it is in the environment until the end of the
    block. If an address is set, no temporary server is started.

    Args:
        meanwhile: Called while the temporary server starts, when its address is known: imports Prefect.

    Raises:
        UserError: If the temporary server does not start; the message quotes its last lines.
    """
    address = configured_address()
    if address.source or answers(address):
        with _address(address.api):  # Prefect does not find the project's settings outside of its folder
            yield
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with _temporary_server(port, meanwhile):
            yield


@contextmanager
def _temporary_server(port: int, meanwhile: Callable[[], object]) -> Iterator[None]:
    api = f"http://127.0.0.1:{port}/api"
    with tempfile.TemporaryFile() as log, server_process(port, output=log) as process, _address(api):
        meanwhile()
        try:
            wait_until_healthy(api, process)
        except ServerError as error:
            raise UserError(_quote(error, log)) from None
        try:
            yield
        finally:
            _flush_logs_and_events()


@contextmanager
def _address(api: str) -> Iterator[None]:
    before = os.environ.get(NAME)
    os.environ[NAME] = api
    try:
        yield
    finally:
        if before is None:
            del os.environ[NAME]
        else:
            os.environ[NAME] = before


def _quote(error: ServerError, log: IO[bytes]) -> str:
    return "\n".join(
        [
            f"A run needs a Prefect server, but a temporary one did not start. {error} Its last lines:",
            *last_lines(log),
            "Set PREFECT_HOME to an empty folder for a new database and default settings, or PREFECT_API_URL to the "
            "address of a running server.",
        ]
    )


def last_lines(log: IO[bytes]) -> list[str]:
    """Return the last lines that a process wrote to a file, indented."""
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()[-QUOTED_LINES:] or ["(nothing)"]
    return [f"  {line:.300}" for line in lines]


def _flush_logs_and_events() -> None:
    """Wait until Prefect's background threads have sent their logs and events, before the server ends."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    # In a thread of its own: in that of a notebook's event loop, Prefect would return a coroutine instead of waiting.
    with ThreadPoolExecutor(1) as thread:
        for worker in (APILogWorker, EventsWorker):
            thread.submit(worker.drain_all, timeout=10).result()
