"""The search for configurations, before the trials that are compared."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger

from flows.trials.experiment import Experiment
from flows.trials.submission import submit_trials
from tasks.data.records import EncodedDataset
from tasks.execution.executor import WorkerPool
from tasks.execution.outcomes import SearchOutcome, collect_trials
from tasks.execution.plan import count_compared_trials, find_cached_trials, plan_tuning_trials
from tasks.execution.progress import TrialsPlanned, report_event
from tasks.tuning.stored_searches import read_searches, store_searches
from tasks.tuning.table import describe_selected, searches_without_result, tuning_table


def search_configurations(
    experiment: Experiment,
    encoded: Sequence[EncodedDataset],
    pool: WorkerPool,
    encodings: Sequence[PrefectFuture[Any]],
) -> SearchOutcome:
    """Try the configurations of each architecture, if the run has a search, and log which ones are selected.

    A nightly run reuses an earlier search with the same settings.

    Args:
        experiment: What the run compares.
        encoded: Encoded data set of each fraction of the training reviews.
        pool: Workers that train the trials.
        encodings: Tasks whose results the trials read.
    """
    parameters, results = experiment.parameters, experiment.results
    is_reused = parameters.tune > 0 and parameters.new_seeds > 0 and not parameters.retune
    known = tuning_table([], [], experiment.cache)
    if is_reused:
        known = read_searches(parameters, results, _vectors_sha256(encoded))
    searched = [name for name in parameters.architectures if parameters.tune and name not in set(known["architecture"])]
    outcome = _search(experiment, searched, known, encoded, pool, encodings) if searched else SearchOutcome(known)
    for sentence in describe_selected(outcome.table):
        get_run_logger().info("%s", sentence)
    return outcome


def _search(
    experiment: Experiment,
    architectures: Sequence[str],
    known: pd.DataFrame,
    encoded: Sequence[EncodedDataset],
    pool: WorkerPool,
    encodings: Sequence[PrefectFuture[Any]],
) -> SearchOutcome:
    """Train the trials of a search, and store it; `known` are those of the other architectures."""
    parameters, cache = experiment.parameters, experiment.cache
    specs = plan_tuning_trials(architectures, parameters.tune, experiment.recipe, encoded, cache)
    cached, following = find_cached_trials(specs), count_compared_trials(parameters)
    report_event(TrialsPlanned(len(specs) + following, len(cached)))
    trained = collect_trials(specs, submit_trials(specs, cached, pool, encodings), following)
    table = tuning_table(specs, trained.results, cache)
    store_searches(parameters, experiment.results, table, _vectors_sha256(encoded))
    failures = trained.failures | searches_without_result(table)
    return SearchOutcome(pd.concat([known, table], ignore_index=True), failures, len(specs), len(cached))


def _vectors_sha256(encoded: Sequence[EncodedDataset]) -> str | None:
    """Return the SHA-256 of the file of word vectors, which is the same for all fractions; None without one."""
    vectors = encoded[0].vectors
    return vectors.sha256 if vectors else None
