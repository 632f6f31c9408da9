"""Addresses of Prefect servers: each mistake is one message with exit code 2, and only Prefect's servers are used."""

import os
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from flows.server.address import DEFAULT_API, Address, configured_address
from flows.server.lifecycle import answers, running_server
from flows.server.probe import UnusableServerError, check_api, is_healthy, is_prefect
from flows.server.ui import find_place
from tasks.config.errors import UserError
from tests.conftest import ROOT, TINY
from tests.helpers.runs import free_port
from tests.helpers.stub_servers import PREFECT_3, fixed, imitated_cloud, serve, write_certificate
from tests.helpers.subcommands import run_subcommand

SECRET = "pnu_planted0key"
SETTINGS = ("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH")
pytestmark = pytest.mark.failure_mode("wrong-address")
PAGE = (200, "<html><title>Another program</title></html>")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of Prefect without settings, which replaces the usual one."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("flows.server.probe.CONNECT_SECONDS", 0)
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[[str], str]:
    """Return a function that runs the command with an address, and returns its message of one line."""
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("flows.cli.run.configure_prefect", lambda: None)

    def refuse(address: str) -> str:
        monkeypatch.setenv("PREFECT_API_URL", address)
        assert run_subcommand("run", "--results", str(tmp_path / "results")) == 2
        output = capsys.readouterr()
        assert len(output.err.splitlines()) == 1
        assert not output.out
        return output.err

    return refuse


def write_profile(home: Path, **settings: str) -> None:
    """Write what `prefect config set` writes."""
    lines = "".join(f'{name} = "{value}"\n' for name, value in settings.items())
    (home / "profiles.toml").write_text(f'active = "mine"\n\n[profiles.mine]\n{lines}\n[profiles.other]\n')


@pytest.mark.parametrize(
    "address",
    [
        "localhost:4200", "127.0.0.1:4200/api", "ftp://127.0.0.1/api", "http://", "http://:4200/api", "/api", "word",
        "http://127.0.0.1:99999999/api", "http://local host:4200/api", "http://[::1/api", "http//127.0.0.1:4200/api",
    ],
)  # fmt: skip
def test_what_is_no_address_is_one_message(refused: Callable[[str], str], address: str) -> None:
    message = refused(address)
    assert "PREFECT_API_URL: received" in message
    assert DEFAULT_API in message


@pytest.mark.parametrize("address", ["", "  ", "\t"])
def test_an_empty_address_counts_as_none(monkeypatch: pytest.MonkeyPatch, home: Path, address: str) -> None:
    write_profile(home, PREFECT_API_URL="http://127.0.0.1:1/api")
    monkeypatch.setenv("PREFECT_API_URL", address)
    assert configured_address() == Address(DEFAULT_API)


