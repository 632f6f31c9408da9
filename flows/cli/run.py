"""From words on the command line to a run: parameters checked, a server found, mistakes in one message."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import httpx

from flows.cli.arguments import parse
from tasks.config.errors import (
    EngineLostError,
    NightFailedError,
    TrialsFailedError,
    UserError,
    told_at_the_end,
    without_tracebacks_for_mistakes,
)
from tasks.config.escape import MESSAGE, escape_terminal

FIND_SECONDS = 3
KEPT = "What is trained is kept: the same command goes on from there."


class Parser(argparse.ArgumentParser):
    """Reads a command line; what it says of a wrong one can be printed."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end with exit code 2."""
        super().error(escape_terminal(message))


def say(words: object, *, error: bool = False) -> None:
    """Print words, the one way of all commands: control characters in them are shown, not sent to the terminal.

    Args:
        words: What to say, in one or several lines.
        error: Whether to say it on stderr.
    """
    shown = escape_terminal(words, MESSAGE if error else None, lines=True)
    print(shown, file=sys.stderr if error else sys.stdout, flush=True)


def complain(words: object) -> None:
    """Print words on stderr."""
    say(words, error=True)


def check_results(results: str) -> None:
    """Make sure, before anything is loaded, that a folder of results can be written to; a bucket is tried later.

    Raises:
        UserError: If not. What goes wrong when the run is on its way, such as a disk that fills, is no mistake.
    """
    if "://" in results:
        return
    folder = Path(results).resolve()
    for place in (folder, folder / "cache", folder / "runs", folder / "history"):
        try:
            there = next(each for each in (place, *place.parents) if each.exists())
            writable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
        except (OSError, ValueError):  # a name that no folder can have, or one behind a folder that is closed
            there, writable = place, False
        if not writable:
            raise UserError(
                f"results: received {results[:300]!r}, but {str(there)[:300]} is no folder that can be written to. "
                "Let it be written to, or name another folder."
            )


def check_server() -> None:
    """Make sure, before anything is loaded, that a run will find a server, or can have one of its own.

    Raises:
        UserError: If none answers at the address that the environment names, or Prefect's database is of no use.
    """
    from flows.server.database import check_database, database_file
    from flows.server.lifecycle import answers, project_api

    address = os.environ.get("PREFECT_API_URL")
    if address:
        find(address)
    elif (file := database_file()) and not answers(project_api()):
        check_database(file, say=complain)


def find(address: str, seconds: float = FIND_SECONDS) -> None:
    """Wait until something answers at an address, for one that is just being restarted.

    Raises:
        UserError: If nothing does.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            httpx.get(f"{address}/health", timeout=2)
            return
        except (httpx.TransportError, httpx.InvalidURL) as error:
            if time.monotonic() > deadline:
                raise UserError(
                    f"No Prefect server answers at {address}, which PREFECT_API_URL names ({error}). Start it, or "
                    "unset PREFECT_API_URL: without it the run starts a server of its own."
                ) from None
        time.sleep(0.5)


def main(arguments: Sequence[str]) -> int:
    """Run the comparison that the command line asks for.

    Returns:
        The exit code: 0 finished, 1 failed, 2 a mistake of the user's, 130 interrupted, 143 terminated.
    """
    from flows.server.lifecycle import any_server
    from tasks.config.parameters import Parameters

    signal.signal(signal.SIGTERM, _terminated)
    without_tracebacks_for_mistakes()
    told_at_the_end()
    # Prefect reads these when it is imported. With its own 5 a run whose server is gone takes minutes to say so.
    os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "3")
    # Else each event that could not be sent is shown whole, behind the line which says that events cannot be sent.
    os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")
    try:
        parameters = parse(Parameters, arguments, "flows.imdb_compare")
        # Not before: --help and a mistake in an option need no pandas.
        import_module("tasks.data.datasets").check_source(parameters.data)
        check_results(parameters.results)
        check_server()
        with any_server(meanwhile=lambda: import_module("flows.imdb_compare")):
            summary = import_module("flows.imdb_compare").imdb_compare(**parameters.model_dump())
    except UserError as mistake:
        complain(mistake)
        return 1 if isinstance(mistake, OSError) else 2  # what the system refused later on is no mistake
    except (TrialsFailedError, NightFailedError) as failure:
        complain(failure)
        return 1
    except EngineLostError as lost:
        complain(f"{lost} {KEPT}")
        return 1
    except httpx.HTTPError as error:
        complain(f"Prefect's server no longer answers ({error}). {KEPT}")
        os._exit(1)  # at the usual end Prefect's threads try for minutes to send what is left
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not break into the tidying up
        complain(f"Interrupted. {KEPT}")
        return 130
    say(summary)
    return 0


def _terminated(number: int, _: object) -> NoReturn:
    """End as by an error, so that processes are ended and files removed; Prefect, if it runs, was told before."""
    complain(f"Terminated. {KEPT}")
    sys.exit(128 + number)
