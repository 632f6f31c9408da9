"""Submission of the `train` tasks of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefect.futures import PrefectFuture

from flows.trials.experiment import Experiment
from tasks.data.records import Dataset
from tasks.evaluate import load_libraries
from tasks.execution.executor import WorkerPool
from tasks.execution.outcomes import SearchOutcome
from tasks.execution.plan import find_cached_trials, plan_baselines, starting_order
from tasks.execution.progress import TrialsPlanned, report_event
from tasks.storage.trial_records import TrialResult, TrialSpec
from tasks.train import train


@dataclass(frozen=True)
class SubmittedTrials:
    """Trials that were submitted.

    Attributes:
        futures: Future of each trial by its name.
        cached: Number of trials that are in the cache.
    """

    futures: Mapping[str, PrefectFuture[TrialResult]]
    cached: int

    @property
    def has_training(self) -> bool:
        """Return whether a trial is not in the cache."""
        return self.cached < len(self.futures)


def submit_baselines(
    experiment: Experiment, dataset: Dataset, pool: WorkerPool, loading: PrefectFuture[Any]
) -> SubmittedTrials:
    """Submit the baselines. They read texts, so they need not wait until the reviews are encoded."""
    fractions = experiment.parameters.train_fractions
    specs = plan_baselines(dataset, fractions, experiment.recipe, experiment.cache)
    cached = find_cached_trials(specs)
    return SubmittedTrials(submit_trials(specs, cached, pool, [loading]), len(cached))


def submit_remaining(
    specs: Sequence[TrialSpec],
    baselines: SubmittedTrials,
    search: SearchOutcome,
    pool: WorkerPool,
    encodings: Sequence[PrefectFuture[Any]],
) -> SubmittedTrials:
    """Submit the trials that were not submitted before, and load the libraries of the statistics meanwhile.

    Args:
        specs: All trials that are compared.
        baselines: Those that were submitted before.
        search: The search before them, whose trials count as well in what is reported.
        pool: Workers that train them.
        encodings: Tasks whose results they read.

    Returns:
        All trials, with those that were submitted before.
    """
    waiting = [spec for spec in specs if spec.name not in baselines.futures]
    found = find_cached_trials(waiting)
    cached = baselines.cached + len(found)
    report_event(TrialsPlanned(len({spec.name for spec in specs}) + search.trials, cached + search.cached))
    trials = SubmittedTrials({**baselines.futures, **submit_trials(waiting, found, pool, encodings)}, cached)
    if trials.has_training:
        load_libraries()  # they are there already if the run waited for the start of a server
    return trials


def submit_trials(
    specs: Sequence[TrialSpec],
    cached: Mapping[str, TrialResult],
    pool: WorkerPool,
    wait_for: Sequence[PrefectFuture[Any]],
) -> dict[str, PrefectFuture[TrialResult]]:
    """Submit the task of each trial in the order of `starting_order`, and return the futures by the name of the trial.

    Args:
        specs: The trials.
        cached: Results of those that are in the cache, by name.
        pool: Workers that train the others.
        wait_for: Tasks whose results the trials read.
    """
    return {
        spec.name: pool.submit(train, wait_for, spec=spec, cached=cached.get(spec.name))
        for spec in starting_order(specs)
    }
