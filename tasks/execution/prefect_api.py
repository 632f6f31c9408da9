"""Task states, and calls to the Prefect API that a run can do without."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Completed


@contextmanager
def doing_without_server(say: Callable[..., None], retries: int = 0) -> Iterator[None]:
    """Let a run go on where Prefect's server does not take what is only shown there.

    Args:
        say: Told what went wrong.
        retries: How often a request is repeated. Prefect's own 5 take a minute; at every epoch, that would never end.
    """
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: retries}):
            yield
    except httpx.HTTPError as error:
        say("Prefect's server did not take this: %s", error)


def outcome(data: dict[str, Any], *, cached: bool = False, message: str | None = None) -> Any:
    """Make the state that a task ends in: its result is `data`, and Prefect's page shows what came from the cache."""
    return Completed(name="Cached" if cached else "Completed", message=message, data=data)
