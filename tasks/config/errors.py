"""Exceptions of this project."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date


class UserError(ValueError):
    """An error in parameters, files or data that the user can fix.

    The message says what was received, what is allowed and how to fix it. It is shown without a traceback, and the
    command ends with exit code 2.
    """


class NotWrittenError(UserError, OSError):
    """A file could not be written, because the disk is full or the directory is not writable.

    It is shown like a `UserError`, but the command ends with exit code 1: a full disk during a run is a failure.
    """


class DamagedFileError(Exception):
    """A stored file does not match its checksum, is not valid, or is beyond a limit."""


class MissingFileError(FileNotFoundError):
    """A stored file that must exist does not, or only a part of it was written.

    Other missing files, such as one of the program itself, are faults and raise a plain `FileNotFoundError`.
    """


class TrialsFailedError(RuntimeError):
    """Some trials failed. The others are stored and reported."""

    def __init__(self, failures: dict[str, str], summary: str = "") -> None:
        """Create the message.

        Args:
            failures: Reason of the failure by trial, or by architecture if its search has selected no configuration.
            summary: Summary of the other trials, printed first.
        """
        reasons = "\n".join(f"  {trial}: {reason}" for trial, reason in failures.items())
        repeat = "Run the same command again to repeat trainings that failed."
        super().__init__(f"{summary}\nThese trainings failed:\n{reasons}\n{repeat}")


class NightlyRunIncompleteError(RuntimeError):
    """A nightly run has no score of one of its new trials."""

    def __init__(self, nightly_date: date, missing: Sequence[str], summary: str) -> None:
        """Create the message.

        Args:
            nightly_date: Date of the nightly run.
            missing: New trials without a score.
            summary: Summary of the other trials, printed first.
        """
        trials = f"{len(missing)} new trials: {', '.join(missing)}"
        super().__init__(f"{summary}\nThe nightly run of {nightly_date} has no score of {trials}.")


class TrialAbortedError(RuntimeError):
    """A trial ended because of missing memory, its time limit, or the death of its worker process."""


class WorkerDiedError(TrialAbortedError):
    """The worker process of a trial died."""

    def __init__(self) -> None:
        """Create the message."""
        super().__init__(
            "its worker process died (killed, or out of memory: try fewer `workers` or a smaller `batch_size`)"
        )


class TrialTimeoutError(TrialAbortedError, TimeoutError):
    """A trial exceeded its time limit."""

    def __init__(self, minutes: float | None) -> None:
        """Create the message.

        Args:
            minutes: The time limit.
        """
        super().__init__(f"it ran longer than {minutes:g} minutes (`trial_timeout_minutes`)")


class ExecutorLostError(RuntimeError):
    """The executor that runs the trials does not answer."""


@contextmanager
def translate_out_of_memory() -> Iterator[None]:
    """Raise one error with advice when a training needs more memory than there is.

    Raises:
        TrialAbortedError: Instead of the errors of Python, NumPy, Arrow or TensorFlow.
    """
    try:
        yield
    except Exception as error:
        # TensorFlow's error is recognized by its name, because importing TensorFlow takes seconds.
        if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
            message = str(getattr(error, "message", error)).strip()
            message = re.sub(r"^\{\{.*?\}\} ", "", message)  # the position in TensorFlow's graph
            detail = message.partition("\n")[0] or "no details"
            advice = "Try fewer `workers`, a smaller `batch_size`, or fewer `units`"
            raise TrialAbortedError(f"out of memory ({detail[:300]}). {advice}") from None
        raise
