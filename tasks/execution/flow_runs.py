"""Old flow runs in Prefect's database."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES
from prefect.exceptions import ObjectNotFound

from tasks.execution.prefect_api import ignore_api_errors

FLOWS = ("imdb-compare", "imdb-predict", "imdb-alert")
PAGE = 200  # the server returns no more at once


def find_old_flow_runs(before: datetime) -> list[UUID]:
    """Return the flow runs of this project that ended before a time; none if the Prefect API cannot be used."""
    found: list[UUID] = []
    with ignore_api_errors(retries=2), get_client(sync_client=True) as client:
        while len(page := _read_page(client, before, len(found))):
            found += page
    return found


def _read_page(client: SyncPrefectClient, before: datetime, offset: int) -> list[UUID]:
    runs = client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=list(FLOWS))),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(TERMINAL_STATES))),
            end_time=FlowRunFilterEndTime(before_=before),  # type: ignore[arg-type]  # pydantic converts it
        ),
        limit=PAGE,
        offset=offset,
    )
    return [run.id for run in runs]


def delete_flow_runs(runs: Sequence[UUID]) -> int:
    """Delete flow runs with their artifacts, which contain the reports. The server deletes their task runs and logs.

    Returns:
        The number of deleted runs; not all if the Prefect API cannot be used, which is logged as a warning.
    """
    deleted = 0
    with ignore_api_errors(retries=2), get_client(sync_client=True) as client:
        for run in runs:
            _delete(client, run)
            deleted += 1
    return deleted


def _delete(client: SyncPrefectClient, run: UUID) -> None:
    """Delete the artifacts of a flow run and then the run, unless something else deletes it at the same time."""
    try:
        while artifacts := client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
        ):
            for artifact in artifacts:
                client.delete_artifact(artifact.id)
        client.delete_flow_run(run)
    except ObjectNotFound:
        pass
