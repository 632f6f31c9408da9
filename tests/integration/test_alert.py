"""Alerts: started by what happens on the server, told in words, sent by the blocks that are there."""

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
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.events import emit_event
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Failed

from flows import alert
from flows.imdb_compare import imdb_compare
from flows.server import automations
from tests.conftest import ROOT


@pytest.fixture
def server(api: str) -> Iterator[str]:
    with temporary_settings({PREFECT_API_URL: api}):
        yield api


def failed_run(report: str | None = None) -> UUID:
    """Make a run of the comparison that failed, after it had written a report at an address or none."""
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(imdb_compare, parameters={"results": "kept"}, name="2026-01-02-nightly")
        if report:
            link = f"[2026-01-02-nightly: report.html]({report})"
            artifact = {"key": "report-file", "type": "markdown", "data": link, "flow_run_id": run.id}
            client.create_artifact(ArtifactCreate.model_validate(artifact))
        client.set_flow_run_state(run.id, Failed(message="1 trainings failed: <b>lstm</b>"), force=True)
    return run.id


def test_an_alert_says_what_happened_and_where_to_look(server: str) -> None:
    run = failed_run()
    title, lines = alert.story(run, "")
    assert title == "imdb-compare 2026-01-02-nightly: failed"
    assert "1 trainings failed" in lines[0]
    assert str(run) in lines[1]
    assert not any("report.html" in line for line in lines)
    title, lines = alert.story(run, "LSTM: Accuracy is 1.20 points lower.")
    assert title == "imdb-compare 2026-01-02-nightly: the nights became worse"
    assert lines[0] == "LSTM: Accuracy is 1.20 points lower."


@pytest.mark.parametrize(
    ("link", "place"),
    [
        ("file:///kept/a%20b/runs/2026-01-02-nightly-2/report.html", "/kept/a b/runs/2026-01-02-nightly-2/report.html"),
        ("s3://bucket/kept/runs/night/report.html", "s3://bucket/kept/runs/night/report.html"),
    ],
    ids=["suffix", "bucket"],
)
def test_an_alert_names_the_report_that_was_written(server: str, link: str, place: str) -> None:
    lines = alert.story(failed_run(link), "")[1]
    assert [line.split(": ")[1] for line in lines if "report.html" in line] == [place]


def test_a_run_that_is_gone_is_told_by_its_id(server: str) -> None:
    run = uuid4()
    assert str(run) in alert.story(run, "")[0]


@pytest.fixture
def received() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Serve a webhook on loopback, and keep what it is sent."""
    got: list[dict[str, str]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if self.path == "/hook" else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as hook:
        Thread(target=hook.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{hook.server_address[1]}", got
        hook.shutdown()


def test_every_block_of_the_name_is_told(server: str, received: tuple[str, list[dict[str, str]]]) -> None:
    address, got = received
    Webhook(url=f"{address}/hook", allow_private_urls=True).save(alert.BLOCK, overwrite=True)
    custom = {"title": "{{subject}}", "text": "{{body}}"}
    CustomWebhookNotificationBlock(
        name="x", url=f"{address}/hook", json_data=custom, allow_private_urls=True
    ).save(alert.BLOCK, overwrite=True)  # fmt: skip
    found = alert.blocks()
    assert sorted(name for name, _ in found) == ["custom-webhook/imdb-alert", "webhook/imdb-alert"]
    for _, block in found:
        alert.send(block, "a title", ["one", "two"])
    assert got == [{"title": "a title", "text": "one\ntwo"}] * 2


def test_a_webhook_that_refuses_is_no_success(received: tuple[str, list[dict[str, str]]]) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        alert.send(Webhook(url=f"{received[0]}/broken", allow_private_urls=True), "a title", ["one"])


def test_the_automation_is_made_once(server: str) -> None:
    wanted = automations.silent_runs()
    assert [automations.ensure(wanted), automations.ensure(wanted)] in (["created", "kept"], ["kept", "kept"])
    with get_client(sync_client=True) as client:
        client.create_automation(wanted)
        assert automations.ensure(wanted) == "kept"
        (there,) = client.read_automations_by_name(automations.SILENT)
    assert there.trigger.within.total_seconds() == automations.SILENT_SECONDS


def test_an_automation_that_is_as_wanted_goes_on_watching_what_it_watched(server: str) -> None:
    def trigger() -> str:
        (found,) = httpx.post(f"{server}/automations/filter", json=query).json()
        return str(found["trigger"]["id"])  # what the server knows of the runs that it watches hangs on this

    query = {"automations": {"name": {"any_": [automations.SILENT]}}}
    wanted = automations.silent_runs()
    automations.ensure(wanted)
    before = trigger()
    assert automations.ensure(wanted) == "kept"
    assert trigger() == before
    assert automations.ensure(wanted.model_copy(update={"description": "other words"})) == "brought up to date"
    assert trigger() != before
    assert automations.ensure(wanted) == "brought up to date"


@pytest.mark.slow
def test_a_failed_run_and_a_regression_start_an_alert(server: str) -> None:
    def prefect(*words: str) -> None:
        environment = os.environ | {"PREFECT_API_URL": server}
        subprocess.run([sys.executable, "-m", "prefect", *words], cwd=ROOT, env=environment, check=True, timeout=120)

    prefect("work-pool", "create", "local-process", "--type", "process", "--overwrite")
    prefect("--no-prompt", "deploy", "--all")
    prefect("--no-prompt", "deploy", "--all")  # again: no second trigger
    run, worse = failed_run(), uuid4()
    emit_event(
        event="imdb-compare.regression", resource={"prefect.resource.id": "imdb-compare.history.x.y"},
        payload={"run_id": str(worse), "alarms": ["LSTM is worse.", "Deep LSTM is worse."]},
    )  # fmt: skip
    query = {"flows": {"name": {"any_": ["imdb-alert"]}}}
    deadline = time.monotonic() + 60
    found: list[dict[str, str]] = []
    while len(found) < 2 and time.monotonic() < deadline:
        time.sleep(1)
        found = [each["parameters"] for each in httpx.post(f"{server}/flow_runs/filter", json=query).json()]
    time.sleep(3)
    found = [each["parameters"] for each in httpx.post(f"{server}/flow_runs/filter", json=query).json()]
    assert sorted(found, key=len) == [
        {"run": str(run)},
        {"run": str(worse), "alarms": "LSTM is worse. Deep LSTM is worse."},
    ]