@pytest.mark.parametrize("written", [" {api}", "{api}/", "{api} ", "{api}//"])
def test_spaces_around_an_address_and_a_slash_at_its_end_do_not_count(
    api: str, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", written.format(api=api))
    with running_server(meanwhile=lambda: None):
        assert os.environ["PREFECT_API_URL"] == api
    assert os.environ["PREFECT_API_URL"] == written.format(api=api)


def test_an_address_without_api_is_one_message_with_the_right_address(api: str, refused: Callable[[str], str]) -> None:
    assert f"Prefect's API is at {api}" in refused(api.removesuffix("/api"))


@pytest.mark.parametrize("path", ["", "/api", "/prefect/api", "/app"])
def test_another_program_is_not_taken_for_prefect(refused: Callable[[str], str], path: str) -> None:
    with serve(fixed({}, other=PAGE)) as other:
        assert not is_healthy(other + path)
        message = refused(other + path)
    assert "another program answers there" in message if path.endswith("/api") else "end in /api?" in message


@pytest.mark.parametrize(
    "answers_by_path",
    [
        {"/api/health": (200, "true")},
        {"/api/health": (200, '{"status": "ok"}'), "/api/admin/version": (200, '"3.8.8"')},
        {"/api/health": (200, "true"), "/api/admin/version": (200, '{"version": "9.1"}')},
        {"/api/health": (200, "true"), "/api/admin/version": (200, '"unknown"')},
        {"/api/health": (200, ""), "/api/admin/version": (200, "")},
        {"/api/health": (403, ""), "/api/admin/version": (403, "")},
    ],
)
def test_health_and_version_decide_whether_it_is_prefect(answers_by_path: dict[str, tuple[int, str]]) -> None:
    with serve(fixed(answers_by_path)) as other:
        assert not is_prefect(f"{other}/api")
        assert not answers(Address(f"{other}/api"))  # a temporary server is started instead
    with serve(fixed(PREFECT_3)) as prefect:
        assert is_prefect(f"{prefect}/api")


@pytest.mark.parametrize(
    ("version", "compatible"), [("2.20.1", False), ("3.0.0", True), ("3.99.1", True), ("4.0.0", False)]
)
def test_an_incompatible_version_is_one_message(refused: Callable[[str], str], version: str, compatible: bool) -> None:
    with serve(fixed(PREFECT_3 | {"/api/admin/version": (200, f'"{version}"')})) as server:
        assert is_healthy(f"{server}/api") == compatible
        if not compatible:
            assert f"is Prefect {version}" in refused(f"{server}/api")


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("name", ["PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", None])
def test_refused_credentials_are_one_message_without_the_secret(
    refused: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, name: str | None, status: int
) -> None:
    if name:
        monkeypatch.setenv(name, f"me:{SECRET}")
    with serve(fixed(PREFECT_3 | {"/api/admin/version": (status, "{}")})) as server:
        message = refused(f"{server}/api")
        assert is_prefect(f"{server}/api")
    assert (f"refuses the credentials of {name}" if name else "needs credentials") in message
    assert f"status {status}" in message
    assert SECRET not in message


def test_a_password_in_an_address_is_not_printed(refused: Callable[[str], str]) -> None:
    for address in (f"http://me:{SECRET}@127.0.0.1:1/api", f"http://me:{SECRET}@127.0.0.1:x/api"):
        message = refused(address)
        assert "127.0.0.1" in message
        assert SECRET not in message


def test_a_wrong_port_is_one_message(refused: Callable[[str], str]) -> None:
    message = refused(f"http://127.0.0.1:{free_port()}/api")
    assert "no Prefect server answers there" in message
    assert "unset PREFECT_API_URL" in message


def test_a_host_without_an_address_is_one_message(refused: Callable[[str], str]) -> None:
    assert "has no address on this network" in refused("http://no-such-host.invalid:4200/api")


def test_tls_and_plain_http_are_told_apart(
    api: str, refused: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "begin with http://" in refused(api.replace("http", "https", 1))
    certificate, key = write_certificate(tmp_path)
    with serve(fixed(PREFECT_3), (certificate, key)) as server:
        assert "begin with https://" in refused(f"{server.replace('https', 'http', 1)}/api")
        assert "certificate is not trusted" in refused(f"{server}/api")
        monkeypatch.setenv("PREFECT_API_SSL_CERT_FILE", str(certificate))
        assert is_healthy(f"{server}/api")
        monkeypatch.delenv("PREFECT_API_SSL_CERT_FILE")
        monkeypatch.setenv("PREFECT_API_TLS_INSECURE_SKIP_VERIFY", "true")
        assert is_healthy(f"{server}/api")


def test_a_server_behind_a_proxy_gets_the_custom_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        return PREFECT_3[path] if headers.get("X-Pass") == "word" else (403, "")

    with serve(answer) as server:
        assert not is_healthy(f"{server}/api")
        monkeypatch.setenv("PREFECT_CLIENT_CUSTOM_HEADERS", '{"X-Pass": "word"}')
        assert is_healthy(f"{server}/api")


def test_the_address_of_the_profile_counts(api: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_profile(home, PREFECT_API_URL=api)
    address = configured_address()
    assert address.api == api
    assert "profile 'mine'" in address.source
    with running_server(meanwhile=lambda: None):
        assert os.environ["PREFECT_API_URL"] == api
    monkeypatch.setenv("PREFECT_PROFILE", "other")
    assert configured_address() == Address(DEFAULT_API)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    assert configured_address().source == "PREFECT_API_URL"


def test_the_default_is_the_address_of_pyproject() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["tool"]["prefect"]["api"]["url"] == DEFAULT_API


@pytest.mark.parametrize("content", ["not toml [", "", 'active = "x"', 'active = "x"\n[profiles]\nx = 3', "active = 1"])
def test_a_damaged_profile_counts_as_none(home: Path, content: str) -> None:
    (home / "profiles.toml").write_text(content)
    assert configured_address() == Address(DEFAULT_API)


def test_the_usual_address_in_a_profile_allows_a_temporary_server(home: Path) -> None:
    write_profile(home, PREFECT_API_URL=DEFAULT_API)
    assert configured_address() == Address(DEFAULT_API)


def test_an_address_in_the_file_env_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("PREFECT_API_URL=http://127.0.0.1:1/api\n")
    assert configured_address().source == "PREFECT_API_URL in .env"


def test_credentials_of_the_profile_are_used_and_not_printed(home: Path) -> None:
    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        return PREFECT_3[path] if headers.get("Authorization") == f"Bearer {SECRET}" else (401, "")

    with serve(answer) as server:
        write_profile(home, PREFECT_API_URL=f"{server}/api", PREFECT_API_KEY=SECRET)
        check_api(configured_address().api)
        write_profile(home, PREFECT_API_URL=f"{server}/api", PREFECT_API_KEY=f"{SECRET}-old")
        with pytest.raises(UnusableServerError, match="PREFECT_API_KEY") as refusal:
            check_api(configured_address().api)
    assert SECRET not in str(refusal.value)


@pytest.mark.slow
def test_a_run_uses_the_server_of_the_profile_rather_than_that_of_pyproject(
    api: str, home: Path, tiny: Path, tmp_path: Path
) -> None:
    """The command and the flow in Python, both in the project folder, where pyproject.toml names another address."""
    write_profile(home, PREFECT_API_URL=api)
    options = TINY | {"--data": str(tiny), "--results": str(tmp_path / "results"), "--run-name": "by-profile"}
    words = [word for option in options.items() for word in option]
    script = (
        "from flows.imdb_compare import imdb_compare\n"
        f"imdb_compare(data={str(tiny)!r}, results={str(tmp_path / 'results')!r}, architectures=['simple_rnn'], "
        "seeds=1, epochs=1, units=3, embedding_size=5, max_tokens=12, vocabulary_size=50, batch_size=16, "
        "run_name='by-profile-in-python')"
    )
    for command in (["-m", "flows.cli", "run", *words], ["-c", script]):
        done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    runs = httpx.post(f"{api}/flow_runs/filter", json={}).json()
    assert {"by-profile", "by-profile-in-python"} <= {run["name"] for run in runs}


@pytest.mark.parametrize("speaks_http", [True, False])
def test_the_ui_uses_another_port_if_another_program_has_the_usual_one(
    speaks_http: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(fixed({}, other=PAGE)) as page, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        taken = httpx.URL(page).port if speaks_http else silent.getsockname()[1]
        host, port, api = find_place(Address(f"http://127.0.0.1:{taken}/api"))
    assert host == "127.0.0.1"
    assert port > taken
    assert api == f"http://127.0.0.1:{port}/api"
    assert f"Port {taken} is used by another program" in capsys.readouterr().err


def test_the_ui_refuses_a_port_that_was_asked_for_and_is_taken() -> None:
    with serve(fixed({}, other=PAGE)) as page, pytest.raises(UserError, match="another program uses that port"):
        find_place(Address(f"{page}/api", "PREFECT_API_URL"))


@pytest.mark.parametrize("version_status", [200, 401])
def test_the_ui_does_not_replace_a_prefect_server(version_status: int) -> None:
    answers_by_path = PREFECT_3 | {"/api/admin/version": (version_status, '"3.8.8"')}
    with serve(fixed(answers_by_path)) as server, pytest.raises(UserError, match="already answers there"):
        find_place(Address(f"{server}/api"))


@pytest.mark.parametrize("api", ["https://api.prefect.cloud/api/accounts/x/workspaces/y", "http://192.0.2.1:4200/api"])
def test_the_ui_serves_on_this_machine_only(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.server.ui.is_prefect", lambda _: False)
    with pytest.raises(UserError, match="not on this machine"):
        find_place(Address(api, "PREFECT_API_URL"))


def test_two_passwords_that_differ_are_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", f"me:{SECRET}")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", f"me:{SECRET}-old")
    with pytest.raises(UserError, match="differs") as refusal:
        find_place(Address(f"http://127.0.0.1:{free_port()}/api"))
    assert SECRET not in str(refusal.value)


def test_a_key_of_prefect_cloud_is_sent_and_a_wrong_one_is_one_message(
    api: str, refused: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[str] = []
    with imitated_cloud(api, SECRET, requests) as workspace:
        assert "needs credentials" in refused(workspace)
        monkeypatch.setenv("PREFECT_API_KEY", "pnu_wrong")
        message = refused(workspace)
        assert "refuses the credentials of PREFECT_API_KEY (status 401)" in message
        assert "pnu_wrong" not in message
        assert not requests
        monkeypatch.setenv("PREFECT_API_KEY", SECRET)
        check_api(workspace)
    assert requests == ["/api/me/workspaces"]


@pytest.mark.slow
def test_a_run_works_in_a_workspace_of_an_imitated_cloud(api: str, tiny: Path, tmp_path: Path) -> None:
    requests: list[str] = []
    options = TINY | {"--data": str(tiny), "--results": str(tmp_path / "results"), "--run-name": "in-the-cloud"}
    words = [word for option in options.items() for word in option]
    with imitated_cloud(api, SECRET, requests) as workspace:
        cloud = workspace.partition("/accounts/")[0]
        environment = os.environ | {
            "PREFECT_API_URL": workspace, "PREFECT_CLOUD_API_URL": cloud, "PREFECT_API_KEY": SECRET,
        }  # fmt: skip
        command = [sys.executable, "-m", "flows.cli", "run", *words]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert any(path.endswith("/flow_runs/") for path in requests)
    runs = httpx.post(f"{api}/flow_runs/filter", json={}).json()
    assert {run["state_type"] for run in runs if run["name"] == "in-the-cloud"} == {"COMPLETED"}
