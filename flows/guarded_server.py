"""Prefect's server, for the pages of this machine alone: `python -m flows.guarded_server 127.0.0.1 4200`.

Any page that a browser shows can send requests to 127.0.0.1. Prefect's settings stop most of them (CORS, CSRF
tokens), but not its WebSockets, and not a name of the page's own that leads to 127.0.0.1 (DNS rebinding).
"""

import os
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse

from flows.database import make_private
from flows.server import LOOPBACK_NAMES, check_host, is_loopback

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send


ITSELF = ("127.0.0.1", 123)  # the client of httpx' transport to an application in the same process


class OwnPagesOnly:
    """Refuse what the page of another site sends: a browser names that site in the header Origin."""

    def __init__(self, app: "ASGIApp", port: int) -> None:
        """Let pages of this machine's `port` through, and those of the name by which the server was asked."""
        self.app = app
        self.own = {f"{name}:{port}" for name in LOOPBACK_NAMES}

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request or WebSocket on, or answer 403."""
        headers = Headers(scope=scope) if scope["type"] in ("http", "websocket") else {}
        origin = headers.get("origin")  # of no browser, or of none that writes: none
        if origin is None or urlsplit(origin).netloc in {*self.own, headers.get("host")}:
            await self.app(scope, receive, send)
        else:
            refusal = PlainTextResponse(f"Pages of {origin!r:.200} may not use this server.", status_code=403)
            await refusal(scope, receive, send)


class KnownHosts(TrustedHostMiddleware):
    """Refuse to be asked by a name that is none of this machine's, but for what the server asks itself.

    Automations act by requests to `prefect-in-memory` that never leave the process; they come as from port 123, from
    which no browser can send.
    """

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request or WebSocket on, or answer 400."""
        itself = scope.get("client") == ITSELF
        await (self.app if itself else super().__call__)(scope, receive, send)


def app(host: str, port: int) -> "FastAPI":
    """Make Prefect's application with the guards before it."""
    from prefect.server.api.server import create_app

    made = create_app(final=True)
    made.add_middleware(OwnPagesOnly, port=port)
    if is_loopback(host):  # elsewhere nobody knows all its names, and there is a password
        made.add_middleware(KnownHosts, allowed_hosts=[*LOOPBACK_NAMES, "::1"])
    return made


if __name__ == "__main__":
    check_host(sys.argv[1])
    os.umask(0o077)  # the database is for its owner only
    make_private()
    uvicorn.run(app(sys.argv[1], int(sys.argv[2])), host=sys.argv[1], port=int(sys.argv[2]), log_level="warning")
