"""Compare two runs on the same reviews, before and after a change: `python -m flows.cli.diff BEFORE AFTER`."""
# PYTHON_ARGCOMPLETE_OK

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from flows.cli.arguments import arguments_of
from flows.cli.run import Parser, complain, say
from tasks.config.errors import UserError


def main(arguments: Sequence[str]) -> int:
    """Compare what the command line names.

    Returns:
        The exit code: 0 compared, 1 a stored file is gone or damaged, 2 a mistake of the user's.
    """
    parser = Parser("python -m flows.cli.diff", description=__doc__)
    parser.add_argument("before", help="run, by its folder in results/runs")
    parser.add_argument("after", help="run, by its folder in results/runs")
    parser.add_argument("--results", default="results", help="folder of results, or s3://bucket/prefix")
    parser.add_argument("--output", type=Path, help="file for the report in Markdown; by default it is printed alone")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each architecture")
    asked = arguments_of(parser, arguments)
    from tasks.config.parameters import checked
    from tasks.inference.selection import Wanted
    from tasks.reporting.run_diff import compare_two, in_markdown
    from tasks.storage.runs import open_run
    from tasks.storage.s3 import results_place
    from tasks.storage.store import DamagedFileError, writing

    try:
        wanted = [checked(Wanted, {"results": asked.results, "run": name}) for name in (asked.before, asked.after)]
        before, after = (open_run(results_place(asked.results), each.run) for each in wanted)
        table = compare_two(before, after)
        report = in_markdown(table, before, after)
        if asked.output:
            with writing(asked.output):
                asked.output.write_text(report, encoding="utf-8")
    except UserError as mistake:
        complain(mistake)
        return 2
    except (DamagedFileError, FileNotFoundError) as error:
        complain(f"{error}. The command that made the run makes it again.")
        return 1
    if asked.json:
        say("\n".join(json.dumps(row) for row in table.to_dict("records")))
    else:
        say(report)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
