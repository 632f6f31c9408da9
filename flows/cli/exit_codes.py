"""The exit codes of `imdb-compare`: the one mapping from exceptions to messages and codes."""

import os
import signal
import sys
import traceback
from collections.abc import Mapping
from typing import NoReturn

import httpx

from flows.cli.console import OutputClosedError, print_error
from flows.cli.option_names import name_options
from flows.server.lifecycle import ServerError
from flows.server.probe import REFUSED, RefusedError
from tasks.config.errors import (
    DamagedFileError,
    ExecutorLostError,
    MissingFileError,
    NightlyRunIncompleteError,
    TrialsFailedError,
    UserError,
)

SUCCESS, FAILURE, USER_ERROR, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143
RESUME = "Finished trials are cached: run the same command again to resume."
RECREATE = "Run the command that wrote it again."


def report_error(error: BaseException, hint: str = "", names: Mapping[str, str] | None = None) -> int:
    """Print the message of an exception on stderr.

    Args:
        error: What ended the subcommand. Only exceptions that no rule names get a traceback.
        hint: How to resume, appended where the subcommand was ended in the middle of its work.
        names: Options by the names of parameters, which messages of the library contain; see `option_names`.

    Returns:
        The exit code.
    """
    match error:
        case OutputClosedError():
            return SUCCESS
        case KeyboardInterrupt():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the cleanup
            print_error(f"Interrupted. {hint}".rstrip())
            return INTERRUPTED
        case UserError():
            print_error(name_options(str(error), names or {}))
            return FAILURE if isinstance(error, OSError) else USER_ERROR  # a full disk is not the user's error
        case TrialsFailedError() | NightlyRunIncompleteError() | ServerError():
            print_error(name_options(str(error), names or {}))
        case ExecutorLostError():
            print_error(f"{error} {hint}".rstrip())
        case DamagedFileError() | MissingFileError():
            print_error(f"{error}. {RECREATE}")
        case httpx.HTTPStatusError() if error.response.status_code in REFUSED:
            print_error(f"Prefect's server: {RefusedError(error.response.status_code)}. {hint}".rstrip())
            os._exit(USER_ERROR)
        case httpx.HTTPError():
            print_error(f"Prefect's server no longer answers ({error}). {hint}".rstrip())
            os._exit(FAILURE)  # a normal exit waits for minutes, while Prefect's threads try to send their queues
        case _:
            print_error("".join(traceback.format_exception(error)).rstrip())
    return FAILURE


def exit_on_sigterm(hint: str = "") -> None:
    """Handle SIGTERM like an exception, so that processes are ended and partial files are removed.

    Prefect replaces the handler while a flow runs, and calls this one after the flow run is marked as crashed.

    Args:
        hint: How to resume, appended to the message.
    """

    def terminate(_: int, __: object) -> NoReturn:
        print_error(f"Terminated. {hint}".rstrip())
        sys.exit(TERMINATED)

    signal.signal(signal.SIGTERM, terminate)
