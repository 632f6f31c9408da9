"""Task states, and calls to the Prefect API that may fail."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Completed

from tasks.config.escape import escape_terminal

logger = logging.getLogger(__name__)


@contextmanager
def ignore_api_errors(retries: int = 0, level: int = logging.WARNING) -> Iterator[None]:
    """Log errors of the Prefect API instead of raising them, for content that is only displayed, such as artifacts.

    Args:
        retries: How often a request is repeated. Prefect's default of 5 takes a minute.
        level: Level of the log message.
    """
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: retries}):
            yield
    except httpx.HTTPError as error:
        logger.log(level, "Prefect API request failed: %s", escape_terminal(error))


def completed_state(data: Any, *, cached: bool = False, message: str | None = None) -> Any:
    """Return the final state of a task with `data` as its result; its name shows whether the result was cached."""
    return Completed(name="Cached" if cached else "Completed", message=message, data=data)
