"""What went wrong, told to the person who can mend it."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date

import httpx

from tasks.config.escape import MESSAGE, escape_terminal

# What Prefect says of a run that ended by one of these: `NotWrittenError` is that of `tasks.storage.store`.
MISTAKE = re.compile(r"encountered an exception:? (UserError|NotWrittenError)\b")


class UserError(ValueError):
    """A mistake in parameters, files or data that the user can mend.

    The message says what was received, what is allowed, and how to mend it. It is shown
    without a traceback, and the command ends with exit code 2; with 1 where it is an `OSError` too:
    what the system refused in the middle of a run, such as to write to a full disk, is no mistake.
    """


class DamagedFileError(Exception):
    """A stored file is not what was written, or not what may be read."""


class TrialsFailedError(RuntimeError):
    """Some trials could not be trained; the others are kept and reported."""

    def __init__(self, failures: dict[str, str], summary: str = "") -> None:
        """Name each failed trial with its reason."""
        reasons = "\n".join(f"  {trial}: {reason}" for trial, reason in failures.items())
        super().__init__(f"{summary}\n{len(failures)} trainings failed:\n{reasons}\nThe same command tries them again.")


class NightFailedError(RuntimeError):
    """A nightly run lacks the score of a trial that it was asked to add."""

    def __init__(self, night: date, missing: Sequence[str], summary: str) -> None:
        """Name the trials without a score, behind the summary of those that have one."""
        super().__init__(
            f"{summary}\nThe nightly run of {night} has no score of {len(missing)} new trials: {', '.join(missing)}."
        )


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
    """Let Prefect's loggers print a traceback for the program's errors only, and nothing that a terminal acts on.

    Those above, and a server that does not answer, are told in one line.
    """
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(name)
        for each in (_drop_traceback, _escape):
            if each not in logger.filters:
                logger.addFilter(each)


def told_at_the_end() -> None:
    """Leave the words of a mistake out of the log, where Prefect has them up to four times: the command prints them."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(name)
        if _leave_to_the_end not in logger.filters:
            logger.filters.insert(0, _leave_to_the_end)  # before the one that takes the error out of the record


def _leave_to_the_end(record: logging.LogRecord) -> bool:
    if record.exc_info and isinstance(record.exc_info[1], UserError):
        return False
    text = record.getMessage()
    if text.startswith("Finished in state Failed(") and MISTAKE.search(text):
        record.msg, record.args = "Finished in state Failed()", None
    return True


def _drop_traceback(record: logging.LogRecord) -> bool:
    told = UserError | TrialsFailedError | NightFailedError | TrainingLostError | EngineLostError | httpx.TransportError
    if record.exc_info and isinstance(record.exc_info[1], told):
        record.exc_info = None
    return True


def _escape(record: logging.LogRecord) -> bool:
    record.msg, record.args = escape_terminal(record.getMessage(), MESSAGE, lines=True), None
    if record.exc_info and record.exc_info[1]:
        # Formatters take this text, where there is one.
        traceback = logging.Formatter().formatException(record.exc_info)
        record.exc_text = escape_terminal(traceback, MESSAGE, lines=True)
    return True
