"""Run `imdb-compare history` with a subcommand that prints `started` and never ends."""

import sys
import time
from types import SimpleNamespace

from flows.cli import main as command
from flows.cli.console import print_output


def wait(_: object) -> None:
    """Wait for a signal."""
    print_output("started")
    time.sleep(60)


if __name__ == "__main__":
    command.import_module = lambda _: SimpleNamespace(execute=wait)
    sys.exit(command.main(["history"]))
