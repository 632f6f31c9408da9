"""Events of a run, for displays of its progress.

They are log records of the logger `EVENT_LOGGER`, with the event as their attribute `event`. They are emitted in
threads of the flow process, never in worker processes.
"""

import logging
from dataclasses import dataclass

EVENT_LOGGER = "tasks.execution.progress"
logger = logging.getLogger(EVENT_LOGGER)


@dataclass(frozen=True)
class TrialsPlanned:
    """The trials of a run are known; emitted once per run, and with a search also when it starts.

    Attributes:
        total: Number of trials.
        cached: How many of them are in the cache.
    """

    total: int
    cached: int

    def __str__(self) -> str:
        """Return the event as a sentence."""
        return f"{self.cached} of {self.total} trials are in the cache; training {self.total - self.cached}."


@dataclass(frozen=True)
class TrialStarted:
    """The training of a trial starts, or starts again after a failed attempt.

    Attributes:
        label: Label of the trial, such as lstm-seed-0.
        epochs: Maximum number of epochs; 0 for a baseline.
    """

    label: str
    epochs: int

    def __str__(self) -> str:
        """Return the event as a sentence."""
        return f"{self.label} started"


@dataclass(frozen=True)
class EpochFinished:
    """A network was trained for one more epoch.

    Attributes:
        label: Label of the trial.
        epoch: Number of the epoch, from 1.
        epochs: Maximum number of epochs.
        train_loss: Mean training loss, in nats.
        validation_loss: Validation loss, in nats.
        validation_accuracy: Validation accuracy, 0 to 1.
    """

    label: str
    epoch: int
    epochs: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float

    def __str__(self) -> str:
        """Return the event as a sentence."""
        return (
            f"{self.label}: epoch {self.epoch} of at most {self.epochs}: training loss {self.train_loss:.3f}, "
            f"validation loss {self.validation_loss:.3f}, validation accuracy {self.validation_accuracy:.3f}"
        )


@dataclass(frozen=True)
class TrialFinished:
    """A trial ended.

    Attributes:
        label: Label of the trial.
        outcome: "trained", "cached", "diverged" or "failed".
    """

    label: str
    outcome: str

    def __str__(self) -> str:
        """Return the event as a sentence."""
        return f"{self.label}: {self.outcome}"


Event = TrialsPlanned | TrialStarted | EpochFinished | TrialFinished


def report_event(event: Event) -> None:
    """Log an event on `EVENT_LOGGER`; the message is a plain sentence.

    The start and end of a trial have the level DEBUG, because Prefect logs the states of its task.
    """
    level = logging.INFO if isinstance(event, TrialsPlanned | EpochFinished) else logging.DEBUG
    logger.log(level, "%s", event, extra={"event": event})
