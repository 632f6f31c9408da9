"""`imdb-compare run`: check what can be checked early, find or start a Prefect server, run the comparison."""

import os
import time
from importlib import import_module
from pathlib import Path

import httpx

from flows.cli.console import print_output
from flows.cli.options import RunOptions
from flows.cli.progress import live_display, reduced_logging
from flows.server.database import check_database, database_file
from flows.server.environment import set_client_environment
from flows.server.lifecycle import is_healthy, project_api, running_server
from tasks.config.errors import UserError
from tasks.config.file_options import file_options
from tasks.config.labels import ARCHITECTURE_NAMES
from tasks.config.log_filters import hide_user_error_logs, hide_user_error_tracebacks
from tasks.config.parameters import Parameters
from tasks.data.datasets import DATASETS, check_source
from tasks.data.stored_reviews import load_dataset
from tasks.execution.check_engine import check_engine
from tasks.storage.layout import cache_dir, history_dir, runs_dir
from tasks.storage.s3 import results_place

CONNECT_SECONDS = 3


def execute(options: RunOptions) -> None:
    """Run the comparison, and print its summary.

    Raises:
        UserError: If a parameter, the data, the results folder or the Prefect server cannot be used.
    """
    parameters = options.parameters()
    configure_prefect()
    check_printable(parameters)
    check_source(parameters.data, **file_options(parameters))
    check_results(parameters.results)
    check_server()
    with live_display(options.progress):
        check_content(parameters)
        with running_server(meanwhile=lambda: import_module("flows.imdb_compare")):
            flow = import_module("flows.imdb_compare").imdb_compare
            with reduced_logging():
                result = flow(**parameters.model_dump())
    print_output(result)


def configure_prefect() -> None:
    """Set Prefect's settings for a run. Prefect reads them from the environment when it is imported."""
    hide_user_error_tracebacks()
    hide_user_error_logs()
    set_client_environment()


def check_content(parameters: Parameters) -> None:
    """Check everything in the user's files that can be checked without Prefect and TensorFlow.

    The reviews of a file are stored in the cache, where the run finds them: nothing is read twice, and a run does not
    start later. A file of 10 MB takes about a second. The project's own data sets are loaded during the run.

    Raises:
        UserError: If the data, the file of a user-defined architecture or the Dask scheduler cannot be used.
    """
    check_engine(parameters.engine, parameters.dask_address)
    if user_defined := [name for name in parameters.architectures if name not in ARCHITECTURE_NAMES]:
        from tasks.training.check_user_model import user_module_file

        for name in user_defined:
            user_module_file(name)
    if parameters.data not in DATASETS:
        load_dataset(
            parameters.data,
            data_folder=parameters.data_folder,
            cache=cache_dir(results_place(parameters.results)),
            **file_options(parameters),
        )


def check_printable(parameters: Parameters) -> None:
    """Check that no value contains control characters, which come from mistakes in shell scripts.

    Raises:
        UserError: If one does.
    """
    for name, value in parameters:
        if isinstance(value, str | Path) and not str(value).isprintable():
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option}: received {str(value)!r:.120}, with control characters. Remove them.")


def check_results(results: str) -> None:
    """Check that a results folder can be written to, before anything heavy is imported. A bucket is checked later.

    Raises:
        UserError: If it cannot.
    """
    if "://" in results:
        return
    folder = Path(results).resolve()
    for place in (folder, cache_dir(folder), runs_dir(folder), history_dir(folder)):
        try:
            existing = next(each for each in (place, *place.parents) if each.exists())
            writable = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
        except (OSError, ValueError):  # an impossible name, or a folder that may not be entered
            existing, writable = place, False
        if not writable:
            raise UserError(
                f"--results: received {results[:300]!r}, but {str(existing)[:300]} is not a writable folder. "
                "Make it writable, or choose another folder."
            )


def check_server() -> None:
    """Check that a Prefect server answers or can be started, before anything heavy is imported.

    Raises:
        UserError: If no server answers at PREFECT_API_URL, or Prefect's database cannot be used.
    """
    address = os.environ.get("PREFECT_API_URL")
    if address:
        wait_for_address(address)
    elif (file := database_file()) and not is_healthy(project_api()):
        check_database(file)


def wait_for_address(address: str, seconds: float = CONNECT_SECONDS) -> None:
    """Wait until a server answers at an address: it may be restarting.

    Raises:
        UserError: If none does.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            httpx.get(f"{address}/health", timeout=2)
            return
        except (httpx.TransportError, httpx.InvalidURL) as error:
            if time.monotonic() > deadline:
                raise UserError(
                    f"No Prefect server answers at {address}, the value of PREFECT_API_URL ({error}). Start it, or "
                    "unset PREFECT_API_URL: then the run starts a temporary server."
                ) from None
        time.sleep(0.5)
