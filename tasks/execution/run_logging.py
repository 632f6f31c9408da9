"""Logging during a run: messages of the project's modules appear in the log of the flow or task run."""

import logging

from prefect.logging.handlers import APILogHandler, PrefectConsoleHandler

from tasks.config.log_filters import escape_record, hide_user_error_tracebacks
from tasks.execution.progress import EVENT_LOGGER

PROJECT_LOGGERS = ("flows", "tasks")


def configure_run_logging() -> None:
    """Send messages of the project's loggers to Prefect, and format user errors without a traceback.

    This has the effect of Prefect's setting PREFECT_LOGGING_EXTRA_LOGGERS, but does not depend on the environment or
    the working directory. Control characters in the messages, such as in names of files, are escaped.
    """
    hide_user_error_tracebacks()
    extra_handlers = logging.getLogger("prefect.extra").handlers
    api_handlers: list[logging.Handler] = [each for each in extra_handlers if isinstance(each, APILogHandler)]
    for name in PROJECT_LOGGERS:
        logger = logging.getLogger(name)
        for handler in api_handlers:
            if handler not in logger.handlers:
                logger.addHandler(handler)
    if (events := logging.getLogger(EVENT_LOGGER)).level == logging.NOTSET:
        events.setLevel(logging.INFO)
    console_handlers = [each for each in logging.getLogger().handlers if isinstance(each, PrefectConsoleHandler)]
    for handler in (*api_handlers, *console_handlers):
        if escape_record not in handler.filters:
            handler.addFilter(escape_record)
