"""A flow that can be called in a script or a notebook without a running server."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from prefect import Flow
from prefect.context import FlowRunContext
from prefect.exceptions import ParameterTypeError
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, get_current_settings, temporary_settings
from pydantic import ValidationError

from flows.server.environment import DEFAULTS, set_client_environment
from flows.server.lifecycle import is_healthy, running_server
from tasks.config.log_filters import hide_user_error_logs, hide_user_error_tracebacks
from tasks.config.parameters import as_user_error

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class ServedFlow(Flow[Parameters, Result]):
    """A flow that starts a temporary server for the time of a call if no server answers.

    Runs of a deployment are not calls, and use the server of their worker.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the flow and return its result; see `prefect.Flow`.

        Raises:
            UserError: If a parameter or the data cannot be used, or the temporary server does not start.
        """
        with available_server():
            return super().__call__(*args, **kwargs)

    def validate_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters, converted to their types.

        Raises:
            UserError: If values are not allowed, with all of them.
        """
        try:
            return super().validate_parameters(parameters)
        except ParameterTypeError as error:
            if isinstance(error.__cause__, ValidationError):
                raise as_user_error(error.__cause__, {}) from None
            raise


def served_flow(**options: Any) -> Callable[[Callable[Parameters, Result]], ServedFlow[Parameters, Result]]:
    """Return a decorator that makes a `ServedFlow`, as `prefect.flow` makes a `Flow`.

    Args:
        options: Options of the flow, such as its name.
    """
    return lambda function: ServedFlow(function, **options)


@contextmanager
def available_server() -> Iterator[None]:
    """Use the server of Prefect's settings if it answers, or else a temporary one, until the end of the block.

    In contrast to the command, Prefect has already been imported and read its settings.

    Raises:
        UserError: If the temporary server does not start.
    """
    api = get_current_settings().api.url
    if FlowRunContext.get() or (api and is_healthy(api)):
        yield
        return
    set_client_environment()
    hide_user_error_tracebacks()
    hide_user_error_logs()
    retries = int(os.environ.get("PREFECT_CLIENT_MAX_RETRIES", DEFAULTS["PREFECT_CLIENT_MAX_RETRIES"]))
    with running_server(meanwhile=lambda: None):
        address = os.environ["PREFECT_API_URL"]
        with temporary_settings({PREFECT_API_URL: address, PREFECT_CLIENT_MAX_RETRIES: retries}):
            yield
