"""`imdb-compare clean`: list what is no longer needed, or remove it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from uuid import UUID

from flows.cli.console import print_output
from flows.cli.options import CleanOptions
from flows.cli.run import configure_prefect
from flows.server.lifecycle import check_server, running_server
from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.nightly.history import read_history
from tasks.nightly.selection import find_reused_trials
from tasks.reporting.formatting import format_bytes
from tasks.storage.backends import storage_of
from tasks.storage.retention import KINDS, RUNS, Removal, plan_removal, remove
from tasks.storage.s3 import results_place

FLOW_RUNS = "Prefect flow runs"
SHOWN_RUNS = 10


def execute(options: CleanOptions) -> None:
    """Print what is no longer needed, and remove it with --delete.

    Raises:
        UserError: If there are no results or no run of the given name, or something cannot be removed.
    """
    results = results_place(options.results)
    if not storage_of(results).entries(results):
        raise UserError(f"--results: received {options.results!r:.300}, but there are no results. Check the folder.")
    removal = plan_removal(
        results, keep_runs=options.keep_runs, older_than=options.older_than, run=options.run,
        keep_trials=find_reused_trials(read_history(results), date.today()),
    )  # fmt: skip
    if options.delete:
        removal = remove(removal)
    print_output(format_removal(removal, deleted=options.delete))
    if options.prefect and not options.run:
        number = clean_prefect(options.older_than, delete=options.delete)
        print_output(f"{FLOW_RUNS}: {number}")
    if not options.delete:
        print_output("Nothing was removed. Add --delete to remove it.")


def format_removal(removal: Removal, *, deleted: bool) -> str:
    """Format the number and size of the items of each kind, the total, and the names of the first runs."""
    rows = [(kind, str(removal.count(kind)), format_bytes(removal.size(kind))) for kind in KINDS]
    rows.append(("total", str(len(removal.items)), format_bytes(removal.size())))
    lines = [f"{kind:<18}{count:>7}{size:>12}" for kind, count, size in rows]
    names = [escape_terminal(item.name) for item in removal.items if item.kind == RUNS]
    if names:
        more = f", … ({len(names) - SHOWN_RUNS} more)" if len(names) > SHOWN_RUNS else ""
        lines.append(f"Run directories: {', '.join(names[:SHOWN_RUNS])}{more}")
    return "\n".join(["Removed:" if deleted else "To remove:", *lines])


def clean_prefect(older_than: int, *, delete: bool) -> int:
    """Return the number of flow runs that ended so many days ago, and delete them if asked to.

    Raises:
        UserError: If a Prefect server neither answers nor can be started.
    """
    configure_prefect()
    check_server()
    with running_server(meanwhile=lambda: import_module("tasks.execution.flow_runs")):
        flow_runs = import_module("tasks.execution.flow_runs")
        found: Sequence[UUID] = flow_runs.find_old_flow_runs(datetime.now(UTC) - timedelta(days=older_than))
        return int(flow_runs.delete_flow_runs(found)) if delete else len(found)
