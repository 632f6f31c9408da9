"""Prefect servers: they end with the process that started them, and refuse pages of other sites."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Running
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.typing import Subprotocol

from flows.server import lifecycle as module
from flows.server.lifecycle import server_process, wait_until_healthy
from flows.server.probe import is_healthy
from flows.server.ui import crash_interrupted_runs
from tasks.config.errors import UserError
from tests.conftest import ROOT
from tests.helpers.browser import needs_browser, opened
from tests.helpers.namespaces import PIDS, needs, unshared
from tests.helpers.runs import free_port, restore_interrupts, run_prefect, run_server, run_ui, tiny_parameters

EVIL = "https://evil.example"
PASSWORD = "me:secret"
SOCKETS = (
    "/api/events/in",
    "/api/events/out",
    "/api/logs/out",
    "/api/task_runs/subscriptions/scheduled",
    "/api/work_pools/pool/workers/connect",
)
# Headers of proxies, which a page could add to its requests: where a request comes from, and where it was sent.
FORGED = (
    (),
    ("X-Forwarded-For: 127.0.0.1:123",),
    ("X-Forwarded-For: 127.0.0.1",),
    ("X-Forwarded-For: 192.0.2.1, 127.0.0.1:123",),
    ("X-Forwarded-For: [::1]:123",),
    ("X-Forwarded-Host: 127.0.0.1",),
    ("Forwarded: for=127.0.0.1;host=127.0.0.1",),
    ("X-Real-IP: 127.0.0.1",),
    ("X-Forwarded-Proto: https",),
    ("X-Forwarded-For: 127.0.0.1:123", "X-Forwarded-Host: localhost", "X-Forwarded-Proto: http", "X-Real-IP: ::1"),
)
# Host names that another site may have, and forms that a lenient parser may take for this machine.
FOREIGN = (
    "evil.example",
    "evil.example:{port}",
    "EVIL.EXAMPLE:{port}",
    "127.0.0.1.evil.example:{port}",
    "localhost.evil.example:{port}",
    "evil.localhost:{port}",
    "127.0.0.1.:{port}",
    "localhost.:{port}",
    "127.1:{port}",
    "2130706433:{port}",
    "0x7f.0.0.1:{port}",
    "0.0.0.0:{port}",
    "[::]:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "127.0.0.2:{port}",
    "192.0.2.1:{port}",
    "prefect-in-memory",
    "ephemeral-prefect",
    "",
    "127.0.0.1@evil.example",
    "127.0.0.1:{port}@evil.example",
    "127.0.0.1:{port}/",
    "127.0.0.1, evil.example",
    "evil.example#127.0.0.1",
)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.failure_mode("flow-killed")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGINT])
def test_a_server_ends_with_the_process_that_started_it(death: signal.Signals) -> None:
    words = [sys.executable, "-m", "tests.helpers.programs.start_server"]
    starter = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=restore_interrupts)
    server = int(starter.stdout.readline())
    assert alive(server)
    if death == signal.SIGKILL:
        os.kill(server, signal.SIGSTOP)  # as if the machine were so busy that the server does not get to end in order
    ended = time.monotonic()
    os.kill(starter.pid, death)
    starter.wait(timeout=30)
    while alive(server) and time.monotonic() - ended < 15:
        time.sleep(0.05)
    assert time.monotonic() - ended < (2 if death == signal.SIGKILL else 5)


@pytest.fixture(scope="module")
def open_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a database that others may read, as Prefect makes them."""
    home = tmp_path_factory.mktemp("guarded")
    home.chmod(0o755)
    (home / "prefect.db").touch(mode=0o644)
    return home


@pytest.fixture(scope="module")
def guarded(open_home: Path) -> Iterator[str]:
    """Run a server as `imdb-compare ui` and runs without a server do; return the address of its API."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORWARDED_ALLOW_IPS", "*")  # by which a machine's proxies are named to uvicorn
        with run_server(open_home) as api:
            yield api


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a server that other machines can connect to, with a password; return the address of its API."""
    with run_server(tmp_path_factory.mktemp("locked"), host="0.0.0.0", password=PASSWORD) as api:
        yield api


