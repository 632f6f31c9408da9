"""`imdb-compare history`: print and plot the nightly runs, or remove a run from the history."""

from dataclasses import astuple
from pathlib import Path

import pandas as pd

from flows.cli.console import print_error, print_output
from flows.cli.options import HistoryOptions
from tasks.config.errors import UserError
from tasks.config.escape import escape_terminal
from tasks.evaluation.metric_record import Metric
from tasks.evaluation.metrics import METRICS
from tasks.figures.nightly import nights
from tasks.figures.style import encode, palette, style
from tasks.nightly import history
from tasks.nightly.history import HistoryPartition
from tasks.nightly.trend import list_changes, metric_of_last_run, nightly_tables
from tasks.reporting.nightly_text import format_alarms, format_changes, format_check, nightly_table
from tasks.storage import atomic_files
from tasks.storage.backends import storage_of
from tasks.storage.layout import history_dir
from tasks.storage.s3 import results_place

SHOWN_RUNS = 10


def execute(options: HistoryOptions) -> None:
    """Print the trend of a configuration, or remove a run.

    Raises:
        UserError: If there is no history, configuration or run of that name.
    """
    results = results_place(options.results)
    if options.remove is None:
        print_output(format_history(results, options.configuration))
    else:
        print_output(remove_run(results, options.remove))


def format_history(results: Path, configuration: str | None) -> str:
    """Return the nightly runs of a configuration as text, and save their figure in `results`/history.

    Args:
        results: The results folder.
        configuration: Key of the configuration; None for that of the last run.

    Raises:
        UserError: If there are none.
    """
    past = history.read_history(results)
    selected = past if configuration is None else past[past["configuration"] == configuration]
    if selected.empty:
        known = ", ".join(map(escape_terminal, dict.fromkeys(past["configuration"]))) or "none yet; every run adds one"
        wanted = "no runs" if configuration is None else f"no configuration {configuration!r:.120}"
        raise UserError(f"{results / 'history'} contains {wanted}. Configurations in it: {known}.")
    partition = HistoryPartition(str(selected["data"].iloc[-1]), str(selected["configuration"].iloc[-1]))
    metric = METRICS[metric_of_last_run(partition.select(past))]
    tables = nightly_tables(past, partition, metric.name)
    others = len(past[["data", "configuration"]].drop_duplicates()) - 1
    title = escape_terminal("Reviews {}, configuration {}".format(*astuple(partition)))
    figure = save_trend_figure(tables, metric, results)
    night = tables["nights"]["night"].max()
    alarm = (tables["alarms"]["night"] == night).any()  # which names the changes itself
    changed = [] if alarm else format_changes(list_changes(past, partition, night))
    parts = [f"{title}; {others} others" if others else title, *format_tables(tables, metric), *changed]
    return "\n\n".join([*parts, f"Figure: {escape_terminal(figure)}"] if figure else parts)


def format_tables(tables: dict[str, pd.DataFrame], metric: Metric) -> list[str]:
    """Return the table of the nightly runs, each alarm or a sentence that there are none, and what was tested."""
    table = nightly_table(tables, metric.unit).drop(columns="Alarms").map(escape_terminal).to_string(index=False)
    alarms = tables["alarms"]
    texts = {night: format_alarms(alarms, night) for night in dict.fromkeys(alarms["night"])}
    shown = ["\n  ".join([f"Alarm of {escape_terminal(night)}:", *lines]) for night, lines in texts.items()]
    check = "\n".join(escape_terminal(sentence, None) for sentence in format_check(tables, metric))
    legend = f"Mean {metric.header('test')} over seeds ± half the width of its 95% interval."
    return [table, legend, *(shown or ["No alarm."]), *([check] if check else [])]


def save_trend_figure(tables: dict[str, pd.DataFrame], metric: Metric, results: Path) -> Path | None:
    """Save the figure as history/trend.png and .svg.

    Returns:
        The PNG file; None for a single nightly run, and in a folder that is not writable.
    """
    with style():
        setup = pd.DataFrame({"metric": [metric.name]})
        figure = nights(**tables, colors=palette(tables["nights"]["architecture"]), setup=setup)
    if figure is None:
        return None
    files = {history_dir(results) / f"trend.{kind}": content for kind, content in encode(figure, "trend").items()}
    try:
        storage_of(results).write(files)
        return next(iter(files))
    except OSError as error:  # the table is printed all the same
        print_error(f"The figure could not be written: {error}")
        return None


def remove_run(results: Path, run: str) -> str:
    """Remove a run from the history, and return which files were removed.

    Raises:
        UserError: If no run of the history has exactly that name.
    """
    with atomic_files.translate_write_errors(history_dir(results)):
        files = history.remove_run(results, run)
    if not files:
        past = history.read_history(results)
        known = list(dict.fromkeys(past["run"][::-1])) if len(past) else []
        shown = ", ".join(f"{name!r:.120}" for name in known[:SHOWN_RUNS]) + (", …" if len(known) > SHOWN_RUNS else "")
        raise UserError(
            f"--remove: received {run!r:.120}, but no run in {results / 'history'} has that name. "
            f"The last runs are: {shown or 'none'}."
        )
    names = ", ".join(str(file.relative_to(results)) for file in files)
    return f"Removed {run!r:.120} from the history ({names}). Its report in {results / 'runs'} and its trials are kept."
