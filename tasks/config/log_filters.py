"""Filters for Prefect's loggers: user errors without tracebacks, and text that is safe on a terminal."""

import logging
import re

import httpx

from tasks.config.errors import (
    ExecutorLostError,
    NightlyRunIncompleteError,
    TrialAbortedError,
    TrialsFailedError,
    UserError,
)
from tasks.config.escape import MAX_MESSAGE_LENGTH, escape_terminal

RUN_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
# Errors whose message says everything.
EXPECTED_ERRORS = (
    UserError, TrialsFailedError, NightlyRunIncompleteError, TrialAbortedError, ExecutorLostError, httpx.TransportError,
)  # fmt: skip
# Prefect's message about a run that ended with a `UserError`, or with its subclass `NotWrittenError`.
USER_ERROR_STATE = re.compile(r"encountered an exception:? (UserError|NotWrittenError)\b")


def hide_user_error_tracebacks() -> None:
    """Log `EXPECTED_ERRORS` without a traceback, and escape control characters in all messages of runs."""
    for name in RUN_LOGGERS:
        logger = logging.getLogger(name)
        for each in (_drop_traceback, escape_record):
            if each not in logger.filters:
                logger.addFilter(each)


def hide_user_error_logs() -> None:
    """Remove user errors from the log, where Prefect writes them up to four times; the command prints them once."""
    for name in RUN_LOGGERS:
        logger = logging.getLogger(name)
        if _drop_user_error not in logger.filters:
            logger.filters.insert(0, _drop_user_error)  # before `_drop_traceback`, which removes the error


def escape_record(record: logging.LogRecord) -> bool:
    """Escape control characters in the message and the traceback of a log record; always return True."""
    record.msg, record.args = escape_terminal(record.getMessage(), MAX_MESSAGE_LENGTH, lines=True), None
    if record.exc_info and record.exc_info[1]:
        traceback = logging.Formatter().formatException(record.exc_info)
        record.exc_text = escape_terminal(
            traceback, MAX_MESSAGE_LENGTH, lines=True
        )  # formatters use this text if it is there
    return True


def _drop_user_error(record: logging.LogRecord) -> bool:
    if record.exc_info and isinstance(record.exc_info[1], UserError):
        return False
    text = record.getMessage()
    if text.startswith("Finished in state Failed(") and USER_ERROR_STATE.search(text):
        record.msg, record.args = "Finished in state Failed()", None
    return True


def _drop_traceback(record: logging.LogRecord) -> bool:
    if record.exc_info and isinstance(record.exc_info[1], EXPECTED_ERRORS):
        record.exc_info = None
    return True
