"""The nightly schedule: one run per local day in every time zone, and only the newest of several overdue runs."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

import httpx
import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.server.schemas.schedules import CronSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.execution.schedule import find_newer_scheduled_time
from tests.conftest import ROOT

DEPLOYMENT = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"][0]
(NIGHTLY,) = DEPLOYMENT["schedules"]
START, DAYS = datetime(2026, 1, 1, tzinfo=UTC), 730
ZONES = sorted(available_timezones() - {"localtime", "Factory"})


def offsets(zone: str) -> tuple[timedelta, ...]:
    """Return the UTC offset of a zone every six hours for two years."""
    info = ZoneInfo(zone)
    return tuple((START + timedelta(hours=6 * step)).astimezone(info).utcoffset() for step in range(4 * DAYS))


@cache
def distinct_zones() -> dict[tuple[timedelta, ...], str]:
    """Return one zone for each sequence of UTC offsets over two years."""
    return {offsets(zone): zone for zone in reversed(ZONES)}


async def scheduled_days(zone: str, first: datetime, days: int, cron: str = NIGHTLY["cron"]) -> list[date]:
    """Return the local date of each run that Prefect's scheduler creates."""
    schedule = CronSchedule(cron=cron, timezone=zone)
    last = first + timedelta(days=days)
    info = ZoneInfo(zone)
    return [time.astimezone(info).date() for time in await schedule.get_dates(n=days + 2, start=first, end=last)]


def are_consecutive(days: list[date]) -> bool:
    return days == [days[0] + timedelta(days=count) for count in range(len(days))]


@pytest.mark.failure_mode("clock-change")
def test_one_run_per_local_day_when_the_clocks_change() -> None:
    import asyncio

    async def check() -> int:
        changes = 0
        for clock, zone in distinct_zones().items():
            for step in (step for step in range(1, len(clock)) if clock[step] != clock[step - 1]):
                changes += 1
                first = START + timedelta(hours=6 * step) - timedelta(days=3)
                days = await scheduled_days(zone, first, 6)
                assert len(days) in (5, 6, 7), zone
                assert are_consecutive(days), (zone, days)
        return changes

    assert asyncio.run(check()) > 100


@pytest.mark.failure_mode("clock-change")
@pytest.mark.parametrize("zone", [NIGHTLY["timezone"], "Europe/Berlin", "America/New_York"])
def test_one_run_per_local_day_for_two_years(zone: str) -> None:
    import asyncio

    days = asyncio.run(scheduled_days(zone, START, DAYS))
    assert len(days) in (DAYS, DAYS + 1)
    assert are_consecutive(days)


@pytest.mark.slow
@pytest.mark.failure_mode("clock-change")
def test_one_run_per_local_day_for_two_years_in_every_zone() -> None:
    for zone in distinct_zones().values():
        test_one_run_per_local_day_for_two_years(zone)


@pytest.fixture
def overdue_runs(api: str) -> Iterator[tuple[str, list[UUID]]]:
    """Deploy the comparison and schedule the nightly runs of the last three days; yield deployment and run ids."""
    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        flow = client.create_flow_from_name("imdb-compare")
        deployment = client.create_deployment(
            flow, "late", entrypoint=DEPLOYMENT["entrypoint"], path=str(ROOT), parameters={"results": "nowhere"}
        )
        schedule = {"schedule": {"cron": NIGHTLY["cron"], "timezone": NIGHTLY["timezone"]}, "active": True}
        post(f"{api}/deployments/{deployment}/schedules", [schedule])
        yield f"{api}/deployments/{deployment}", schedule_overdue(api, deployment)
        client.delete_deployment(deployment)


def post(address: str, body: object) -> httpx.Response:
    """Send a request, and repeat it like Prefect's client while SQLite is locked and the server responds with 503."""
    for _ in range(10):
        response = httpx.post(address, json=body)
        if response.status_code != 503:
            break
        time.sleep(1)
    return response.raise_for_status()


def schedule_overdue(api: str, deployment: UUID) -> list[UUID]:
    """Schedule the runs of the last three days, and return those that are due, the oldest first."""
    now = datetime.now(UTC)
    span = {"start_time": f"{now - timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}", "end_time": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
    post(f"{api}/deployments/{deployment}/schedule", span)
    query = {
        "flow_runs": {
            "deployment_id": {"any_": [str(deployment)]},
            "expected_start_time": {"before_": now.isoformat()},
        },
        "sort": "EXPECTED_START_TIME_ASC",
    }
    return [UUID(run["id"]) for run in post(f"{api}/flow_runs/filter", query).json()]


@pytest.mark.failure_mode("overdue-nightly-runs")
def test_only_the_newest_overdue_run_is_not_superseded(overdue_runs: tuple[str, list[UUID]]) -> None:
    *older, newest = overdue_runs[1]
    assert len(older) == 2
    assert find_newer_scheduled_time(newest) is None
    with get_client(sync_client=True) as client:
        times = {find_newer_scheduled_time(run) for run in older}
        assert times == {client.read_flow_run(newest).expected_start_time}


@pytest.mark.failure_mode("overdue-nightly-runs")
def test_same_date_is_scheduled_once(overdue_runs: tuple[str, list[UUID]]) -> None:
    deployment, runs = overdue_runs
    api, _, name = deployment.partition("/deployments/")
    assert schedule_overdue(api, UUID(name)) == runs


@pytest.mark.failure_mode("overdue-nightly-runs")
def test_run_started_by_hand_is_not_superseded_and_supersedes_none(
    overdue_runs: tuple[str, list[UUID]],
) -> None:
    deployment, (*_, newest) = overdue_runs
    with get_client(sync_client=True) as client:
        by_hand = client.create_flow_run_from_deployment(UUID(deployment.rsplit("/", 1)[1]))
    assert find_newer_scheduled_time(by_hand.id) is None
    assert find_newer_scheduled_time(newest) is None


@pytest.mark.slow
@pytest.mark.failure_mode("overdue-nightly-runs")
def test_superseded_run_ends_as_skipped_with_a_reason(overdue_runs: tuple[str, list[UUID]]) -> None:
    deployment, (oldest, *_) = overdue_runs
    api = deployment.partition("/deployments/")[0]
    command = [sys.executable, "-m", "prefect", "flow-run", "execute", str(oldest)]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"PREFECT_API_URL": api}, capture_output=True, timeout=200)
    state = httpx.get(f"{api}/flow_runs/{oldest}").json()["state"]
    assert (state["type"], state["name"]) == ("COMPLETED", "Skipped")
    assert "runs instead" in state["message"]
    assert not (ROOT / "nowhere").exists()
