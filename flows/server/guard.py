"""Prefect's server, for the pages of this machine alone: `python -m flows.server.guard 127.0.0.1 4200`.

Any page that a browser shows can send requests to 127.0.0.1. Prefect's settings stop most of them (CORS, CSRF
tokens), but not its WebSockets, and not a name of the page's own that leads to 127.0.0.1 (DNS rebinding).

The guards stand between the network and Prefect's application, and every request and WebSocket that comes over the
network passes them. Prefect's own requests to itself (automations act by them) call the application in the process and
never meet them, so that there is no exemption that a request could claim. A request is judged by its headers Host and
Origin, which the script of a page cannot choose. Who sent it and headers of proxies (`X-Forwarded-For`, `Forwarded`)
do not count.

On a loopback address, Host must be a name of this machine. A server that listens to other machines has names that
nobody knows here (of a container, of a proxy). There Prefect's password protects every endpoint and WebSocket: a page
that reaches the server by a name of its own has no access to what the browser stored for another name.
"""

import os
import sys
from typing import TYPE_CHECKING

import uvicorn
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse

from flows.cli.run import complain
from flows.server.database import make_private
from flows.server.lifecycle import LOOPBACK_NAMES, check_host, is_loopback
from tasks.config.errors import UserError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class OwnPagesOnly:
    """Refuse what the page of another site sends: a browser names that site in the header Origin."""

    def __init__(self, app: "ASGIApp", port: int) -> None:
        """Let pages of this machine's `port` through, and those of the name by which the server was asked."""
        self.app = app
        self.own = {f"{name}:{port}" for name in LOOPBACK_NAMES}

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request or WebSocket on, or answer 403."""
        headers = Headers(scope=scope) if scope["type"] in ("http", "websocket") else Headers()
        own = self.own | {host for host in headers.getlist("host") if host}
        # No browser sends an Origin other than <scheme>://<host>[:<port>] or "null"; of no browser, there is none.
        foreign = [origin for origin in headers.getlist("origin") if origin.partition("://")[2] not in own]
        if foreign:
            refusal = PlainTextResponse(f"Pages of {foreign[0]!r:.200} may not use this server.", status_code=403)
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def guarded(app: "ASGIApp", host: str, port: int) -> "ASGIApp":
    """Put the guards before an application that listens at `host` and `port`.

    The application itself is not changed: Prefect hands the same one to its clients in this process.
    """
    pages = OwnPagesOnly(app, port)
    if not is_loopback(host):  # nobody knows all its names, and there is a password
        return pages
    return TrustedHostMiddleware(pages, [*LOOPBACK_NAMES, f"[{host}]" if ":" in host else host], www_redirect=False)


def main(host: str, port: int) -> int:
    """Serve until SIGTERM or Ctrl-C.

    Returns:
        The exit code: 0, or 2 if the server would listen to other machines without a password.
    """
    try:
        check_host(host)
    except UserError as mistake:
        complain(mistake)
        return 2
    os.umask(0o077)  # the database is for its owner only
    make_private()
    from prefect.server.api.server import create_app

    application = guarded(create_app(final=True), host, port)
    # No proxy is trusted. h11 refuses a request with two Host headers, or an HTTP/1.1 request with none.
    uvicorn.run(application, host=host, port=port, log_level="warning", proxy_headers=False, http="h11")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
