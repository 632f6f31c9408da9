"""Decide whether a scheduled run is superseded by a newer one."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Completed


def passed_over() -> Any:
    """Return the state in which a flow ends at once if a newer night is due, or None where it should run.

    The deployment runs one at a time and lets the others wait, so that after a week without a worker seven
    nights would follow one another.
    """
    newer = newer_night(UUID(str(runtime.flow_run.id))) if runtime.deployment.id else None
    if newer is None:
        return None
    return Completed(name="Skipped", message=f"The night of {newer:%Y-%m-%d %H:%M} UTC is due, too, and runs instead.")


def newer_night(run: UUID) -> datetime | None:
    """Return the time of the newest scheduled run of the same deployment that is due, if it is newer than this run.

    A run that a person asked for is never passed over, and passes over none: its parameters may be others.
    """
    with get_client(sync_client=True) as client:
        this = client.read_flow_run(run)
        if not this.auto_scheduled or this.deployment_id is None or this.expected_start_time is None:
            return None
        waiting = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=[this.deployment_id]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
                expected_start_time=FlowRunFilterExpectedStartTime(
                    after_=this.expected_start_time,
                    before_=datetime.now(UTC),  # type: ignore[arg-type]  # pydantic makes one of Prefect's
                ),
            ),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        )
    times = (other.expected_start_time for other in waiting if other.auto_scheduled and other.id != run)
    return next((time for time in times if time and time > this.expected_start_time), None)


def due_date() -> date:
    """Return the date on which the run was due, by the clock of its deployment's schedule, or else in UTC."""
    due = runtime.flow_run.scheduled_start_time or datetime.now(UTC)
    zone = "UTC"
    if runtime.deployment.id:
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment(UUID(str(runtime.deployment.id)))
        zones = (getattr(each.schedule, "timezone", None) for each in deployment.schedules)
        zone = next((each for each in zones if each), zone)
    return due.astimezone(ZoneInfo(zone)).date()
