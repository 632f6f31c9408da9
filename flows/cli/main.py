"""The command `imdb-compare`: read the command line, execute a subcommand, return its exit code."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from flows.cli.console import log_to_stderr
from flows.cli.exit_codes import RESUME, SUCCESS, exit_on_sigterm, report_error
from flows.cli.options import (
    CleanOptions,
    DiffOptions,
    ExportOptions,
    HistoryOptions,
    PlanOptions,
    PredictOptions,
    RunOptions,
    UiOptions,
)
from flows.cli.parser import Command, option_names, read_command_line
from flows.cli.streams import prepare_streams

COMMANDS = {
    "run": Command(
        RunOptions,
        "flows.cli.run",
        (
            "imdb-compare run --quick",
            "imdb-compare run --architectures lstm,gru --seeds 5",
            "imdb-compare run --data reviews.csv --text-column review --label-column sentiment --positive good",
        ),
    ),
    "plan": Command(
        PlanOptions,
        "flows.cli.plan",
        (
            "imdb-compare plan --difference 1",
            "imdb-compare plan --difference 0.5 --architectures lstm,gru --seeds 10",
            "imdb-compare plan --data reviews.csv --text-column review --run latest",
        ),
    ),
    "predict": Command(
        PredictOptions,
        "flows.cli.predict",
        (
            'imdb-compare predict "A wonderful film, with a plot that holds." "I slept."',
            "imdb-compare predict --file reviews.csv --output scored.parquet --keep id,author",
            "cat lines.txt | imdb-compare predict --json --architecture lstm --ensemble",
            'imdb-compare predict -- "-5 stars"',
        ),
    ),
    "export": Command(
        ExportOptions,
        "flows.cli.export",
        (
            "imdb-compare export --output my_model",
            "imdb-compare export --output my_model --architecture lstm --seed 0 --onnx",
        ),
    ),
    "history": Command(
        HistoryOptions,
        "flows.cli.history",
        ("imdb-compare history", "imdb-compare history --remove 2026-01-02-nightly"),
    ),
    "clean": Command(
        CleanOptions,
        "flows.cli.clean",
        ("imdb-compare clean", "imdb-compare clean --keep-runs 30 --older-than 7 --delete"),
    ),
    "diff": Command(
        DiffOptions,
        "flows.cli.diff",
        (
            "imdb-compare diff 2026-01-02-nightly 2026-01-03-nightly",
            "imdb-compare diff first second --output changes.md",
        ),
    ),
    "ui": Command(UiOptions, "flows.server.ui", ("imdb-compare ui",)),
}
EPILOG = """\
Options may be written with - or _. Exit codes: 0 success, 1 failure (a trial, a nightly run, a stored file, a full
disk), 2 user error, 130 interrupted, 143 terminated.

Shell completion: eval "$(register-python-argcomplete imdb-compare)"
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute the subcommand of a command line.

    Args:
        arguments: The words behind the program's name; by default those of this process.

    Returns:
        The exit code, see `flows.cli.exit_codes`.
    """
    hint, names = "", {}
    words = sys.argv[1:] if arguments is None else arguments
    prepare_streams()
    try:
        name, options = read_command_line(COMMANDS, words, EPILOG)
        names = option_names(COMMANDS[name].options, words)
        hint = RESUME if name == "run" else ""
        log_to_stderr()
        exit_on_sigterm(hint)
        if os.getcwd() not in sys.path:  # noqa: PTH109 -- where user-defined architectures are imported from
            sys.path.append(os.getcwd())  # noqa: PTH109
        import_module(COMMANDS[name].module).execute(options)
    except (Exception, KeyboardInterrupt) as error:
        return report_error(error, hint, names)
    return SUCCESS
