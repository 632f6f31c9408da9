"""Schedule of the deployment: the date on which a run was due, and runs that a newer one supersedes."""

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


def superseded_state() -> Any:
    """Return the state Skipped if a newer nightly run is due, otherwise None.

    The deployment runs one at a time and queues the others. After a week without a worker, seven nightly runs would
    otherwise follow one another.
    """
    newer = find_newer_scheduled_time(UUID(str(runtime.flow_run.id))) if runtime.deployment.id else None
    if newer is None:
        return None
    return Completed(
        name="Skipped", message=f"The nightly run of {newer:%Y-%m-%d %H:%M} UTC is also due and runs instead."
    )


def find_newer_scheduled_time(run: UUID) -> datetime | None:
    """Return the time of the newest scheduled run of the same deployment that is due, or None if `run` is the newest.

    A run that was started by hand is not superseded and supersedes no other run, because its parameters may differ.

    Args:
        run: Id of a flow run.
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
                    before_=datetime.now(UTC),  # type: ignore[arg-type]  # pydantic converts it to Prefect's type
                ),
            ),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        )
    times = (other.expected_start_time for other in waiting if other.auto_scheduled and other.id != run)
    return next((time for time in times if time and time > this.expected_start_time), None)


def due_date() -> date:
    """Return the date on which the current run was due, in the time zone of its deployment's schedule, or in UTC."""
    due = runtime.flow_run.scheduled_start_time or datetime.now(UTC)
    zone = "UTC"
    if runtime.deployment.id:
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment(UUID(str(runtime.deployment.id)))
        zones = (getattr(each.schedule, "timezone", None) for each in deployment.schedules)
        zone = next((each for each in zones if each), zone)
    return due.astimezone(ZoneInfo(zone)).date()
