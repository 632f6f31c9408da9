"""A flow that can be called in a script or a notebook without a running server."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from prefect import Flow
from prefect.context import FlowRunContext
from prefect.exceptions import ParameterBindError
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, get_current_settings, temporary_settings
from prefect.utilities.callables import get_call_parameters
from pydantic import BaseModel

from flows.server.address import DEFAULT_API
from flows.server.environment import DEFAULTS, set_client_environment
from flows.server.lifecycle import check_server, running_server
from flows.server.probe import is_healthy
from tasks.config.log_filters import hide_user_error_logs, hide_user_error_tracebacks
from tasks.config.user_values import validate_user_values

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class ServedFlow(Flow[Arguments, Result]):
    """A flow that starts a temporary server for the time of a call if no server answers.

    Runs of a deployment are not calls, and use the server of their worker.
    """

    def __init__(self, function: Callable[Arguments, Result], model: type[BaseModel], **options: Any) -> None:
        """Create a flow.

        Args:
            function: The function.
            model: Settings model with the parameters of the function, which validates them.
            options: Options of `prefect.Flow`, such as its name.
        """
        super().__init__(function, **options)
        self.model = model

    def __call__(self, *args: Any, return_state: bool = False, **kwargs: Any) -> Any:  # type: ignore[override]
        """Run the flow.

        Args:
            args: Positional arguments of the function.
            return_state: Whether to return Prefect's final state instead of the result.
            kwargs: Keyword arguments of the function.

        Returns:
            The result of the function.

        Raises:
            UserError: If a parameter or the data cannot be used, or the temporary server does not start.
            TypeError: If the function has no such parameter.
        """
        try:
            parameters = get_call_parameters(self.fn, args, kwargs)
        except ParameterBindError as error:
            raise TypeError(str(error).partition("\n")[0]) from None  # without the signature, which fills a screen
        self.validate_parameters(parameters)  # before a server is started
        with available_server():
            return run_flow(self, parameters=parameters, return_type="state" if return_state else "result")

    def validate_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters, converted to their types.

        Raises:
            UserError: If values are not allowed, with all of them. Prefect shows the text as the message of the state.
        """
        hide_user_error_tracebacks()  # a run of a deployment begins with this
        return dict(validate_user_values(self.model, parameters))


def served_flow(
    model: type[BaseModel], **options: Any
) -> Callable[[Callable[Arguments, Result]], ServedFlow[Arguments, Result]]:
    """Return a decorator that makes a `ServedFlow`; see there."""
    return lambda function: ServedFlow(function, model, **options)


@contextmanager
def available_server() -> Iterator[None]:
    """Use the server that `running_server` uses, or one that the script itself chose, until the end of the block.

    In contrast to the command, Prefect has already been imported and read its settings.

    Raises:
        UserError: If the server at the address that is set cannot be used, or a temporary one does not start.
    """
    api = get_current_settings().api.url
    if FlowRunContext.get() or (api not in (None, DEFAULT_API) and is_healthy(api)):
        yield
        return
    set_client_environment()
    check_server()
    hide_user_error_tracebacks()
    hide_user_error_logs()
    retries = int(os.environ.get("PREFECT_CLIENT_MAX_RETRIES", DEFAULTS["PREFECT_CLIENT_MAX_RETRIES"]))
    with running_server(meanwhile=lambda: None):
        address = os.environ["PREFECT_API_URL"]
        with temporary_settings({PREFECT_API_URL: address, PREFECT_CLIENT_MAX_RETRIES: retries}):
            yield
