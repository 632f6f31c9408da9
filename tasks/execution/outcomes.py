"""Outcomes of the trials of a run, collected from their Prefect futures."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from prefect.futures import PrefectFuture, as_completed
from prefect.logging import get_run_logger

from tasks.config.errors import ExecutorLostError, TrialAbortedError, TrialTimeoutError, WorkerDiedError
from tasks.config.labels import BASELINE_NAMES
from tasks.execution.retries import MAX_ATTEMPTS
from tasks.storage.trial_records import TrialResult, TrialSpec, select_compared
from tasks.storage.trials import architecture_of

FROM_SPEC = ("train_fraction", "resample", "configuration")  # what the name of a trial does not tell


@dataclass(frozen=True)
class TrialOutcomes:
    """Outcomes of all trials of a comparison.

    Attributes:
        results: Result of each trial that succeeded, in the order of the plan.
        failures: Reason by label of each trial that failed.
        succeeded: Futures of the trials that succeeded.
    """

    results: list[TrialResult]
    failures: dict[str, str]
    succeeded: list[PrefectFuture[TrialResult]]

    @property
    def has_networks(self) -> bool:
        """Return whether a network that is compared has succeeded."""
        return any(trial.architecture not in BASELINE_NAMES for trial in select_compared(self.results))


@dataclass(frozen=True)
class SearchOutcome:
    """Outcome of the searches of all architectures.

    Attributes:
        table: The table `tuning`, see `tasks.tuning.table`.
        failures: Reason by label of each trial that failed, and by display name of each architecture whose search
            selected nothing.
        trials: Number of trials of the searches; those of a search that is reused do not count.
        cached: How many of them were in the cache.
    """

    table: pd.DataFrame
    failures: dict[str, str] = field(default_factory=dict)
    trials: int = 0
    cached: int = 0


def collect_trials(
    specs: Sequence[TrialSpec], futures: Mapping[str, PrefectFuture[TrialResult]], following: int = 0
) -> TrialOutcomes:
    """Wait for trials, and return their outcomes.

    Args:
        specs: The trials. Two with the same name share a future, and differ only in their train fraction.
        futures: Future by the name of the trial.
        following: Number of trials of the run that start after these, for the log.

    Raises:
        ExecutorLostError: If there is no executor any more.
    """
    outcomes = _wait_for_all(futures, following)
    results = [
        result.model_copy(update={name: getattr(spec, name) for name in FROM_SPEC})
        for spec in specs if isinstance(result := outcomes[spec.name], TrialResult)
    ]  # fmt: skip
    failures = {
        spec.label: _reason(error)
        for spec in specs if isinstance(error := outcomes[spec.name], Exception)
    }  # fmt: skip
    succeeded = [futures[name] for name, outcome in outcomes.items() if isinstance(outcome, TrialResult)]
    return TrialOutcomes(results, failures, succeeded)


def _wait_for_all(
    futures: Mapping[str, PrefectFuture[TrialResult]], following: int
) -> dict[str, TrialResult | Exception]:
    """Wait for futures, log the progress of those that are not cached, and return each result or exception by name."""
    names = {future.task_run_id: name for name, future in futures.items()}
    outcomes: dict[str, TrialResult | Exception] = {}
    started, cached, networks = time.monotonic(), 0, 0
    for future in as_completed(list(futures.values())):
        name = names[future.task_run_id]
        outcomes[name] = _outcome(future)
        if future.state.name == "Cached":
            cached += 1
            continue
        networks += architecture_of(name) not in BASELINE_NAMES
        done, left = len(outcomes) - cached, len(futures) - len(outcomes) + following
        # Networks start in the order of their duration, longest first, so their mean so far is an upper bound.
        minutes = (time.monotonic() - started) / networks * left / 60 if networks else None
        remaining = "" if minutes is None else f", at most about {minutes:.0f} min left"
        get_run_logger().info("%d of %d trainings done%s", done, done + left, remaining)
    return outcomes


def _outcome(future: PrefectFuture[Any]) -> TrialResult | Exception:
    """Return the result of a future that is done, or its exception.

    Raises:
        ExecutorLostError: If this is the exception.
    """
    try:
        result: TrialResult = future.result()
        return result
    except ExecutorLostError:
        raise
    except Exception as error:
        return error


def _reason(error: Exception) -> str:
    """Format why a trial failed."""
    if isinstance(error, WorkerDiedError | TrialTimeoutError):
        return f"{error}, in the last of {MAX_ATTEMPTS} attempts"
    return str(error) if isinstance(error, TrialAbortedError) else f"{type(error).__name__}: {error}"
