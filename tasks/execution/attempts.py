"""Attempts at trials: their outcomes, retries after the death of a worker process, and the states of task runs."""

import logging
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Crashed

from tasks.config.errors import TrialAbortedError
from tasks.storage.trial_records import TrialResult, TrialSpec

MAX_ATTEMPTS = 3
PROCESS_DIED = "its process died"
Worker = TypeVar("Worker")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PendingTrial:
    """A trial that waits for a worker.

    Attributes:
        spec: The trial.
        failures: Reason of each attempt that ended with the death of its worker process.
    """

    spec: TrialSpec
    failures: tuple[str, ...] = ()


@dataclass
class Attempt(Generic[Worker]):
    """A running attempt at a trial.

    Attributes:
        spec: The trial.
        worker: Worker that runs the attempt.
        failures: Reasons of the earlier attempts that failed.
        started: Start time, by the monotonic clock.
        timed_out: Whether the attempt exceeded the time limit and its worker was killed for that.
    """

    spec: TrialSpec
    worker: Worker
    failures: tuple[str, ...]
    started: float = field(default_factory=time.monotonic)
    timed_out: bool = False

    def failure_reason(self, timeout_minutes: float) -> str:
        """Return why the worker process of this attempt died."""
        if self.timed_out:
            return f"it ran longer than {timeout_minutes:g} minutes (--trial-timeout-minutes)"
        return PROCESS_DIED


@dataclass(frozen=True)
class TrialOutcome:
    """The end of a trial.

    Attributes:
        spec: The trial.
        result: Result of the task; None if it failed.
        error: Exception of the task, or a `TrialAbortedError` if no attempt is left; None if it succeeded.
        task_run_id: Prefect's task run of the last attempt; None if that attempt did not end by itself.
        failures: Reason of each attempt that ended with the death of its worker process.
    """

    spec: TrialSpec
    result: TrialResult | None = None
    error: Exception | None = None
    task_run_id: UUID | None = None
    failures: tuple[str, ...] = ()


def result_of(future: Any) -> Any:
    """Wait for a future and return its result, or its exception if it failed."""
    try:
        return future.result()
    except Exception as error:
        return error


def ended_outcome(attempt: Attempt[Any], result: Any, task_run_id: UUID) -> TrialOutcome:
    """Return the outcome of an attempt that ended by itself.

    Args:
        attempt: The attempt.
        result: Its result or exception, see `result_of`.
        task_run_id: Its task run.
    """
    if isinstance(result, Exception):
        return TrialOutcome(attempt.spec, error=result, task_run_id=task_run_id, failures=attempt.failures)
    return TrialOutcome(attempt.spec, result=result, task_run_id=task_run_id, failures=attempt.failures)


def retry(
    attempt: Attempt[Any], reason: str, pending: deque[PendingTrial], max_attempts: int = MAX_ATTEMPTS
) -> TrialOutcome | None:
    """Append a trial to `pending` after a failed attempt, or return its outcome if no attempt is left."""
    failures = (*attempt.failures, reason)
    logger.warning("%s: %s (attempt %d of %d).", attempt.spec.label, reason, len(failures), max_attempts)
    if len(failures) < max_attempts:
        pending.append(PendingTrial(attempt.spec, failures))
        return None
    return TrialOutcome(attempt.spec, error=TrialAbortedError(describe_failures(failures)), failures=failures)


def describe_failures(failures: Sequence[str]) -> str:
    """Format the reasons of failed attempts with their number, and a hint if a process died."""
    counts = Counter(failures).items()
    text = ", ".join(f"{reason} {count} {'time' if count == 1 else 'times'}" for reason, count in counts)
    if PROCESS_DIED not in failures:
        return text
    return f"{text} (killed, or out of memory: try fewer --workers or a smaller --batch-size)"


def mark_crashed(reasons: dict[UUID, str]) -> None:
    """Set the state of task runs whose process died to Crashed. Otherwise Prefect would show them as running forever.

    The server learns of a task run shortly after its start. A task run that it does not know yet stays in `reasons`, as
    do all of them if the server does not respond; the next call tries again, and no call waits.

    Args:
        reasons: Reason by task run. Entries whose state was set are removed.
    """
    without_retries = temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0})
    with suppress(httpx.HTTPError), without_retries, get_client(sync_client=True) as client:
        for task_run, reason in list(reasons.items()):
            with suppress(ObjectNotFound):
                client.set_task_run_state(task_run, Crashed(message=reason), force=True)
                del reasons[task_run]
