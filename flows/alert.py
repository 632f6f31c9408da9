"""The flow `imdb-alert`: send an alert when a run fails or nightly results become worse. Events start it."""

from urllib.parse import unquote
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import Artifact, FlowRun
from prefect.client.schemas.sorting import ArtifactSort
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_UI_URL

from tasks.config.escape import escape_terminal
from tasks.notify import notify

# Key of the artifact that links to the report of a run.
REPORT_ARTIFACT = "report-file"


@flow(name="imdb-alert", flow_run_name="alert-{run}")
def imdb_alert(run: UUID, alarms: str = "") -> str:
    """Describe what happened to a run, and send it by every block named imdb-alert.

    Args:
        run: Id of the flow run that the alert is about.
        alarms: Alarms of the nightly check; empty for a run that failed.
    """
    title, lines = describe_alert(run, alarms)
    return notify(title, lines)


def describe_alert(run: UUID, alarms: str) -> tuple[str, list[str]]:
    """Return the title of an alert, and lines with what happened and where the run, its log and its report are.

    Args:
        run: Id of a flow run. If Prefect does not know it, only the id is described.
        alarms: Alarms of the nightly check; empty for a run that failed.
    """
    with get_client(sync_client=True) as client:
        try:
            flow_run = client.read_flow_run(run)
        except ObjectNotFound:
            return f"imdb-compare: {run}", [alarms or "A run failed that is not in Prefect's database."]
        reports = client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[REPORT_ARTIFACT])),
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])),
            sort=ArtifactSort.CREATED_DESC,
        )
    return format_title(flow_run, alarms), [
        alarms or format_state(flow_run),
        f"The run and its log: {PREFECT_UI_URL.value() or ''}/runs/flow-run/{run}",
        *(f"The report: {escape_terminal(report_path(report))}" for report in reports[:1]),
        "Finished trials are cached: run the same command again to resume.",
    ]


def report_path(artifact: Artifact) -> str:
    """Return the path or address of a link artifact, `[text](address)`."""
    address = str(artifact.data).rpartition("](")[2].removesuffix(")")
    return unquote(address.removeprefix("file://")) if address.startswith("file://") else address


def format_title(run: FlowRun, alarms: str) -> str:
    """Format the subject of an alert: the name of the run and what happened."""
    state = run.state.name.lower() if run.state and run.state.name else "failed"
    event = "nightly results became worse" if alarms else state
    return f"imdb-compare {escape_terminal(run.name)}: {event}"


def format_state(run: FlowRun) -> str:
    """Format the state of a run and its message."""
    if run.state is None:
        return "State: unknown."
    return f"State: {run.state.name}. {run.state.message or ''}".strip()
