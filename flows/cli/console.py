"""Print to the terminal: the only module that does, so that control characters are escaped everywhere."""

import logging
import sys

from flows.cli.streams import discard
from tasks.config.errors import NotWrittenError
from tasks.config.escape import MAX_MESSAGE_LENGTH, escape_terminal


class OutputClosedError(Exception):
    """Whoever reads stdout has closed it, as `| head` does."""


def print_output(text: object) -> None:
    """Print text on stdout, with control characters escaped.

    Raises:
        OutputClosedError: If the reader has closed stdout.
        NotWrittenError: If the disk on which stdout is written is full.
    """
    try:
        print(escape_terminal(text, None, lines=True), flush=True)
    except BrokenPipeError:
        discard(sys.stdout)
        raise OutputClosedError from None
    except OSError as error:
        discard(sys.stdout)
        raise NotWrittenError(f"The output could not be written: {error.strerror}.") from None


def print_error(text: object) -> None:
    """Print text on stderr, with control characters escaped; a closed reader or a full disk is no failure."""
    try:
        print(escape_terminal(text, MAX_MESSAGE_LENGTH, lines=True), file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


class StderrHandler(logging.Handler):
    """Print log records by `print_error`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        print_error(self.format(record))


def log_to_stderr() -> None:
    """Print the warnings of all loggers on stderr, until Prefect is imported and configures logging itself."""
    root = logging.getLogger()
    if not any(isinstance(handler, StderrHandler) for handler in root.handlers):
        root.addHandler(StderrHandler(logging.WARNING))