def status_of(api: str, *lines: str) -> int:
    """Send the head of a request line by line, unchanged, and return the status of the response."""
    with socket.create_connection(("127.0.0.1", httpx.URL(api).port), timeout=20) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        return int(connection.makefile("rb").readline().split()[1])


def handshake(api: str, path: str, *lines: str) -> int:
    """Request a WebSocket, and return the status of the response: 101 if it is opened."""
    with socket.create_connection(("127.0.0.1", httpx.URL(api).port), timeout=20) as connection:
        asked_for = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        offered = ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: prefect"]
        head = [f"GET {path} HTTP/1.1", *lines, *asked_for, *offered, "", ""]
        connection.sendall("\r\n".join(head).encode())
        return int(connection.makefile("rb").readline().split()[1])


@pytest.mark.failure_mode("malicious-pickle")
def test_only_the_owner_may_read_a_new_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port, home = free_port(), tmp_path / "home"
    monkeypatch.setenv("PREFECT_HOME", str(home))
    with (tmp_path / "server.log").open("wb") as log, server_process(port, output=log) as process:
        wait_until_healthy(f"http://127.0.0.1:{port}/api", process)
        check_database_is_private(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@pytest.mark.failure_mode("malicious-pickle")
@pytest.mark.usefixtures("guarded")
def test_only_the_owner_may_read_a_database_that_was_open_to_others(open_home: Path) -> None:
    check_database_is_private(open_home)
    assert stat.S_IMODE(open_home.stat().st_mode) == 0o755


def check_database_is_private(home: Path) -> None:
    files = sorted(path for path in home.iterdir() if path.name.startswith("prefect.db"))
    assert [path.name for path in files] == ["prefect.db", "prefect.db-shm", "prefect.db-wal"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@pytest.mark.failure_mode("exposed-server")
@pytest.mark.parametrize("origin", [EVIL, "null", "http://127.0.0.1:1", "http://localhost.evil.example"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/json"])
def test_a_request_with_a_foreign_origin_is_refused(guarded: str, origin: str, kind: str) -> None:
    headers = {"Origin": origin, "Content-Type": kind}
    answer = httpx.post(f"{guarded}/flows/", content=json.dumps({"name": "planted"}), headers=headers)
    assert answer.status_code == 403
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    preflight = httpx.options(f"{guarded}/flows/", headers=asked)
    assert preflight.status_code == 403
    token = httpx.get(f"{guarded}/csrf-token?client=x", headers={"Origin": origin})
    for each in (answer, preflight, token):
        assert "access-control-allow-origin" not in each.headers
    assert "token" not in token.text
    assert httpx.get(f"{guarded}/flows/name/planted").status_code == 404


@pytest.mark.failure_mode("exposed-server")
@pytest.mark.parametrize("headers", [{}, {"Prefect-Csrf-Token": "0" * 64, "Prefect-Csrf-Client": "x"}])
def test_a_write_without_a_csrf_token_is_refused(guarded: str, headers: dict[str, str]) -> None:
    answer = httpx.post(f"{guarded}/flows/", json={"name": "planted"}, headers=headers)
    assert answer.status_code == 403
    assert "CSRF token" in answer.text


@pytest.mark.failure_mode("exposed-server")
@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_host_is_refused_whatever_proxy_headers_say(guarded: str, name: str) -> None:
    host = f"Host: {name.format(port=httpx.URL(guarded).port)}"
    for forged in FORGED:
        for path in ("/api/health", "/api/csrf-token?client=x", "/v2/"):
            assert status_of(guarded, f"GET {path} HTTP/1.1", host, *forged) == 400
        assert [handshake(guarded, path, host, *forged) for path in SOCKETS] == [400] * len(SOCKETS)


@pytest.mark.failure_mode("exposed-server")
@pytest.mark.parametrize("forged", FORGED)
def test_own_hosts_are_accepted_whatever_proxy_headers_say(guarded: str, forged: tuple[str, ...]) -> None:
    port = httpx.URL(guarded).port
    for name in ("127.0.0.1", "127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"):
        host = f"Host: {name.format(port=port)}"
        assert status_of(guarded, "GET /api/health HTTP/1.1", host, *forged) == 200
    for path in SOCKETS:
        own = f"Host: 127.0.0.1:{port}"
        assert handshake(guarded, path, own, *forged) == 101
        assert handshake(guarded, path, own, f"Origin: http://localhost:{port}", *forged) == 101
        assert handshake(guarded, path, own, f"Origin: {EVIL}", *forged) == 403
        assert handshake(guarded, path, own, "Origin: null", *forged) == 403


@pytest.mark.failure_mode("exposed-server")
@pytest.mark.parametrize(
    "head",
    [
        ("GET http://evil.example/api/csrf-token?client=x HTTP/1.1", "Host: 127.0.0.1"),
        ("GET http://127.0.0.1/api/csrf-token?client=x HTTP/1.1", "Host: evil.example"),
        ("GET /api/csrf-token?client=x HTTP/1.1", "Host: 127.0.0.1", "Host: evil.example"),
        ("GET /api/csrf-token?client=x HTTP/1.1", "Host: evil.example", "Host: 127.0.0.1"),
        ("GET /api/csrf-token?client=x HTTP/1.1",),
        ("GET /api/csrf-token?client=x HTTP/1.0",),
        ("GET /api/csrf-token?client=x HTTP/1.0", "Host: evil.example"),
        ("GET /api/csrf-token?client=x HTTP/1.1", "Host: 127.0.0.1", "Origin: http://["),
        ("GET /api/csrf-token?client=x HTTP/1.1", "Host: 127.0.0.1", "Origin: http://127.0.0.1", f"Origin: {EVIL}"),
    ],
)
def test_a_malformed_or_ambiguous_request_is_refused(guarded: str, head: tuple[str, ...]) -> None:
    for forged in FORGED:
        assert status_of(guarded, *head, *forged) in (400, 403, 404)


@pytest.mark.failure_mode("exposed-server")
def test_the_header_x_forwarded_proto_is_ignored(guarded: str) -> None:
    moved = httpx.post(f"{guarded}/flows", headers={"X-Forwarded-Proto": "https", **tokens(guarded)}, json={})
    assert moved.headers["location"] == f"{guarded}/flows/"


@pytest.mark.slow
@pytest.mark.failure_mode("exposed-server")
def test_another_loopback_address_accepts_its_own_host_only(tmp_path: Path) -> None:
    with run_server(tmp_path, host="127.0.0.2") as api:
        assert api.startswith("http://127.0.0.2:")
        assert httpx.get(f"{api}/health").status_code == 200
        assert httpx.get(f"{api}/health", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.failure_mode("exposed-server")
def test_a_websocket_with_a_foreign_origin_is_refused(guarded: str) -> None:
    address = f"{guarded.replace('http', 'ws', 1)}/events/in"

    async def opened(origin: str | None) -> bool:
        async with connect(address, origin=origin):
            return True

    assert asyncio.run(opened(None))
    assert asyncio.run(opened(guarded.removesuffix("/api")))
    with pytest.raises(InvalidStatus, match="403"):
        asyncio.run(opened(EVIL))


@pytest.mark.failure_mode("exposed-server")
def test_own_pages_and_prefect_commands_can_write(guarded: str, tmp_path: Path) -> None:
    own = guarded.removesuffix("/api").replace("127.0.0.1", "localhost")
    for page in ("/", "/v2/"):
        assert "<html" in httpx.get(own + page, headers={"Accept": "text/html"}, follow_redirects=True).text
    allowed = httpx.get(f"{guarded}/csrf-token?client=x", headers={"Origin": own})
    assert allowed.headers["access-control-allow-origin"] == own
    written = {"Prefect-Csrf-Token": allowed.json()["token"], "Prefect-Csrf-Client": "x", "Origin": own}
    assert httpx.post(f"{guarded}/flows/", json={"name": "page"}, headers=written).status_code == 201
    command = [sys.executable, "-m", "prefect", "work-pool", "create", "pool", "--type", "process"]
    environment = os.environ | {"PREFECT_API_URL": guarded, "PREFECT_HOME": str(tmp_path)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    assert httpx.get(f"{guarded}/work_pools/pool").json()["type"] == "process"


@needs_browser
@pytest.mark.failure_mode("exposed-server")
def test_own_pages_work_in_a_browser(guarded: str, tmp_path: Path) -> None:
    with temporary_settings({PREFECT_API_URL: guarded}), get_client(sync_client=True) as client:
        client.create_flow_from_name("seen-in-the-page")
    page = guarded.replace("127.0.0.1", "localhost").removesuffix("/api")
    assert "seen-in-the-page" in opened(f"{page}/v2/flows", tmp_path, seconds=20)


@pytest.mark.failure_mode("exposed-server")
@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "0", "192.0.2.1", "elsewhere.example", "localhost.evil.example", "127.1", "2130706433", ""],
)
def test_a_server_for_other_machines_needs_a_password(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.delenv("PREFECT_SERVER_API_AUTH_STRING", raising=False)
    with pytest.raises(UserError, match="PREFECT_SERVER_API_AUTH_STRING"), server_process(1, host=host):
        pass
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", PASSWORD)
    module.check_host(host)


def tokens(api: str, password: str | None = None) -> dict[str, str]:
    """Return the headers that a write needs: a CSRF token, and the password if there is one."""
    known = {"Authorization": f"Basic {b64encode(password.encode()).decode()}"} if password else {}
    token = httpx.get(f"{api}/csrf-token?client=x", headers=known).json()["token"]
    return known | {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "x"}


@pytest.mark.failure_mode("exposed-server")
def test_a_server_with_a_password_accepts_any_host_with_the_password_only(locked: str) -> None:
    right, wrong = (f"Authorization: Basic {b64encode(word.encode()).decode()}" for word in (PASSWORD, "me:guessed"))
    for host in ("Host: server:4200", "Host: 192.0.2.1", "Host: evil.example"):
        for forged in FORGED:
            asked = ("GET /api/csrf-token?client=x HTTP/1.1", host, *forged)
            assert status_of(locked, *asked) == status_of(locked, *asked, wrong) == 401
        assert status_of(locked, *asked, right) == 200
        assert status_of(locked, *asked, right, "Origin: https://other.example") == 403


@pytest.mark.failure_mode("exposed-server")
@pytest.mark.parametrize("path", SOCKETS)
def test_a_websocket_of_a_server_with_a_password_needs_it(locked: str, path: str) -> None:
    async def said(token: str, *, origin: str | None = None) -> str:
        address = locked.replace("http", "ws", 1).removesuffix("/api") + path
        async with connect(address, origin=origin, subprotocols=[Subprotocol("prefect")]) as opened:
            await opened.send(json.dumps({"type": "auth", "token": token}))
            return json.loads(await opened.recv())["type"]

    assert asyncio.run(said(PASSWORD)) == "auth_success"
    for token in ("me:guessed", ""):
        with pytest.raises(ConnectionClosedError) as closed:
            asyncio.run(said(token))
        assert closed.value.rcvd.code == 1008
    with pytest.raises(InvalidStatus, match="403"):
        asyncio.run(said(PASSWORD, origin=EVIL))


@pytest.mark.failure_mode("exposed-server")
@pytest.mark.parametrize("password", [None, PASSWORD])
def test_automations_act_on_a_guarded_server(request: pytest.FixtureRequest, password: str | None) -> None:
    api = request.getfixturevalue("locked" if password else "guarded")
    happened = f"asked-by-a-test-{uuid4()}"
    trigger = EventTrigger(posture=Posture.Reactive, expect={happened}, for_each={"prefect.resource.id"}, threshold=1)
    action = ChangeFlowRunState(name="Crashed", state=StateType.CRASHED, message="Automatically.", force=True)
    with (
        temporary_settings({PREFECT_API_URL: api, PREFECT_API_AUTH_STRING: password}),
        get_client(sync_client=True) as client,
    ):
        run = client.create_flow_run(flow(lambda: None, name="watched"), state=Running())
        client.create_automation(AutomationCore(name=happened, trigger=trigger, actions=[action]))
        resource = {"prefect.resource.id": f"prefect.flow-run.{run.id}"}
        event = {"event": happened, "occurred": datetime.now(UTC).isoformat(), "resource": resource, "id": str(uuid4())}
        httpx.post(f"{api}/events", json=[event], headers=tokens(api, password)).raise_for_status()
        deadline = time.monotonic() + 30
        while client.read_flow_run(run.id).state_type == StateType.RUNNING and time.monotonic() < deadline:
            time.sleep(0.1)
        assert client.read_flow_run(run.id).state.message == "Automatically."


@needs(PIDS)
@pytest.mark.slow
def test_first_servers_in_several_namespaces_copy_the_whole_ui(tmp_path: Path) -> None:
    """A process id has a meaning in its own namespace only, so it cannot say who holds a lock."""
    go, environment = tmp_path / "go", os.environ | {"PREFECT_UI_STATIC_DIRECTORY": str(tmp_path / "ui")}
    program = f"{sys.executable} -m tests.helpers.programs.create_server {go}"
    # Each shell starts another number of processes before, so that no two servers have the same process id.
    commands = [f"for n in $(seq {number}); do /bin/true; done; {program}; exit $?" for number in range(1, 5)]
    servers = [
        subprocess.Popen(
            [*unshared(PIDS), "sh", "-c", command],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for command in commands
    ]
    assert [server.stdout and server.stdout.readline() for server in servers] == [b"ready\n"] * 4
    go.touch()
    errors = [server.communicate()[1].decode() for server in servers]
    assert [server.returncode for server in servers] == [0] * 4, errors
    assert not any("not be available" in error for error in errors), errors
    assert all((tmp_path / "ui" / version / "index.html").exists() for version in ("v1", "v2"))


@pytest.mark.failure_mode("exposed-server")
@pytest.mark.parametrize("words", [["flows.cli", "ui"], ["flows.server.guard", "0.0.0.0", "{port}"]])
def test_serving_other_machines_without_a_password_is_one_message(words: list[str]) -> None:
    port = free_port()
    open_to_all = {"PREFECT_SERVER_API_HOST": "0.0.0.0", "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    command = [sys.executable, "-m", *(word.format(port=port) for word in words)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | open_to_all, capture_output=True, text=True)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "PREFECT_SERVER_API_AUTH_STRING" in done.stderr
    with socket.socket() as nobody:
        assert nobody.connect_ex(("127.0.0.1", port))


@pytest.mark.failure_mode("exposed-server")
def test_the_settings_of_the_project_protect_a_server_started_by_prefect() -> None:
    script = (
        "from prefect.settings import get_current_settings; s = get_current_settings().server.api\n"
        "print(s.host, s.csrf_protection_enabled, s.cors_allowed_origins)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["127.0.0.1", "True", "http://127.0.0.1:4200,http://localhost:4200"]


@pytest.mark.slow
@pytest.mark.failure_mode("exposed-server")
def test_the_ui_command_serves_deployments_that_a_worker_runs(tmp_path: Path, tiny: Path) -> None:
    asked = json.dumps(tiny_parameters(tiny, tmp_path / "results"))
    with run_ui(tmp_path) as environment:
        api = environment["PREFECT_API_URL"]
        assert httpx.post(f"{api}/flows/", json={"name": "planted"}, headers={"Origin": EVIL}).status_code == 403
        run_prefect(environment, "deployment", "run", "imdb-compare/default", "--watch", "--params", asked)
    assert (tmp_path / "results" / "latest" / "report.html").exists()
    assert not is_healthy(api)


def test_marking_interrupted_runs_on_a_dead_server_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    crash_interrupted_runs("http://127.0.0.1:1/api", "local")
    assert "could not mark interrupted runs" in capsys.readouterr().err
