"""Prefect's server with its web pages, a worker and the deployment, in the foreground until Ctrl-C.

Started by `make ui`. Everything listens on 127.0.0.1 only.
"""

import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress

from flows.server import answers, prefect_process, project_api, wait_for

POOL = "local-process"


def main() -> int:
    """Serve until interrupted.

    Returns:
        The exit code: 0 ended by Ctrl-C or SIGTERM, 1 something stopped by itself, 2 the port is taken.
    """
    api = project_api()
    if answers(api):
        print(f"A Prefect server already answers at {api}. Use that one, or stop it first.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), ExitStack() as running:
        server = running.enter_context(prefect_process("server", "start", "--host", "127.0.0.1"))
        wait_for(api, server)
        prefect("work-pool", "create", POOL, "--type", "process", "--overwrite")
        prefect("--no-prompt", "deploy", "--all")
        worker = running.enter_context(prefect_process("worker", "start", "--pool", POOL, "--name", "local"))
        print(
            f"\nReady: {api.removesuffix('/api')}\n"
            "Start a run there, or in this folder with:  prefect deployment run imdb-compare/default --watch\n"
            "End with Ctrl-C.\n",
            flush=True,
        )
        while server.poll() is None and worker.poll() is None:
            time.sleep(0.5)
        print("The server or the worker stopped by itself; see its last lines above.", file=sys.stderr)
        return 1
    print("Ended.")
    return 0


def prefect(*arguments: str) -> None:
    """Run a Prefect command to its end."""
    subprocess.run([sys.executable, "-m", "prefect", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main())
