"""Prefect's server, protected from pages of other sites: `python -m flows.server.guard 127.0.0.1 4200`.

Any page that a browser shows can send requests to 127.0.0.1. Prefect's settings (CORS, CSRF tokens) stop most of them,
but not its WebSockets, and not a page whose own host name resolves to 127.0.0.1 (DNS rebinding).

Every request and WebSocket from the network passes the guards before it reaches Prefect's application. Prefect's own
requests to itself (automations act by them) call the application within the process and do not pass the guards, so that
there is no exemption which a request could claim. A request is judged by its headers Host and Origin, which the script
of a page cannot choose. The address of the sender and headers of proxies (`X-Forwarded-For`, `Forwarded`) do not count.

On a loopback address, Host must be a name of this machine. A server that listens on other addresses has names that
cannot be known here (of a container, of a proxy). There Prefect's password protects every endpoint and WebSocket: a
page that reaches the server by another name has no access to what the browser stored for the usual one.
"""

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from filelock import FileLock
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse

from flows.cli.exit_codes import report_error
from flows.server.database import make_private
from flows.server.lifecycle import LOOPBACK_NAMES, check_host, is_loopback
from tasks.config.errors import UserError
from tasks.config.garbage_collection import paused_collection

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class SameOriginOnly:
    """Refuse requests of pages of other sites: a browser names the site in the header Origin."""

    def __init__(self, app: "ASGIApp", port: int) -> None:
        """Allow pages of this machine's `port`, and of the host that the request itself names."""
        self.app = app
        self.own = {f"{name}:{port}" for name in LOOPBACK_NAMES}

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request or WebSocket on, or respond with status 403."""
        headers = Headers(scope=scope) if scope["type"] in ("http", "websocket") else Headers()
        own = self.own | {host for host in headers.getlist("host") if host}
        # A browser sends <scheme>://<host>[:<port>] or "null". Programs other than browsers send no Origin.
        foreign = [origin for origin in headers.getlist("origin") if origin.partition("://")[2] not in own]
        if foreign:
            refusal = PlainTextResponse(f"Pages of {foreign[0]!r:.200} may not use this server.", status_code=403)
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def guarded(app: "ASGIApp", host: str, port: int) -> "ASGIApp":
    """Return an application that applies the guards and then calls `app`.

    `app` itself is not changed, because Prefect uses the same object for the clients in this process.

    Args:
        app: Prefect's application.
        host: Address at which it listens.
        port: Port at which it listens.
    """
    same_origin = SameOriginOnly(app, port)
    if not is_loopback(host):  # its names are unknown, and a password is required
        return same_origin
    own_names = [*LOOPBACK_NAMES, f"[{host}]" if ":" in host else host]
    return TrustedHostMiddleware(same_origin, own_names, www_redirect=False)


def create_application() -> "ASGIApp":
    """Create Prefect's application, one process after the other.

    The first server of an environment copies the files of the UI. Prefect's own lock names its owner by a process id. A
    process in another container does not know this id, and takes the lock: the copy loses files, and no server starts
    any more.
    """
    import prefect
    from prefect.server.api.server import create_app
    from prefect.settings import PREFECT_UI_STATIC_DIRECTORY

    directory = Path(PREFECT_UI_STATIC_DIRECTORY.value() or prefect.__ui_static_subpath__.parent)
    if not os.access(directory.parent, os.W_OK):  # nothing can be copied
        return create_app(final=True)
    with FileLock(directory.parent / f".{directory.name}.lock"):
        return create_app(final=True)


def shorten_locked_database(record: logging.LogRecord) -> bool:
    """Remove the traceback of an error that Prefect's services retry: another process locks SQLite's file for a moment.

    Returns:
        True: the message itself is logged.
    """
    if record.exc_info and "database is locked" in str(record.exc_info[1]):
        record.msg, record.args = f"{record.getMessage()} (the database is locked; this is tried again)", None
        record.exc_info = record.exc_text = None
    return True


def main(host: str, port: int) -> int:
    """Serve until SIGTERM or Ctrl-C.

    Returns:
        The exit code: 0, or 2 if the server would be open to other machines without a password.
    """
    try:
        check_host(host)
    except UserError as error:
        return report_error(error)
    os.umask(0o077)  # only the owner may read the database
    make_private()
    with paused_collection():
        application = guarded(create_application(), host, port)
    for handler in logging.getLogger().handlers:  # of Prefect
        handler.addFilter(shorten_locked_database)
    # No proxy is trusted. h11 refuses a request with two Host headers, or an HTTP/1.1 request with none.
    uvicorn.run(application, host=host, port=port, log_level="warning", proxy_headers=False, http="h11")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
