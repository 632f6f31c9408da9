"""Environment variables of Prefect's clients and servers, in this process and its children."""

import os

NO_PROXY_HOSTS = ("127.0.0.1", "localhost", "::1")
DEFAULTS = {
    # With the default of 5, a run takes minutes to report that its server is gone.
    "PREFECT_CLIENT_MAX_RETRIES": "3",
    # Otherwise every event that could not be sent is logged in full, after the line that events cannot be sent.
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
}


def set_client_environment() -> None:
    """Set the environment of a run. Prefect reads it when it is imported; variables of the user take precedence."""
    set_offline_environment()
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def set_offline_environment() -> None:
    """Let Prefect send no usage data, and reach servers on this machine without a proxy.

    Programs behind a proxy have HTTP_PROXY set, and would ask the proxy for 127.0.0.1.
    """
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    names = ("NO_PROXY", "no_proxy")  # libraries differ in which of them they prefer
    given = [host for name in names for host in os.environ.get(name, "").split(",") if host]
    for name in names:
        os.environ[name] = ",".join(dict.fromkeys([*given, *NO_PROXY_HOSTS]))
