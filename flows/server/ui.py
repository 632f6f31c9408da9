"""Prefect's server with its web pages, a worker and the deployment, in the foreground until Ctrl-C.

Started by `make ui`. It listens on 127.0.0.1 only, at the port that Prefect's settings name. PREFECT_SERVER_API_HOST
may name another address, if PREFECT_SERVER_API_AUTH_STRING holds a user and a password.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

from flows.cli.run import complain, say
from flows.server.lifecycle import (
    answers,
    check_host,
    is_loopback,
    prefect_process,
    project_api,
    server_process,
    wait_for,
)
from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal

POOL, WORKER = "local-process", "local"


def main() -> int:
    """Serve until interrupted.

    Returns:
        The exit code: 0 ended by Ctrl-C or SIGTERM, 1 something stopped by itself, 2 a mistake, such as a port taken.
    """
    api = project_api()
    try:
        host, port = place(api)
    except UserError as mistake:
        complain(mistake)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), ExitStack() as running:
        server = running.enter_context(server_process(port, host=host))
        wait_for(api, server)
        prefect("work-pool", "create", POOL, "--type", "process", "--overwrite")
        prefect("--no-prompt", "deploy", "--all")
        python("flows.server.automations")
        running.callback(end_runs, api, WORKER)  # between the end of the worker and that of the server
        worker = running.enter_context(prefect_process("worker", "start", "--pool", POOL, "--name", WORKER))
        say(
            f"\nReady: {api.removesuffix('/api')}\n"
            "Start a run there, or in this folder with:  prefect deployment run imdb-compare/default --watch\n"
            "End with Ctrl-C.\n"
        )
        while server.poll() is None and worker.poll() is None:
            time.sleep(0.5)
        complain("The server or the worker stopped by itself; see its last lines above.")
        return 1
    say("Ended.")
    return 0


def place(api: str) -> tuple[str, int]:
    """Return the address and port at which to listen, so that `api` is answered.

    Raises:
        UserError: If that is taken, of another machine, or open to others without a password.
    """
    if answers(api):
        raise UserError(f"A Prefect server already answers at {api}. Use that one, or stop it first.")
    host = os.environ.get("PREFECT_SERVER_API_HOST", "127.0.0.1")
    check_host(host)
    named = urlsplit(api)
    if not is_loopback(named.hostname or "") and named.hostname != host:
        raise UserError(f"PREFECT_API_URL names {api}, which is not on this machine. Unset it, or use that server.")
    return host, named.port or 80


def end_runs(api: str, worker: str) -> None:
    """Call the runs Crashed that a worker was in the middle of when it was ended.

    It cannot say so itself, and their place would stay taken: the next run would wait until they count as silent.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from prefect.states import Crashed

    begun = FlowRunFilter.model_validate({"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}})
    try:
        with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
            for run in client.read_flow_runs(flow_run_filter=begun):
                if run.labels.get("prefect.worker.name") == worker:
                    client.set_flow_run_state(run.id, Crashed(message="The worker was ended in mid-run."), force=True)
                    name = escape_terminal(run.name)
                    say(f"Run {name} was ended in mid-run. What it trained is kept: the next one goes on there.")
    except httpx.HTTPError as error:  # it is the server that stopped
        complain(f"The server cannot be told of runs that were ended ({error}); later they count as silent.")


def prefect(*arguments: str) -> None:
    """Run a Prefect command to its end."""
    python("prefect", *arguments)


def python(module: str, *arguments: str) -> None:
    """Run a module to its end."""
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main())
