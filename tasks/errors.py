"""What went wrong, told to the person who can mend it."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx


class UserError(ValueError):
    """A mistake in parameters, files or data that the user can mend.

    The message says what was received, what is allowed, and how to mend it. It is shown
    without a traceback, and the command ends with exit code 2.
    """


class DamagedFileError(Exception):
    """A stored file is not what was written, or not what may be read."""


class CellsFailedError(RuntimeError):
    """Some cells could not be trained; the others are kept and reported."""

    def __init__(self, failures: dict[str, str], summary: str = "") -> None:
        """Name each failed cell with its reason."""
        reasons = "\n".join(f"  {cell}: {reason}" for cell, reason in failures.items())
        super().__init__(f"{summary}\n{len(failures)} trainings failed:\n{reasons}\nThe same command tries them again.")


class TrainingLostError(RuntimeError):
    """One training ended for want of memory or time, or with its process; told in one sentence."""


class EngineLostError(RuntimeError):
    """What runs the trainings is gone; told in one sentence."""


@contextmanager
def telling_of_memory() -> Iterator[None]:
    """Say what a training needed when there is not enough memory for it, and what to do.

    Raises:
        TrainingLostError: In place of what Python, NumPy, Arrow or TensorFlow raise then.
    """
    try:
        yield
    except Exception as error:
        # By its name: nothing but a training loads TensorFlow.
        if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
            words = re.sub(r"^\{\{.*?\}\} ", "", str(getattr(error, "message", error)).strip())  # where in the graph
            needed = words.partition("\n")[0] or "nothing more is known"
            what = f"out of memory ({needed[:300]}). Try fewer --workers, a smaller --batch-size, or fewer --units"
            raise TrainingLostError(what) from None
        raise


def without_tracebacks_for_mistakes() -> None:
    """Let Prefect's loggers print a traceback for the program's errors only.

    Those above, and a server that does not answer, are told in one line.
    """
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(name)
        if _drop_traceback not in logger.filters:
            logger.addFilter(_drop_traceback)


def _drop_traceback(record: logging.LogRecord) -> bool:
    told = UserError | CellsFailedError | TrainingLostError | EngineLostError | httpx.TransportError
    if record.exc_info and isinstance(record.exc_info[1], told):
        record.exc_info = None
    return True
