"""What is kept of a deployment on the server, and how it is described; without a server."""

from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect.client.schemas.responses import DeploymentResponse

from flows.server.deployments import find_changes, keep_server_state, name_of, version_of
from tests.conftest import ROOT

CRON = {"cron": "0 3 * * *", "timezone": "UTC"}


def entry(**changes: Any) -> dict[str, Any]:
    """Return an entry of prefect.yaml with its version."""
    schedule = {"slug": "nightly", **CRON, "parameters": {"new_seeds": 1}}
    made = {"name": "default", "parameters": {"seeds": 3}, "schedules": [schedule]} | changes
    return made | {"version": version_of(made)}


def on_server(version: str, *, active: bool = True, paused: bool = False, **changes: Any) -> DeploymentResponse:
    """Return a deployment with one schedule, as a server returns it."""
    schedule = {
        "id": uuid4(), "deployment_id": uuid4(), "slug": "nightly", "active": active, "schedule": CRON,
        "parameters": {"new_seeds": 1},
    }  # fmt: skip
    given = {"name": "default", "flow_id": uuid4(), "parameters": {"seeds": 3}, "schedules": [schedule]} | changes
    return DeploymentResponse(id=uuid4(), version=version, paused=paused, **given)


def test_nothing_is_reported_where_nothing_was_changed() -> None:
    file = entry()
    assert keep_server_state(file, on_server(file["version"])) == []
    assert file["parameters"] == {"seeds": 3}


def test_an_unchanged_file_leaves_schedules_and_parameters_to_the_server() -> None:
    file = entry()
    assert keep_server_state(file, on_server(file["version"], active=False, parameters={"seeds": 7}, paused=True)) == [
        "the deployment is paused",
        "parameters differ from prefect.yaml: seeds",
        "schedule nightly is paused",
    ]
    assert file["parameters"] == {"seeds": 7}
    assert "schedules" not in file
    assert file["paused"]


def test_a_deleted_schedule_is_reported_and_not_created_again() -> None:
    file = entry()
    assert keep_server_state(file, on_server(file["version"], schedules=[])) == ["schedule nightly was deleted"]
    assert "schedules" not in file


@pytest.mark.parametrize("version", [None, "", "1", "prefect.yaml 00000000"])
def test_a_changed_file_applies_but_what_is_paused_stays_paused(version: str | None) -> None:
    file = entry(parameters={"seeds": 5})
    changes = keep_server_state(file, on_server(version or "", active=False, paused=True))
    assert changes == ["the deployment is paused", "schedule nightly is paused"]
    assert file["parameters"] == {"seeds": 5}
    assert [schedule["active"] for schedule in file["schedules"]] == [False]
    assert file["paused"]


def test_active_in_a_changed_file_precedes_the_server() -> None:
    file = entry(schedules=[{"slug": "nightly", **CRON, "active": True}, {"slug": "weekly", "cron": "0 3 * * 0"}])
    keep_server_state(file, on_server("", active=False))
    assert [schedule["active"] for schedule in file["schedules"]] == [True, True]


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ({"schedule": CRON | {"cron": "0 5 * * *"}}, "another time"),
        ({"schedule": CRON | {"timezone": "Europe/Berlin"}}, "another time"),
        ({"schedule": {"interval": 3600.0}}, "another time"),
        ({"parameters": {"new_seeds": 2}}, "other parameters"),
    ],
)
def test_another_time_and_other_parameters_of_a_schedule_are_reported(schedule: dict[str, Any], said: str) -> None:
    file = entry()
    server = on_server(file["version"])
    changed = server.schedules[0].model_dump() | schedule
    (change,) = find_changes(file, on_server(file["version"], schedules=[changed]))
    assert said in change


def test_the_version_follows_parameters_and_schedules_only() -> None:
    assert version_of(entry(description="new", tags=["a"])) == version_of(entry())
    assert version_of(entry(parameters={"seeds": 4})) != version_of(entry())
    assert version_of(entry(schedules=[])) != version_of(entry())


def test_every_deployment_of_the_project_has_the_name_of_its_flow_and_named_parts() -> None:
    entries = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert [name_of(each) for each in entries] == ["imdb-compare/default", "imdb-predict/default", "imdb-alert/default"]
    assert all(schedule["slug"] for each in entries for schedule in each.get("schedules", []))
    assert all(trigger["name"] for each in entries for trigger in each.get("triggers", []))
