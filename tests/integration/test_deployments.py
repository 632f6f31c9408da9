"""Deploying again keeps what was changed on the server; what changes in prefect.yaml is applied."""

import copy
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.server import automations
from flows.server.deployments import POOL, deploy, name_of
from tests.conftest import ROOT
from tests.helpers.runs import run_prefect, run_server, run_ui
from tests.helpers.subcommands import run_subcommand

NAME, ALERT = "imdb-compare/default", "imdb-compare-failed"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncPrefectClient]:
    """Run a server on which prefect.yaml is deployed, and return a client of it."""
    with run_server(tmp_path_factory.mktemp("server")) as api, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_URL", api)  # of Prefect's commands
        with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
            deploy(content())
            automations.create_or_update(automations.crash_silent_runs())
            yield client


def content(**changes: Any) -> dict[str, Any]:
    """Return the content of prefect.yaml, with changes of the first deployment."""
    loaded = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    loaded["deployments"][0] |= changes
    return loaded


def deployment(client: SyncPrefectClient) -> DeploymentResponse:
    return client.read_deployment_by_name(NAME)


def reset(client: SyncPrefectClient) -> None:
    """Delete the deployments with their automations, and deploy them anew."""
    for entry in content()["deployments"]:
        deployed = client.read_deployment_by_name(name_of(entry)).id
        client.delete_resource_owned_automations(f"prefect.deployment.{deployed}")
        client.delete_deployment(deployed)
    deploy(content())


def test_a_new_deployment_is_as_in_the_file(client: SyncPrefectClient) -> None:
    reset(client)
    (schedule,) = deployment(client).schedules
    assert (schedule.active, schedule.slug, schedule.schedule.cron) == (True, "nightly", "0 3 * * *")
    assert schedule.parameters == {"new_seeds": 1, "keep_runs": 60}
    assert deployment(client).parameters == content()["deployments"][0]["parameters"]
    assert deploy(content()) == []


def test_what_was_paused_or_changed_by_hand_stays(client: SyncPrefectClient) -> None:
    reset(client)
    before = deployment(client)
    later = CronSchedule(cron="0 5 * * *", timezone="UTC")
    client.update_deployment_schedule(
        before.id, before.schedules[0].id, active=False, schedule=later, parameters={"new_seeds": 2}
    )
    client.update_deployment(before.id, DeploymentUpdate(parameters={"seeds": 7}, paused=True))
    client.update_work_pool(POOL, WorkPoolUpdate(is_paused=True, concurrency_limit=1))
    for name in (ALERT, automations.NAME):
        (alert,) = client.read_automations_by_name(name)
        client.pause_automation(alert.id)
    lines = deploy(content())
    automations.create_or_update(automations.crash_silent_runs())
    after = deployment(client)
    assert after.paused
    assert after.parameters == {"seeds": 7}
    (schedule,) = after.schedules
    assert (schedule.active, schedule.schedule.cron, schedule.parameters) == (False, "0 5 * * *", {"new_seeds": 2})
    pool = client.read_work_pool(POOL)
    assert (pool.is_paused, pool.concurrency_limit) == (True, 1)
    assert [each.enabled for name in (ALERT, automations.NAME) for each in client.read_automations_by_name(name)] == [
        False,
        False,
    ]
    assert all(words in lines[0] for words in (NAME, "data, seeds, workers", "another time", "nightly is paused"))
    assert ALERT in lines[1]


def test_a_deleted_schedule_stays_deleted(client: SyncPrefectClient) -> None:
    reset(client)
    client.delete_deployment_schedule(deployment(client).id, deployment(client).schedules[0].id)
    assert deploy(content()) == [f"{NAME}, as changed on the server: schedule nightly was deleted."]
    assert deployment(client).schedules == []


def test_a_change_in_the_file_is_applied_and_a_paused_schedule_stays_paused(client: SyncPrefectClient) -> None:
    reset(client)
    before = deployment(client)
    client.update_deployment_schedule(before.id, before.schedules[0].id, active=False)
    schedules = copy.deepcopy(content()["deployments"][0]["schedules"])
    schedules[0]["cron"] = "0 4 * * *"
    assert deploy(content(parameters={"seeds": 5}, schedules=schedules))
    after = deployment(client)
    assert after.parameters == {"seeds": 5}
    (schedule,) = after.schedules
    assert (schedule.active, schedule.schedule.cron) == (False, "0 4 * * *")


def test_prefect_deploy_by_hand_keeps_a_paused_schedule(client: SyncPrefectClient) -> None:
    reset(client)
    before = deployment(client)
    client.update_deployment_schedule(before.id, before.schedules[0].id, active=False)
    run_prefect(os.environ, "--no-prompt", "deploy", "--all")
    assert [schedule.active for schedule in deployment(client).schedules] == [False]


def test_a_run_of_a_deployment_fails_with_the_sentence_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the message of its state, and without a traceback in its log or in the terminal of `imdb-compare ui`."""
    with run_ui(tmp_path) as environment, temporary_settings({PREFECT_API_URL: environment["PREFECT_API_URL"]}):
        # In this process, and after the command was started, whose signals must be those of a terminal.
        monkeypatch.setattr("signal.signal", lambda *_: None)
        monkeypatch.setattr("flows.cli.run.configure_prefect", lambda: None)
        for parameters, words in (
            ({"data": "nix.csv"}, ["--data", "nix.csv"]),
            ({"architectures": ["gru2"]}, ["--architectures", "gru2"]),
        ):
            assert run_subcommand("run", *words) == 2
            (sentence,) = capsys.readouterr().err.splitlines()
            with get_client(sync_client=True) as client:
                run = client.create_flow_run_from_deployment(deployment(client).id, parameters=parameters)
                deadline = time.monotonic() + 240
                while not (state := client.read_flow_run(run.id).state).is_final() and time.monotonic() < deadline:
                    time.sleep(1)
                assert (sentence.partition(": received ")[2] or sentence) in state.message
                assert "at least 1 item" not in state.message
                assert not any("Traceback" in log.message for log in client.read_logs())
    output = (tmp_path / "ui.log").read_text()
    assert "Traceback" not in output.partition("Ready:")[2]
    assert len(output.partition("Ready:")[0].splitlines()) <= 3
