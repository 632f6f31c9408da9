"""Alerts: their text, the blocks that send them, the automation, and the events that start them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.events import emit_event
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Failed

from flows.alert import describe_alert
from flows.imdb_compare import imdb_compare
from flows.server import automations
from tasks import notify
from tests.conftest import ROOT


@pytest.fixture
def server(api: str) -> Iterator[str]:
    with temporary_settings({PREFECT_API_URL: api}):
        yield api


def create_failed_run(report: str | None = None) -> UUID:
    """Create a failed run of the comparison, with a link to its report if one is given."""
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(imdb_compare, parameters={"results": "kept"}, name="2026-01-02-nightly")
        if report:
            link = f"[2026-01-02-nightly: report.html]({report})"
            artifact = {"key": "report-file", "type": "markdown", "data": link, "flow_run_id": run.id}
            client.create_artifact(ArtifactCreate.model_validate(artifact))
        client.set_flow_run_state(run.id, Failed(message="1 trainings failed: <b>lstm</b>"), force=True)
    return run.id


def test_alert_of_a_failed_run_contains_its_name_message_and_link(server: str) -> None:
    run = create_failed_run()
    title, lines = describe_alert(run, "")
    assert "2026-01-02-nightly" in title
    assert "failed" in title
    assert "1 trainings failed" in lines[0]
    assert str(run) in lines[1]
    assert not any("report.html" in line for line in lines)


def test_alert_of_a_regression_contains_the_alarms(server: str) -> None:
    alarms = "LSTM: Accuracy is 1.20 points lower."
    title, lines = describe_alert(create_failed_run(), alarms)
    assert "2026-01-02-nightly" in title
    assert "failed" not in title
    assert lines[0] == alarms


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("file:///kept/a%20b/runs/2026-01-02-nightly-2/report.html", "/kept/a b/runs/2026-01-02-nightly-2/report.html"),
        ("s3://bucket/kept/runs/night/report.html", "s3://bucket/kept/runs/night/report.html"),
    ],
    ids=["suffix", "bucket"],
)
def test_alert_contains_the_path_of_the_report_that_was_written(server: str, link: str, path: str) -> None:
    lines = describe_alert(create_failed_run(link), "")[1]
    assert [line.split(": ")[1] for line in lines if "report.html" in line] == [path]


def test_alert_of_an_unknown_run_contains_its_id(server: str) -> None:
    run = uuid4()
    assert str(run) in describe_alert(run, "")[0]


@pytest.fixture
def received() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Serve a webhook on the loopback interface; yield its address and the bodies that it receives."""
    bodies: list[dict[str, str]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if self.path == "/hook" else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Do not log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as hook:
        Thread(target=hook.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{hook.server_address[1]}", bodies
        hook.shutdown()


@pytest.fixture
def removed_blocks(server: str) -> Iterator[None]:
    """Delete the blocks of alerts after the test: other tests of the session use the same server."""
    yield
    for name, _ in notify.load_blocks():
        Block.delete(name)


@pytest.mark.usefixtures("removed_blocks")
def test_every_block_of_the_name_sends_the_alert(server: str, received: tuple[str, list[dict[str, str]]]) -> None:
    address, bodies = received
    Webhook(url=f"{address}/hook", allow_private_urls=True).save(notify.BLOCK_NAME, overwrite=True)
    template = {"title": "{{subject}}", "text": "{{body}}"}
    CustomWebhookNotificationBlock(
        name="x", url=f"{address}/hook", json_data=template, allow_private_urls=True
    ).save(notify.BLOCK_NAME, overwrite=True)  # fmt: skip
    blocks = notify.load_blocks()
    assert sorted(name for name, _ in blocks) == ["custom-webhook/imdb-alert", "webhook/imdb-alert"]
    for _, block in blocks:
        notify.send(block, "a title", ["one", "two"])
    assert bodies == [{"title": "a title", "text": "one\ntwo"}] * 2


def test_error_response_of_a_webhook_is_raised(received: tuple[str, list[dict[str, str]]]) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        notify.send(Webhook(url=f"{received[0]}/broken", allow_private_urls=True), "a title", ["one"])


def test_block_that_sends_no_notifications_is_an_error() -> None:
    with pytest.raises(TypeError, match="Secret"):
        notify.send(Secret(value="x"), "a title", ["one"])


def test_automation_is_created_once(server: str) -> None:
    automation = automations.crash_silent_runs()
    done = [automations.create_or_update(automation) for _ in range(2)]
    assert done in (["created", "kept"], ["kept", "kept"])
    with get_client(sync_client=True) as client:
        client.create_automation(automation)
        assert automations.create_or_update(automation) == "kept"
        (existing,) = client.read_automations_by_name(automations.NAME)
    assert existing.trigger.within.total_seconds() == automations.HEARTBEAT_TIMEOUT_SECONDS


def test_unchanged_automation_keeps_its_trigger(server: str) -> None:
    def trigger_id() -> str:
        (found,) = httpx.post(f"{server}/automations/filter", json=query).json()
        return str(found["trigger"]["id"])  # the server stores the runs that it watches under this id

    query = {"automations": {"name": {"any_": [automations.NAME]}}}
    automation = automations.crash_silent_runs()
    automations.create_or_update(automation)
    before = trigger_id()
    assert automations.create_or_update(automation) == "kept"
    assert trigger_id() == before
    changed = automation.model_copy(update={"description": "another description"})
    assert automations.create_or_update(changed) == "updated"
    assert trigger_id() != before
    assert automations.create_or_update(automation) == "updated"


@pytest.mark.slow
def test_failed_run_and_regression_start_an_alert(server: str) -> None:
    def prefect(*words: str) -> None:
        environment = os.environ | {"PREFECT_API_URL": server}
        subprocess.run([sys.executable, "-m", "prefect", *words], cwd=ROOT, env=environment, check=True, timeout=120)

    def alert_parameters() -> list[dict[str, str]]:
        query = {"flows": {"name": {"any_": ["imdb-alert"]}}}
        return [each["parameters"] for each in httpx.post(f"{server}/flow_runs/filter", json=query).json()]

    prefect("work-pool", "create", "local-process", "--type", "process", "--overwrite")
    prefect("--no-prompt", "deploy", "--all")
    prefect("--no-prompt", "deploy", "--all")  # must not create a second trigger
    run, regressed = create_failed_run(), uuid4()
    emit_event(
        event="imdb-compare.regression", resource={"prefect.resource.id": "imdb-compare.history.x.y"},
        payload={"run_id": str(regressed), "alarms": ["LSTM is worse.", "Deep LSTM is worse."]},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(alert_parameters()) < 2 and time.monotonic() < deadline:
        time.sleep(1)
    time.sleep(3)
    assert sorted(alert_parameters(), key=len) == [
        {"run": str(run)},
        {"run": str(regressed), "alarms": "LSTM is worse. Deep LSTM is worse."},
    ]
