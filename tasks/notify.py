"""The task that sends an alert."""

import asyncio
from collections.abc import Sequence
from typing import Protocol, cast, runtime_checkable

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.blocks.core import Block
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.logging import get_run_logger

from tasks.config.escape import escape_markdown
from tasks.execution.run_logging import configure_run_logging

# The alert is sent by every block of this name, of any type that sends notifications (Slack, e-mail, webhook, …).
BLOCK_NAME = "imdb-alert"


@runtime_checkable
class Notifier(Protocol):
    """A block that sends notifications, such as Prefect's `NotificationBlock`."""

    def notify(self, body: str, subject: str | None = None) -> None:
        """Send a notification."""


@task(name="tell", task_run_name="tell-{title}")
def notify(title: str, lines: Sequence[str]) -> str:
    """Create an artifact of an alert and send it by every block named `imdb-alert`.

    Returns:
        A sentence that names the blocks.

    Raises:
        RuntimeError: If a block could not send the alert. The others are tried before.
    """
    configure_run_logging()
    heading, *paragraphs = (escape_markdown(line) for line in (title, *lines))
    create_markdown_artifact("\n\n".join([f"### {heading}", *paragraphs]), key="alert", description=heading)
    get_run_logger().warning("%s\n%s", title, "\n".join(lines))
    sent, errors = [], []
    for name, block in load_blocks():
        try:
            send(block, title, lines)
            sent.append(name)
        except Exception as error:  # every type of block raises its own errors
            errors.append(f"{name}: {type(error).__name__}: {error}")
    if errors:
        raise RuntimeError("The alert could not be sent by " + "; ".join(errors))
    return f"Sent by {', '.join(sent)}." if sent else f"Not sent: there is no block named {BLOCK_NAME}."


def load_blocks() -> list[tuple[str, Block]]:
    """Load every block named `imdb-alert`; return type and name, and the block."""
    with get_client(sync_client=True) as client:
        documents = client.read_block_documents(include_secrets=False)
    slugs = [each.block_type.slug for each in documents if each.name == BLOCK_NAME and each.block_type is not None]
    names = [f"{slug}/{BLOCK_NAME}" for slug in slugs]
    return [(name, cast(Block, Block.load(name))) for name in names]


def send(block: Block, title: str, lines: Sequence[str]) -> None:
    """Send an alert by a notification block, or as JSON by a plain webhook.

    Raises:
        TypeError: If the block is of another type.
        Exception: Of the block's own type, if it cannot send.
    """
    body = "\n".join(lines)
    if isinstance(block, Notifier):
        block.notify(body, subject=title)
    elif isinstance(block, Webhook):
        asyncio.run(block.call({"title": title, "text": body})).raise_for_status()
    else:
        raise TypeError(f"a block of type {type(block).__name__} sends no notifications")
