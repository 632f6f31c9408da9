"""`imdb-compare ui`: Prefect's server with its UI, a worker and the deployments, in the foreground until Ctrl-C.

The server listens on 127.0.0.1 only, at the port of Prefect's settings. PREFECT_SERVER_API_HOST selects another
address, if PREFECT_SERVER_API_AUTH_STRING contains a user and a password.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

from flows.cli.console import print_error, print_output
from flows.cli.options import UiOptions
from flows.server.environment import set_offline_environment
from flows.server.lifecycle import (
    PROJECT_ROOT,
    ServerError,
    check_host,
    is_healthy,
    is_loopback,
    prefect_process,
    project_api,
    server_process,
    wait_until_healthy,
)
from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal

POOL, WORKER = "local-process", "local"


def execute(_: UiOptions) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Raises:
        UserError: If the port is taken, or the server would be open to other machines without a password.
        ServerError: If the server, the worker or the deployment fails.
    """
    set_offline_environment()
    api = project_api()
    host, port = find_address(api)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), ExitStack() as running:
        server = running.enter_context(server_process(port, host=host))
        wait_until_healthy(api, server)
        deploy()
        running.callback(crash_interrupted_runs, api, WORKER)  # after the worker has ended, before the server ends
        worker = running.enter_context(prefect_process("worker", "start", "--pool", POOL, "--name", WORKER))
        print_output(
            f"\nReady: {api.removesuffix('/api')}\n"
            "Start a run there, or in this folder with:  prefect deployment run imdb-compare/default --watch\n"
            "End with Ctrl-C.\n"
        )
        while server.poll() is None and worker.poll() is None:
            time.sleep(0.5)
        raise ServerError("The server or the worker ended by itself. Its last lines above show why.")
    print_output("Ended.")


def find_address(api: str) -> tuple[str, int]:
    """Return the address and port at which the server must listen, so that `api` is its address.

    Raises:
        UserError: If the port is taken, the address is on another machine, or a password is missing.
    """
    if is_healthy(api):
        raise UserError(f"A Prefect server already answers at {api}. Use that one, or stop it first.")
    host = os.environ.get("PREFECT_SERVER_API_HOST", "127.0.0.1")
    check_host(host)
    url = urlsplit(api)
    if not is_loopback(url.hostname or "") and url.hostname != host:
        raise UserError(f"PREFECT_API_URL is {api}, which is not on this machine. Unset it, or use that server.")
    return host, url.port or 80


def deploy() -> None:
    """Create or update the work pool, the deployments and the automations.

    Raises:
        ServerError: If one of the commands fails.
    """
    run_module("prefect", "work-pool", "create", POOL, "--type", "process", "--overwrite")
    run_module("prefect", "--no-prompt", "deploy", "--all")
    run_module("flows.server.automations")


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


def run_module(module: str, *arguments: str) -> None:
    """Run a Python module in the project folder, where Prefect finds its settings and prefect.yaml.

    Raises:
        ServerError: If it fails.
    """
    code = subprocess.run([sys.executable, "-m", module, *arguments], cwd=PROJECT_ROOT, check=False).returncode
    if code:
        raise ServerError(f"{' '.join([module, *arguments])} failed with exit code {code}. Its output above shows why.")
