"""Prefect's server with its web pages, a worker and the deployment, in the foreground until Ctrl-C.

Started by `make ui`. Everything listens on 127.0.0.1 only.
"""

import signal
import subprocess
import sys
import time
import tomllib
from contextlib import ExitStack, contextmanager, suppress
from collections.abc import Iterator
from pathlib import Path

import httpx

POOL = "local-process"
START_SECONDS = 90


def main() -> int:
    """Serve until interrupted.

    Returns:
        The exit code: 0 ended by Ctrl-C or SIGTERM, 1 something did not start or stopped by itself, 2 the port is taken.
    """
    api = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["prefect"]["api"]["url"]
    if _answers(api):
        print(f"A Prefect server already answers at {api}. Use that one, or stop it first.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), ExitStack() as running:
        server = running.enter_context(_process("server", "start", "--host", "127.0.0.1"))
        if not _wait_for(api, server):
            print(f"The server did not answer at {api} within {START_SECONDS} s.", file=sys.stderr)
            return 1
        _prefect("work-pool", "create", POOL, "--type", "process", "--overwrite")
        _prefect("--no-prompt", "deploy", "--all")
        worker = running.enter_context(_process("worker", "start", "--pool", POOL, "--name", "local"))
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


def _prefect(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "prefect", *arguments], check=True)  # noqa: S603


@contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Prefect command in a session of its own, so that Ctrl-C reaches it once, from here, in order."""
    process = subprocess.Popen([sys.executable, "-m", "prefect", *arguments], start_new_session=True)  # noqa: S603
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)
        process.kill()
        process.wait()


def _answers(api: str) -> bool:
    try:
        return httpx.get(f"{api}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False


def _wait_for(api: str, server: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if _answers(api):
            return True
        time.sleep(0.5)
    return False


if __name__ == "__main__":
    sys.exit(main())
