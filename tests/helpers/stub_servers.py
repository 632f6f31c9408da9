"""HTTP servers on 127.0.0.1 that are not Prefect's, or imitate it; and a stand-in for Prefect Cloud."""

import json
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx

Answer = tuple[int, str]
WORKSPACE = "/api/accounts/11111111-1111-1111-1111-111111111111/workspaces/22222222-2222-2222-2222-222222222222"
PASSED_ON = ("content-type", "x-prefect-api-version")
PREFECT_3 = {"/api/health": (200, "true"), "/api/admin/version": (200, '"3.8.8"')}


class Handler(BaseHTTPRequestHandler):
    """Pass each request to the function `answer` of the server."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, text = self.server.answer(self.command, self.path, dict(self.headers.items()), body)
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if status != 204:
            self.wfile.write(content)

    do_POST = do_PATCH = do_DELETE = do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def serve(
    answer: Callable[[str, str, Mapping[str, str], bytes], Answer], certificate: tuple[Path, Path] | None = None
) -> Iterator[str]:
    """Serve the answers of a function, and yield the address of the server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answer = answer
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def fixed(answers: Mapping[str, Answer], other: Answer = (404, "<html>not here</html>")) -> Callable[..., Answer]:
    """Return a function that answers by path."""
    return lambda method, path, headers, body: answers.get(path, other)


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate for 127.0.0.1, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return certificate, key


@contextmanager
def imitated_cloud(api: str, key: str, requests: list[str]) -> Iterator[str]:
    """Serve a workspace as Prefect Cloud does: with a key, at an address with account and workspace.

    Requests of the workspace are passed on to the Prefect server at `api`; the others know `/me/workspaces` only.

    Args:
        api: Address of a Prefect server.
        key: The API key that is accepted.
        requests: Receives the path of every accepted request.

    Yields:
        The address of the workspace.
    """

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if headers.get("Authorization") != f"Bearer {key}":
            return 401, json.dumps({"detail": "Invalid authentication credentials"})
        requests.append(path)
        if path == "/api/me/workspaces":
            return 200, "[]"
        if not path.startswith(WORKSPACE):
            return 404, "{}"
        kept = {
            name: value for name, value in headers.items() if name.lower() in ("content-type", "x-prefect-api-version")
        }
        done = httpx.request(method, api + path.removeprefix(WORKSPACE), content=body, headers=kept, timeout=60)
        return done.status_code, done.text

    with serve(answer) as root:
        yield root + WORKSPACE
