"""Collect the warnings that library code logs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _Collector(logging.Handler):
    """Append the text of each record to a list."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        """Append the text of a record."""
        self.messages.append(record.getMessage())


@contextmanager
def warnings_logged(logger: str = "tasks") -> Iterator[list[str]]:
    """Yield a list to which every warning of a logger and of its children is added."""
    messages: list[str] = []
    handler = _Collector(messages)
    logging.getLogger(logger).addHandler(handler)
    try:
        yield messages
    finally:
        logging.getLogger(logger).removeHandler(handler)
