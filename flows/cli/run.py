"""`imdb-compare run`: check what can be checked early, find or start a Prefect server, run the comparison."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from rich.console import Console

from flows.cli.console import print_output
from flows.cli.live_display import live_display, reduced_logging
from flows.cli.options import RunOptions
from flows.cli.streams import discard
from flows.server.environment import set_client_environment
from flows.server.lifecycle import check_server, running_server
from tasks.config.errors import UserError
from tasks.config.file_options import file_options
from tasks.config.garbage_collection import paused_collection
from tasks.config.labels import ARCHITECTURE_NAMES
from tasks.config.log_filters import hide_user_error_logs, hide_user_error_tracebacks
from tasks.config.parameters import Parameters
from tasks.data.datasets import DATASETS, check_source
from tasks.data.stored_reviews import load_dataset
from tasks.data.word_vectors import check_vectors
from tasks.execution.check_engine import check_engine
from tasks.storage.layout import cache_dir, history_dir, runs_dir
from tasks.storage.s3 import results_place
from tasks.tuning.search_space import check_validation_reviews


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
        with running_server(meanwhile=lambda: load_flow(parameters.architectures)):
            flow = import_module("flows.imdb_compare").imdb_compare
            with reduced_logging():
                result = flow(**parameters.model_dump())
    print_output(result)


def load_flow(architectures: Sequence[str]) -> None:
    """Import the flow, and prepare a comparison of these architectures, while a server starts."""
    with paused_collection():
        import_module("flows.imdb_compare")
        import_module("flows.trials.preparation").prepare_comparison(architectures)


def configure_prefect() -> None:
    """Set Prefect's settings for a run. Prefect reads them from the environment when it is imported."""
    hide_user_error_tracebacks()
    hide_user_error_logs()
    set_client_environment()
    Console.on_broken_pipe = _continue_without_log  # type: ignore[method-assign]


def _continue_without_log(self: Console) -> None:
    """Discard the log if its reader has ended, as in `2>&1 | head`; rich itself would end the run."""
    self.quiet = True
    discard(sys.stderr)


def check_content(parameters: Parameters) -> None:
    """Check everything in the user's files that can be checked without Prefect and TensorFlow.

    The reviews of a file are stored in the cache, where the run finds them: nothing is read twice, and a run does not
    start later. A file of 10 MB takes about a second. The project's own data sets are loaded during the run.

    Raises:
        UserError: If the data, word vectors, a file of user-defined architectures or the Dask scheduler cannot be used.
    """
    check_engine(parameters.engine, parameters.dask_address)
    if user_defined := [name for name in parameters.architectures if name not in ARCHITECTURE_NAMES]:
        from tasks.training.check_user_model import user_module_file

        for name in user_defined:
            user_module_file(name)
    if parameters.data not in DATASETS:
        dataset, _ = load_dataset(
            parameters.data,
            data_folder=parameters.data_folder,
            cache=cache_dir(results_place(parameters.results)),
            **file_options(parameters),
        )
        check_validation_reviews(parameters.tune, dataset.rows["validation"])
    if parameters.vectors is not None:
        is_given = "embedding_size" in parameters.model_fields_set
        check_vectors(parameters.vectors, parameters.embedding_size if is_given else None)


def check_printable(parameters: Parameters) -> None:
    """Check that no value contains control characters, which come from mistakes in shell scripts.

    Raises:
        UserError: If one does.
    """
    for name, value in parameters:
        if isinstance(value, str | Path) and not str(value).isprintable():
            raise UserError(f"{name}: received {str(value)!r:.120}, with control characters. Remove them.")


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
