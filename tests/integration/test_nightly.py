"""The nightly schedule: one run a local day in every time zone, and of several late nights the newest alone."""

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

from tasks.nightly.due import newer_night
from tests.conftest import ROOT

DEPLOYMENT = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"][0]
(NIGHTLY,) = DEPLOYMENT["schedules"]
START, DAYS = datetime(2026, 1, 1, tzinfo=UTC), 730
ZONES = sorted(available_timezones() - {"localtime", "Factory"})


def offsets(zone: str) -> tuple[timedelta, ...]:
    """Return how far a zone is from UTC at each hour of a day, for two years."""
    info = ZoneInfo(zone)
    return tuple((START + timedelta(hours=6 * step)).astimezone(info).utcoffset() for step in range(4 * DAYS))


@cache
def distinct_zones() -> dict[tuple[timedelta, ...], str]:
    """Choose one of all zones whose clocks agree for two years."""
    return {offsets(zone): zone for zone in reversed(ZONES)}


async def nights(zone: str, first: datetime, days: int, cron: str = NIGHTLY["cron"]) -> list[date]:
    """Return the local day of each run, as Prefect's scheduler makes them."""
    schedule = CronSchedule(cron=cron, timezone=zone)
    last = first + timedelta(days=days)
    info = ZoneInfo(zone)
    return [time.astimezone(info).date() for time in await schedule.get_dates(n=days + 2, start=first, end=last)]


def each_day_once(days: list[date]) -> bool:
    return days == [days[0] + timedelta(days=count) for count in range(len(days))]


@pytest.mark.fault(18)
def test_one_run_a_local_day_where_the_clocks_change() -> None:
    import asyncio

    async def check() -> int:
        changes = 0
        for clock, zone in distinct_zones().items():
            for step in (step for step in range(1, len(clock)) if clock[step] != clock[step - 1]):
                changes += 1
                first = START + timedelta(hours=6 * step) - timedelta(days=3)
                days = await nights(zone, first, 6)
                assert len(days) in (5, 6, 7), zone
                assert each_day_once(days), (zone, days)
        return changes

    assert asyncio.run(check()) > 100


@pytest.mark.fault(18)
@pytest.mark.parametrize("zone", [NIGHTLY["timezone"], "Europe/Berlin", "America/New_York"])
def test_one_run_a_local_day_for_two_years(zone: str) -> None:
    import asyncio

    days = asyncio.run(nights(zone, START, DAYS))
    assert len(days) in (DAYS, DAYS + 1)
    assert each_day_once(days)


@pytest.mark.slow
@pytest.mark.fault(18)
def test_one_run_a_local_day_for_two_years_in_every_zone() -> None:
    for zone in distinct_zones().values():
        test_one_run_a_local_day_for_two_years(zone)


@pytest.fixture
def late_nights(api: str) -> Iterator[tuple[str, list[UUID]]]:
    """Deploy the comparison, and let Prefect schedule the nights of the last three days, which nobody ran."""
    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        flow = client.create_flow_from_name("imdb-compare")
        deployment = client.create_deployment(
            flow, "late", entrypoint=DEPLOYMENT["entrypoint"], path=str(ROOT), parameters={"results": "nowhere"}
        )
        schedule = {"schedule": {"cron": NIGHTLY["cron"], "timezone": NIGHTLY["timezone"]}, "active": True}
        posted(f"{api}/deployments/{deployment}/schedules", [schedule])
        yield f"{api}/deployments/{deployment}", late(api, deployment)
        client.delete_deployment(deployment)


def posted(address: str, body: object) -> httpx.Response:
    """Ask as Prefect's own client does: while one writes, SQLite is locked for others, and the server answers 503."""
    for _ in range(10):
        answer = httpx.post(address, json=body)
        if answer.status_code != 503:
            break
        time.sleep(1)
    return answer.raise_for_status()


def late(api: str, deployment: UUID) -> list[UUID]:
    """Schedule what lies in the last three days, and return the runs that are due, the oldest first."""
    now = datetime.now(UTC)
    span = {"start_time": f"{now - timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}", "end_time": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
    posted(f"{api}/deployments/{deployment}/schedule", span)
    asked = {
        "flow_runs": {
            "deployment_id": {"any_": [str(deployment)]},
            "expected_start_time": {"before_": now.isoformat()},
        },
        "sort": "EXPECTED_START_TIME_ASC",
    }
    return [UUID(run["id"]) for run in posted(f"{api}/flow_runs/filter", asked).json()]


@pytest.mark.fault(19)
def test_of_late_nights_the_newest_alone_runs(late_nights: tuple[str, list[UUID]]) -> None:
    *older, newest = late_nights[1]
    assert len(older) == 2
    assert newer_night(newest) is None
    with get_client(sync_client=True) as client:
        times = {newer_night(run) for run in older}
        assert times == {client.read_flow_run(newest).expected_start_time}


@pytest.mark.fault(19)
def test_the_same_night_is_scheduled_once(late_nights: tuple[str, list[UUID]]) -> None:
    deployment, runs = late_nights
    api, _, name = deployment.partition("/deployments/")
    assert late(api, UUID(name)) == runs


@pytest.mark.fault(19)
def test_a_run_that_a_person_asked_for_is_not_passed_over_and_passes_over_none(
    late_nights: tuple[str, list[UUID]],
) -> None:
    deployment, (*_, newest) = late_nights
    with get_client(sync_client=True) as client:
        asked_for = client.create_flow_run_from_deployment(UUID(deployment.rsplit("/", 1)[1]))
    assert newer_night(asked_for.id) is None
    assert newer_night(newest) is None


@pytest.mark.slow
@pytest.mark.fault(19)
def test_an_older_night_ends_at_once_and_says_why(late_nights: tuple[str, list[UUID]]) -> None:
    deployment, (oldest, *_) = late_nights
    api = deployment.partition("/deployments/")[0]
    command = [sys.executable, "-m", "prefect", "flow-run", "execute", str(oldest)]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"PREFECT_API_URL": api}, capture_output=True, timeout=200)
    state = httpx.get(f"{api}/flow_runs/{oldest}").json()["state"]
    assert (state["type"], state["name"]) == ("COMPLETED", "Skipped")
    assert "runs instead" in state["message"]
    assert not (ROOT / "nowhere").exists()
