"""`imdb-compare ui`: Prefect's server with its UI, a worker and the deployments, in the foreground until Ctrl-C.

The server listens on 127.0.0.1 only, at the port of Prefect's settings. PREFECT_SERVER_API_HOST selects another
address, if PREFECT_SERVER_API_AUTH_STRING contains a user and a password.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

from flows.cli.console import print_error, print_output
from flows.cli.options import UiOptions
from flows.server.address import DEFAULT_API, NAME, Address, configured_address, without_password
from flows.server.environment import set_offline_environment
from flows.server.lifecycle import (
    PROJECT_ROOT,
    ServerError,
    check_host,
    is_loopback,
    last_lines,
    prefect_process,
    server_process,
    wait_until_healthy,
)
from flows.server.probe import is_prefect
from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal

POOL, WORKER = "local-process", "local"
SPARE_PORTS = 20


def execute(_: UiOptions) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Raises:
        UserError: If the port is taken, or the server would be open to other machines without a password.
        ServerError: If the server, the worker or the deployment fails.
    """
    set_offline_environment()
    # Warnings and errors of Prefect are printed. The log of a run is complete on its page.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")
    host, port, api = find_place(configured_address())
    os.environ[NAME] = api  # of the server, the worker and its runs, and of the commands that deploy
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), ExitStack() as running:
        print_output("Starting Prefect's server, the deployments and a worker …")
        server = running.enter_context(server_process(port, host=host))
        wait_until_healthy(api, server)
        deploy()
        running.callback(crash_interrupted_runs, api, WORKER)  # after the worker has ended, before the server ends
        said = running.enter_context(tempfile.TemporaryFile())
        worker = running.enter_context(
            prefect_process("worker", "start", "--pool", POOL, "--name", WORKER, output=said, errors=None)
        )
        print_output(describe(api))
        while server.poll() is None and worker.poll() is None:
            time.sleep(0.5)
        raise ServerError("\n".join(["The server or the worker ended by itself.", *last_lines(said)]))
    print_output("Ended.")


def describe(api: str) -> str:
    """Return how to use the server: where its pages are, and how a run is started."""
    prefix = "" if api == DEFAULT_API else f"{NAME}={without_password(api)} "
    return (
        f"Ready: {without_password(api).removesuffix('/api')}\n"
        f"Start a run there, or in this folder with:  {prefix}prefect deployment run imdb-compare/default --watch\n"
        "End with Ctrl-C."
    )


def find_place(address: Address) -> tuple[str, int, str]:
    """Return the address and port at which the server must listen, and the address of its API.

    If another program has the default port, the next free one is used.

    Raises:
        UserError: If the port is taken, the address is on another machine, or a password is missing.
    """
    if is_prefect(address.api):
        raise address.error("a Prefect server already answers there. Use that one, or stop it first")
    host = os.environ.get("PREFECT_SERVER_API_HOST", "127.0.0.1")
    check_host(host)
    check_passwords()
    url = urlsplit(address.api)
    if url.scheme != "http" or (not is_loopback(url.hostname or "") and url.hostname != host):
        raise address.error(
            f"that is not on this machine. Use that server, or serve here: {NAME}={DEFAULT_API} imdb-compare ui"
        )
    port = url.port or 80
    if is_free(host, port):
        return host, port, address.api
    if address.source:
        raise address.error("another program uses that port. Choose another one, or stop that program")
    spare = next((each for each in range(port + 1, port + 1 + SPARE_PORTS) if is_free(host, each)), None)
    if spare is None:
        raise address.error(f"that port and the next {SPARE_PORTS} are in use. Set {NAME}")
    print_error(f"Port {port} is used by another program. The server uses port {spare}.")
    return host, spare, f"http://{url.hostname}:{spare}/api"


def is_free(host: str, port: int) -> bool:
    """Return whether a server can listen at an address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            trial.bind((host, port))
        except OSError:
            return False
    return True


def check_passwords() -> None:
    """Check that the clients of this command have the password of its server.

    Raises:
        UserError: If they have another one.
    """
    server, client = (os.environ.get(f"PREFECT_{name}API_AUTH_STRING") for name in ("SERVER_", ""))
    if client and client != server:
        raise UserError(
            "PREFECT_API_AUTH_STRING differs from PREFECT_SERVER_API_AUTH_STRING. Set both to the same "
            "<user>:<password>, or unset the first."
        )


def deploy() -> None:
    """Create or update the work pool, the deployments and the automations.

    Raises:
        ServerError: If that fails.
    """
    module = "flows.server.deployments"
    code = subprocess.run([sys.executable, "-m", module], cwd=PROJECT_ROOT, check=False).returncode
    if code:
        raise ServerError(f"{module} failed with exit code {code}. Its output above shows why.")


def crash_interrupted_runs(api: str, worker: str) -> None:
    """Mark the runs as crashed that a worker was executing when it ended.

    The worker does not do so itself. Such a run would keep its concurrency slot, and the next run would wait until the
    automation for silent runs applies.

    Args:
        api: Address of the server's API.
        worker: Name of the worker.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from prefect.states import Crashed

    unfinished = FlowRunFilter.model_validate({"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}})
    try:
        with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
            for run in client.read_flow_runs(flow_run_filter=unfinished):
                if run.labels.get("prefect.worker.name") == worker:
                    client.set_flow_run_state(run.id, Crashed(message="The worker ended during the run."), force=True)
                    name = escape_terminal(run.name)
                    print_output(f"Run {name} was interrupted. Finished trials are cached: the next run resumes.")
    except httpx.HTTPError as error:  # the server itself has ended
        print_error(f"The server could not mark interrupted runs ({error}). They count as silent later.")
