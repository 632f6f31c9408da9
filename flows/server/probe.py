"""Check whether a Prefect server that can be used answers at an address, and explain if not."""

import json
import re
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import httpx

from flows.server.address import Address, setting, without_password
from tasks.config.escape import escape_terminal

CLOUD = re.compile(r"(?P<root>.+)/accounts/[^/]+/workspaces/[^/]+")
CREDENTIALS = (
    "Set PREFECT_API_AUTH_STRING=<user>:<password> for a server of your own, or PREFECT_API_KEY for Prefect Cloud"
)
CONNECT_SECONDS = 3
REFUSED = (401, 403)


class UnusableServerError(Exception):
    """No Prefect server that can be used answers at an address; the message is the reason."""


class NoAnswerError(UnusableServerError):
    """Nothing answers, which may change: a server may be restarting."""


class RefusedError(UnusableServerError):
    """A server refuses the credentials, or needs some.

    Attributes:
        by_prefect: Whether it is known to be a Prefect server: its health is public, the rest is not.
    """

    def __init__(self, status: int) -> None:
        """Create the message; it does not contain the credentials."""
        self.by_prefect = False
        given = [name for name in ("PREFECT_API_AUTH_STRING", "PREFECT_API_KEY") if setting(name)]
        what = f"refuses the credentials of {given[0]}" if given else "needs credentials"
        super().__init__(f"the server {what} (status {status}). {CREDENTIALS}")


def check_address(address: Address) -> None:
    """Check that a Prefect server answers at an address. Wait `CONNECT_SECONDS` for it: it may be restarting.

    Raises:
        UserError: If none does, or it cannot be used.
    """
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            check_api(address.api)
            return
        except NoAnswerError as error:
            if time.monotonic() > deadline:
                raise address.error(
                    f"no Prefect server answers there: {error}. Start it, or {address.removal}; without an address a "
                    "run starts a temporary server"
                ) from None
        except UnusableServerError as error:
            raise address.error(str(error)) from None
        time.sleep(0.5)


def is_healthy(api: str) -> bool:
    """Return whether a Prefect server that can be used answers at the address of its API."""
    try:
        check_api(api)
        return True
    except UnusableServerError:
        return False


def is_prefect(api: str) -> bool:
    """Return whether a Prefect server answers, whatever it says about the credentials."""
    try:
        check_api(api)
        return True
    except RefusedError as error:
        return error.by_prefect
    except UnusableServerError:
        return False


def check_api(api: str) -> None:
    """Check that a Prefect server answers, accepts the credentials, and has a compatible version.

    Prefect Cloud is asked for its workspaces, as Prefect's own commands do.

    Raises:
        UnusableServerError: With the reason, if not.
    """
    if cloud := CLOUD.fullmatch(api):
        answer = _get(f"{cloud['root']}/me/workspaces")
        if not isinstance(_json(answer), list):
            raise UnusableServerError(f"Prefect Cloud does not answer there (status {answer.status_code})")
        return
    found = _find_version(api)
    if found is None:
        raise UnusableServerError(_foreign(api))
    own = version("prefect")
    if found.partition(".")[0] != own.partition(".")[0]:
        raise UnusableServerError(
            f"the server there is Prefect {found}, which Prefect {own} of this project cannot use"
        )


def _get(url: str) -> httpx.Response:
    try:
        answer = httpx.get(url, timeout=5, headers=_headers(), verify=_tls(), follow_redirects=True)
    except httpx.TransportError as error:
        raise _explain(error) from None
    except (httpx.RequestError, httpx.InvalidURL, UnicodeError, OSError) as error:
        raise UnusableServerError(f"no Prefect server answers there ({escape_terminal(error, 200)})") from None
    if answer.status_code in REFUSED:
        raise RefusedError(answer.status_code)
    if answer.is_server_error:
        raise NoAnswerError(f"status {answer.status_code}")
    return answer


def _headers() -> dict[str, str]:
    """Return the headers that Prefect's clients send: credentials, where the password precedes the key, and others."""
    headers: dict[str, str] = {}
    with suppress(ValueError):  # Prefect reports what is not JSON
        headers = {
            str(name): str(value) for name, value in json.loads(setting("PREFECT_CLIENT_CUSTOM_HEADERS")).items()
        }
    if password := setting("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = f"Basic {b64encode(password.encode()).decode()}"
    elif key := setting("PREFECT_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    return headers


def _tls() -> ssl.SSLContext:
    unchecked = setting("PREFECT_API_TLS_INSECURE_SKIP_VERIFY").lower() in ("true", "1")
    return _tls_context("" if unchecked else setting("PREFECT_API_SSL_CERT_FILE"), unchecked)


@lru_cache
def _tls_context(authority: str, unchecked: bool) -> ssl.SSLContext:
    """Return how certificates are checked, as Prefect's clients do."""
    if authority:
        return ssl.create_default_context(cafile=authority)
    return httpx.create_ssl_context(verify=not unchecked)


def _explain(error: httpx.TransportError) -> UnusableServerError:
    """Return the reason why a request had no response; only what may change is worth waiting for."""
    text = escape_terminal(error, 200) or type(error).__name__
    causes = [type(cause) for cause in _causes(error)]
    if socket.gaierror in causes:
        return UnusableServerError(f"its host has no address on this network ({text}). Check the name")
    if ssl.SSLCertVerificationError in causes:
        return UnusableServerError(
            f"its certificate is not trusted ({text}). Name that of your authority in PREFECT_API_SSL_CERT_FILE"
        )
    if ssl.SSLError in causes:
        return UnusableServerError(f"no TLS is spoken there ({text}). Does the address begin with http:// instead?")
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return UnusableServerError(f"no HTTP is spoken there ({text}). Does the address begin with https:// instead?")
    return NoAnswerError(text)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _find_version(api: str) -> str | None:
    """Return the version that a server states; None if it is not Prefect's."""
    if _json(_get(f"{api}/health")) is not True:
        return None
    try:
        text = _json(_get(f"{api}/admin/version"))
    except RefusedError as error:
        error.by_prefect = True
        raise
    return text if isinstance(text, str) and re.fullmatch(r"\d+\.\d+[\w.+-]*", text) else None


def _json(answer: httpx.Response) -> Any:
    """Return the content of a successful response; None if it is not JSON."""
    with suppress(ValueError):
        return answer.json() if answer.is_success else None
    return None


def _foreign(api: str) -> str:
    """Return the reason why an address is not that of Prefect's API, and the right one if it can be found."""
    if not api.endswith("/api"):
        with suppress(UnusableServerError):
            check_api(f"{api}/api")
            return f"Prefect's API is at {without_password(api)}/api. Add /api"
        return "Prefect's API does not answer there. Does the address end in /api?"
    return "another program answers there, not a Prefect server. Check host and port"
