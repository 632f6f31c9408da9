"""Progress of a run: its trials, counted by events, and how rich renders them."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, replace

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tasks.config.escape import escape_terminal
from tasks.execution.progress import (
    EpochFinished,
    Event,
    TrialFinished,
    TrialsPlanned,
    TrialStarted,
)

NARROW = 60  # columns; below it, bars and training losses are left out
LABEL_SHARE = 0.45  # of the width, at most
RESERVED_LINES = 4  # for the header, the overall progress, the number of hidden trials and the cursor


@dataclass(frozen=True)
class RunningTrial:
    """A trial that is being trained.

    Attributes:
        label: Label of the trial.
        started: Start time, by the monotonic clock.
        epochs: Maximum number of epochs; 0 for a baseline.
        epoch: Number of epochs finished.
        train_loss: Training loss of the last epoch; None before the first.
        validation_accuracy: Validation accuracy after the last epoch, 0 to 1; None before the first.
    """

    label: str
    started: float
    epochs: int
    epoch: int = 0
    train_loss: float | None = None
    validation_accuracy: float | None = None


class RunProgress:
    """Progress of a run, updated by events of any thread and rendered by rich."""

    def __init__(self, started: float) -> None:
        """Start without trials at a time of the monotonic clock."""
        self.started = started
        self.planned: TrialsPlanned | None = None
        self.training_started = self.last_finished = started
        self.running: dict[str, RunningTrial] = {}
        self.outcomes: dict[str, str] = {}
        self._baselines = 0  # finished, without the cached ones
        self._lock = threading.Lock()

    def update(self, event: Event, now: float) -> None:
        """Apply an event that happened at `now`, by the monotonic clock."""
        with self._lock:
            match event:
                case TrialsPlanned():
                    self.training_started = now if self.planned is None else self.training_started
                    self.planned = event
                case TrialStarted(label, epochs):
                    self.running[label] = RunningTrial(label, now, epochs)
                case EpochFinished(label, epoch, epochs, train_loss, _, accuracy):
                    running = self.running.get(label) or RunningTrial(label, now, epochs)
                    self.running[label] = replace(
                        running, epoch=epoch, epochs=epochs, train_loss=train_loss, validation_accuracy=accuracy
                    )
                case TrialFinished(label, outcome):
                    trial = self.running.pop(label, None)
                    self._baselines += bool(trial and not trial.epochs)
                    self.outcomes[label] = outcome
                    self.last_finished = now if outcome != "cached" else self.last_finished

    def counts(self) -> tuple[int, int, int, int]:
        """Return the numbers of trials: finished, in total, cached, and failed.

        Diverged trials are finished and not failed. A trial counts as cached by the plan, before its task has run.
        """
        with self._lock:
            found = Counter(self.outcomes.values())
            total, planned = (self.planned.total, self.planned.cached) if self.planned else (0, 0)
        cached = max(planned, found["cached"])
        return cached + found.total() - found["cached"], total, cached, found["failed"]

    def remaining_minutes(self) -> float | None:
        """Return an upper bound of the remaining training time in minutes; None before the first network has ended.

        Networks start in the order of their duration, longest first, so their mean so far is an upper bound.
        """
        finished, total, cached, _ = self.counts()
        trained = finished - cached - self._baselines
        if trained < 1:
            return None
        return (self.last_finished - self.training_started) / trained * max(0, total - finished) / 60

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render one row for each running trial that fits, and the overall progress."""
        now = time.monotonic()
        with self._lock:
            running = list(self.running.values())
        shown = running[: max(1, console.size.height - RESERVED_LINES)]
        if shown:
            yield trial_table(shown, now, options.max_width)
        if len(running) > len(shown):
            yield Text(f"and {len(running) - len(shown)} more", style="dim")
        yield overall_progress(self, now, options.max_width)


def trial_table(trials: list[RunningTrial], now: float, width: int) -> Table:
    """Return a table of running trials.

    Args:
        trials: The trials.
        now: Current time, by the monotonic clock.
        width: Width of the terminal, in columns.
    """
    wide = width >= NARROW
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=wide)
    table.add_column("Trial", no_wrap=True, overflow="ellipsis", max_width=int(width * LABEL_SHARE))
    if wide:
        table.add_column("", ratio=1)
    table.add_column("Epoch", justify="right", no_wrap=True)
    if wide:
        table.add_column("Loss", justify="right", no_wrap=True)
    table.add_column("Val. acc." if wide else "Acc.", justify="right", no_wrap=True)
    table.add_column("Time", justify="right", no_wrap=True)
    for trial in trials:
        epoch = f"{trial.epoch}/{trial.epochs}" if trial.epochs else ""
        bar = ProgressBar(total=trial.epochs or None, completed=trial.epoch, pulse=not trial.epochs)
        cells: list[RenderableType] = [
            Text(escape_terminal(trial.label)), bar, epoch, format_score(trial.train_loss),
            format_score(trial.validation_accuracy), format_duration(now - trial.started),
        ]  # fmt: skip
        table.add_row(*(cells if wide else [cells[0], cells[2], *cells[4:]]))
    return table


def overall_progress(progress: RunProgress, now: float, width: int) -> Table:
    """Return the line of overall progress: a bar in a wide terminal, and the state of the run as text."""
    finished, total, _, _ = progress.counts()
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    if width >= NARROW:
        table.add_column(width=width // 8)
    table.add_column(ratio=1)
    text = Text(describe_progress(progress, now))
    bar = ProgressBar(total=total or None, completed=finished, pulse=not total)
    table.add_row(*([bar, text] if width >= NARROW else [text]))
    return table


def describe_progress(progress: RunProgress, now: float) -> str:
    """Return the state of a run as one sentence without a full stop.

    Args:
        progress: Progress of the run.
        now: Current time, by the monotonic clock.
    """
    finished, total, cached, failed = progress.counts()
    elapsed = format_duration(now - progress.started)
    if not progress.planned:
        return f"Starting, {elapsed}"
    parts = [f"{finished} of {total} trials"]
    parts += [f"{cached} cached"] if cached else []
    parts += [f"{failed} failed"] if failed else []
    minutes = progress.remaining_minutes()
    if finished >= total:
        parts.append("evaluating")
    elif minutes is not None:
        parts.append(f"at most {minutes:.0f} min left" if minutes >= 1 else "less than 1 min left")
    return ", ".join([*parts, elapsed])


def format_score(score: float | None) -> str:
    """Format a loss or an accuracy with three decimals; nothing for None."""
    return "" if score is None else f"{score:.3f}"


def format_duration(seconds: float) -> str:
    """Format a duration as minutes and seconds, 2:05, with hours if there are any, 1:02:05."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
