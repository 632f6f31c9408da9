"""Live display of a run's progress in a terminal.

It is written to stderr, like the log that it replaces, so that stdout contains nothing but the summary.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from rich.console import Console
from rich.live import Live

from flows.cli.progress import RunProgress
from tasks.config.escape import MAX_MESSAGE_LENGTH, escape_terminal
from tasks.execution.progress import EVENT_LOGGER, Event

REFRESHES_PER_SECOND = 4
DRAIN_SECONDS = 1


class ProgressHandler(logging.Handler):
    """Apply the events of `EVENT_LOGGER`, and pass the records on to the loggers that would have them anyway."""

    def __init__(self, progress: RunProgress) -> None:
        """Handle events for `progress`."""
        super().__init__()
        self.progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        """Apply the event of one record."""
        event: Event | None = getattr(record, "event", None)
        if event is not None:
            self.progress.update(event, time.monotonic())
        parent = logging.getLogger(EVENT_LOGGER).parent
        if parent and parent.isEnabledFor(record.levelno):
            parent.handle(record)


def supports_display() -> bool:
    """Return whether stdout and stderr are terminals in which a display can move the cursor."""
    with suppress(ValueError):  # a closed stream
        return sys.stdout.isatty() and sys.stderr.isatty() and Console(stderr=True).is_interactive
    return False


@contextmanager
def live_display(enabled: bool) -> Iterator[None]:
    """Show the progress of a run until the end of the block, and then remove the display.

    Everything that this process and its children write to stderr meanwhile appears above the display.

    Args:
        enabled: Whether a display is wanted. There is none either if stdout or stderr is not a terminal.
    """
    if not (enabled and supports_display()):
        yield
        return
    progress = RunProgress(time.monotonic())
    with ExitStack() as stack:
        copy = os.dup(sys.stderr.fileno())
        terminal = stack.enter_context(os.fdopen(copy, "w", encoding=sys.stderr.encoding, errors=sys.stderr.errors))
        # Messages and labels contain names from files: nothing in them is markup.
        console = Console(file=terminal, markup=False, highlight=False, emoji=False)
        live = Live(
            progress, console=console, refresh_per_second=REFRESHES_PER_SECOND, transient=True, redirect_stderr=False
        )
        stack.enter_context(live)
        stack.enter_context(_captured_stderr(console))
        stack.enter_context(_handled_events(ProgressHandler(progress)))
        yield


@contextmanager
def _captured_stderr(console: Console) -> Iterator[None]:
    """Print on a console what is written to the file descriptor of stderr.

    Worker processes inherit the descriptor, and TensorFlow writes to it past `sys.stderr`. Text that reached the
    terminal between two frames of a display would be erased by the next frame.
    """
    descriptor = sys.stderr.fileno()
    terminal = os.dup(descriptor)
    read_end, write_end = os.pipe()
    reader = threading.Thread(target=_print_lines, args=(read_end, console), daemon=True)
    reader.start()
    sys.stderr.flush()
    os.dup2(write_end, descriptor)
    os.close(write_end)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, descriptor)  # closes the last write end, unless a child process has not ended yet
        os.close(terminal)
        reader.join(timeout=DRAIN_SECONDS)


def _print_lines(descriptor: int, console: Console) -> None:
    """Print each line of a pipe on a console until its end."""
    with os.fdopen(descriptor, errors="backslashreplace") as lines, suppress(ValueError):  # the console was closed
        for line in lines:
            console.print(escape_terminal(line.rstrip("\n"), MAX_MESSAGE_LENGTH, lines=True), soft_wrap=True)


@contextmanager
def _handled_events(handler: logging.Handler) -> Iterator[None]:
    """Send the records of `EVENT_LOGGER` to a handler, whatever the levels of its parents are."""
    logger = logging.getLogger(EVENT_LOGGER)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False  # the handler does it
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


@contextmanager
def reduced_logging() -> Iterator[None]:
    """Print only warnings and errors of Prefect's log until the end of the block, if a display replaces the rest."""
    from prefect.logging.handlers import PrefectConsoleHandler  # here, because the display starts before this import

    with ExitStack() as restored:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, PrefectConsoleHandler) and has_display():
                restored.callback(handler.setLevel, handler.level)
                handler.setLevel(max(handler.level, logging.WARNING))
        yield


def has_display() -> bool:
    """Return whether a display is shown now."""
    return any(isinstance(handler, ProgressHandler) for handler in logging.getLogger(EVENT_LOGGER).handlers)
