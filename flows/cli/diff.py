"""`imdb-compare diff`: compare two runs on the same reviews."""

import json
import math
from collections.abc import Hashable, Mapping
from functools import partial

from flows.cli.console import print_output
from flows.cli.options import DiffOptions
from tasks.config.escape import escape_terminal
from tasks.config.user_values import validate_user_values
from tasks.inference.selection import ModelSelection
from tasks.reporting.run_diff import compare_runs
from tasks.reporting.run_diff_text import format_diff
from tasks.storage.atomic_files import translate_write_errors
from tasks.storage.runs import open_run
from tasks.storage.s3 import results_place


def execute(options: DiffOptions) -> None:
    """Print the comparison of two runs, and write it to a file if `output` is given.

    Raises:
        UserError: If there is no such run, or the runs are on different reviews.
    """
    names = {"before": options.before, "after": options.after}
    for name, run in names.items():
        validate_user_values(ModelSelection, {"run": run}, {"run": name.upper()})
    before, after = (open_run(results_place(options.results), run) for run in names.values())
    table = compare_runs(before, after)
    if options.output:
        with translate_write_errors(options.output):
            options.output.write_text(format_diff(table, before, after), encoding="utf-8")
    if options.as_json:
        print_output("\n".join(map(_to_json, table.to_dict("records"))))
    else:
        print_output(format_diff(table, before, after, partial(escape_terminal, limit=None)))


def _to_json(row: Mapping[Hashable, object]) -> str:
    """Return a row as a JSON object; a number that is not known is null."""
    known = {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
    return json.dumps(known)
