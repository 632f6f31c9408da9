"""Tell people that a run failed or that the nights became worse: started by events, told by whatever block is there."""

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import Artifact, FlowRun
from prefect.client.schemas.sorting import ArtifactSort
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_UI_URL

from tasks.config.errors import without_tracebacks_for_mistakes
from tasks.config.escape import escape_markdown, escape_terminal

# A block of this name, of any kind that notifies (Slack, e-mail, Teams, a webhook, …), is told.
BLOCK = "imdb-alert"
# Key of the artifact by which a run says where its report was written.
REPORT_FILE = "report-file"


@flow(name="imdb-alert", flow_run_name="alert-{run}")
def imdb_alert(run: UUID, alarms: str = "") -> str:
    """Say what happened to a run and where to look; tell it to every block named imdb-alert.

    Args:
        run: Id of the flow run that the alert is about.
        alarms: What the regression check found; empty for a run that failed.
    """
    title, lines = story(run, alarms)
    return tell(title, lines)


def story(run: UUID, alarms: str) -> tuple[str, list[str]]:
    """Put an alert into words: a title, and lines of what happened and where to look.

    Args:
        run: The run; one that Prefect no longer knows is told by its id.
        alarms: Of the regression check.
    """
    with get_client(sync_client=True) as client:
        try:
            found = client.read_flow_run(run)
        except ObjectNotFound:
            return f"imdb-compare: {run}", [alarms or "A run failed, of which Prefect knows no more."]
        reports = client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[REPORT_FILE])),
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])),
            sort=ArtifactSort.CREATED_DESC,
        )
    pages = f"{PREFECT_UI_URL.value() or ''}/runs/flow-run/{run}"
    state = found.state.name if found.state else "unknown"
    return title_of(found, alarms), [
        alarms or f"State: {state}. {found.state.message or '' if found.state else ''}".strip(),
        f"The run and its log: {pages}",
        *(f"The report: {escape_terminal(report_place(report))}" for report in reports[:1]),
        "What is trained is kept: the next run goes on from there.",
    ]


def report_place(artifact: Artifact) -> str:
    """Return the path or address that a link artifact, `[text](address)`, leads to."""
    address = str(artifact.data).rpartition("](")[2].removesuffix(")")
    return unquote(address.removeprefix("file://")) if address.startswith("file://") else address


def title_of(run: FlowRun, alarms: str) -> str:
    """Write one line for a subject."""
    ended = str(run.state.name).lower() if run.state else "failed"
    what = "the nights became worse" if alarms else ended
    return f"imdb-compare {escape_terminal(run.name)}: {what}"


@task(name="tell", task_run_name="tell-{title}")
def tell(title: str, lines: Sequence[str]) -> str:
    """Write the alert on Prefect's page, and send it by every block of the name; the result says to which."""
    without_tracebacks_for_mistakes()
    logger = get_run_logger()
    head, *shown = (escape_markdown(line) for line in (title, *lines))
    create_markdown_artifact("\n\n".join([f"### {head}", *shown]), key="alert", description=head)
    logger.warning("%s\n%s", title, "\n".join(lines))
    told, errors = [], []
    for name, block in blocks():
        try:
            send(block, title, lines)
            told.append(name)
        except Exception as error:  # each kind of block has errors of its own, and the others must be told too
            errors.append(f"{name}: {type(error).__name__}: {error}")
    if errors:
        raise RuntimeError("The alert could not be sent by " + "; ".join(errors))
    return f"Told by {', '.join(told)}." if told else f"No block named {BLOCK} is configured: it stands here alone."


def blocks() -> list[tuple[str, Any]]:
    """Load every block named `imdb-alert`."""
    from prefect.blocks.core import Block

    with get_client(sync_client=True) as client:
        documents = client.read_block_documents(include_secrets=False)
    named = [d for d in documents if d.name == BLOCK and d.block_type is not None]
    names = [f"{document.block_type.slug}/{BLOCK}" for document in named if document.block_type]
    return [(name, Block.load(name)) for name in names]


def send(block: Any, title: str, lines: Sequence[str]) -> None:
    """Send an alert by a block: one that notifies, or a plain webhook, which gets JSON."""
    body = "\n".join(lines)
    if hasattr(block, "notify"):
        block.notify(body, subject=title)
    else:
        asyncio.run(block.call({"title": title, "text": body})).raise_for_status()
