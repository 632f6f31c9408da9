"""When a failed trial (`tasks.train`) or figure (`tasks.plot`) is started again."""

from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from tasks.config.errors import TrialTimeoutError, WorkerDiedError

MAX_ATTEMPTS = 3  # at a trial or figure whose worker dies or exceeds the time limit


def lost_its_worker(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether a task failed with its worker: only then may another attempt succeed."""
    return isinstance(state.data, WorkerDiedError | TrialTimeoutError)
