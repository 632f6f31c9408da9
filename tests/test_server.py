"""A server ends with whoever started it, however that ends; and no page of another site writes to it."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from flows import server as module
from flows.server import server_process, wait_for
from flows.ui import end_runs
from tasks.errors import UserError
from tests.browser import needs_browser, opened
from tests.conftest import ROOT
from tests.runs import heeding_interrupts, pages, prefect, tiny_parameters

EVIL = "https://evil.example"

SCRIPT = """
import os, sys, time
from flows.server import server_process
with server_process(0) as process:
    print(process.pid, flush=True)
    time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.fault(3)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGINT])
def test_the_server_ends_with_whoever_started_it(death: signal.Signals) -> None:
    words = [sys.executable, "-c", SCRIPT]
    starter = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=heeding_interrupts)
    server = int(starter.stdout.readline())
    assert alive(server)
    ended = time.monotonic()
    os.kill(starter.pid, death)
    starter.wait(timeout=30)
    while alive(server) and time.monotonic() - ended < 15:
        time.sleep(0.05)
    assert time.monotonic() - ended < (2 if death == signal.SIGKILL else 5)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the server as `make ui` and a run without one do, and return the address of its API."""
    port, home = free_port(), tmp_path_factory.mktemp("guarded")
    with pytest.MonkeyPatch.context() as patch, (home / "server.log").open("wb") as log:
        patch.setenv("PREFECT_HOME", str(home))
        patch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")  # which the pages are told to ask
        with server_process(port, output=log) as process:
            wait_for(f"http://127.0.0.1:{port}/api", process)
            yield f"http://127.0.0.1:{port}/api"


@pytest.mark.fault(23)
@pytest.mark.parametrize("before", [None, 0o644])
def test_the_database_is_for_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int | None
) -> None:
    port, home = free_port(), tmp_path / "home"
    monkeypatch.setenv("PREFECT_HOME", str(home))
    if before:
        home.mkdir(mode=0o755)
        (home / "prefect.db").touch(mode=before)
    with (tmp_path / "server.log").open("wb") as log, server_process(port, output=log) as process:
        wait_for(f"http://127.0.0.1:{port}/api", process)
        files = sorted(path for path in home.iterdir() if path.name.startswith("prefect.db"))
        assert [path.name for path in files] == ["prefect.db", "prefect.db-shm", "prefect.db-wal"]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(home.stat().st_mode) == (0o755 if before else 0o700)


@pytest.mark.fault(36)
@pytest.mark.parametrize("origin", [EVIL, "null", "http://127.0.0.1:1", "http://localhost.evil.example"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/json"])
def test_a_page_of_another_site_writes_nothing(guarded: str, origin: str, kind: str) -> None:
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


@pytest.mark.fault(36)
@pytest.mark.parametrize("headers", [{}, {"Prefect-Csrf-Token": "0" * 64, "Prefect-Csrf-Client": "x"}])
def test_a_write_without_a_token_is_refused(guarded: str, headers: dict[str, str]) -> None:
    answer = httpx.post(f"{guarded}/flows/", json={"name": "planted"}, headers=headers)
    assert answer.status_code == 403
    assert "CSRF token" in answer.text


@pytest.mark.fault(36)
def test_a_name_of_another_site_that_leads_here_is_refused(guarded: str) -> None:
    rebound = {"Host": f"evil.example:{httpx.URL(guarded).port}"}
    assert httpx.get(f"{guarded}/csrf-token?client=x", headers=rebound).status_code == 400
    assert httpx.get(f"{guarded.removesuffix('/api')}/v2/", headers=rebound).status_code == 400


@pytest.mark.fault(36)
def test_a_websocket_of_another_site_is_refused(guarded: str) -> None:
    address = f"{guarded.replace('http', 'ws', 1)}/events/in"

    async def opened(origin: str | None) -> bool:
        async with connect(address, origin=origin):
            return True

    assert asyncio.run(opened(None))
    assert asyncio.run(opened(guarded.removesuffix("/api")))
    with pytest.raises(InvalidStatus, match="403"):
        asyncio.run(opened(EVIL))


@pytest.mark.fault(36)
def test_the_own_pages_and_commands_still_write(guarded: str) -> None:
    own = guarded.removesuffix("/api").replace("127.0.0.1", "localhost")
    for page in ("/", "/v2/"):
        assert "<html" in httpx.get(own + page, headers={"Accept": "text/html"}, follow_redirects=True).text
    allowed = httpx.get(f"{guarded}/csrf-token?client=x", headers={"Origin": own})
    assert allowed.headers["access-control-allow-origin"] == own
    tokens = {"Prefect-Csrf-Token": allowed.json()["token"], "Prefect-Csrf-Client": "x", "Origin": own}
    assert httpx.post(f"{guarded}/flows/", json={"name": "page"}, headers=tokens).status_code == 201
    command = [sys.executable, "-m", "prefect", "work-pool", "create", "pool", "--type", "process"]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"PREFECT_API_URL": guarded}, check=True, capture_output=True)
    assert httpx.get(f"{guarded}/work_pools/pool").json()["type"] == "process"


@needs_browser
@pytest.mark.fault(36)
def test_the_own_pages_show_what_is_there_in_a_browser(guarded: str, tmp_path: Path) -> None:
    with temporary_settings({PREFECT_API_URL: guarded}), get_client(sync_client=True) as client:
        client.create_flow_from_name("seen-in-the-page")
    page = guarded.replace("127.0.0.1", "localhost").removesuffix("/api")
    assert "seen-in-the-page" in opened(f"{page}/v2/flows", tmp_path, seconds=20)


@pytest.mark.fault(36)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "elsewhere.example", ""])
def test_the_server_listens_to_others_only_with_a_password(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.delenv("PREFECT_SERVER_API_AUTH_STRING", raising=False)
    with pytest.raises(UserError, match="PREFECT_SERVER_API_AUTH_STRING"), server_process(1, host=host):
        pass
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "me:secret")
    module.check_host(host)


@pytest.mark.fault(36)
def test_the_pages_open_to_others_are_refused_in_one_message() -> None:
    port = free_port()
    open_to_all = {"PREFECT_SERVER_API_HOST": "0.0.0.0", "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    done = subprocess.run(
        [sys.executable, "-m", "flows.ui"], cwd=ROOT, env=os.environ | open_to_all, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "PREFECT_SERVER_API_AUTH_STRING" in done.stderr
    with socket.socket() as nobody:
        assert nobody.connect_ex(("127.0.0.1", port))


@pytest.mark.fault(36)
def test_the_projects_settings_guard_a_server_that_is_started_by_hand() -> None:
    script = (
        "from prefect.settings import get_current_settings; s = get_current_settings().server.api\n"
        "print(s.host, s.csrf_protection_enabled, s.cors_allowed_origins)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["127.0.0.1", "True", "http://127.0.0.1:4200,http://localhost:4200"]


@pytest.mark.slow
@pytest.mark.fault(36)
def test_the_pages_start_and_a_worker_runs_what_another_terminal_asks_for(tmp_path: Path, tiny: Path) -> None:
    asked = json.dumps(tiny_parameters(tiny, tmp_path / "results"))
    with pages(tmp_path) as environment:
        api = environment["PREFECT_API_URL"]
        assert httpx.post(f"{api}/flows/", json={"name": "planted"}, headers={"Origin": EVIL}).status_code == 403
        prefect(environment, "deployment", "run", "imdb-compare/default", "--watch", "--params", asked)
    assert (tmp_path / "results" / "latest" / "report.html").exists()
    assert not module.answers(api)


def test_a_server_that_is_gone_cannot_be_told_of_ended_runs_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    end_runs("http://127.0.0.1:1/api", "local")
    assert "cannot be told of runs that were ended" in capsys.readouterr().err
