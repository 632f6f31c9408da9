"""The search for configurations, before the trials that are compared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.trials.submission import submit_trials
from tasks.config.parameters import Parameters
from tasks.data.records import EncodedDataset
from tasks.execution.executor import Executor
from tasks.execution.outcomes import SearchOutcome, collect_trials
from tasks.execution.plan import count_compared_trials, find_cached_trials, plan_tuning_trials
from tasks.execution.progress import TrialsPlanned, report_event
from tasks.storage.layout import cache_dir
from tasks.tuning.stored_searches import read_searches, store_searches
from tasks.tuning.table import searches_without_result, tuning_table


def search_configurations(
    parameters: Parameters,
    encoded: Sequence[EncodedDataset],
    results: Path,
    executor: Executor,
    in_workers: ThreadPoolTaskRunner[Any],
    encodings: Sequence[PrefectFuture[Any]],
) -> SearchOutcome:
    """Try the configurations of each architecture. A nightly run reuses an earlier search with the same settings.

    Args:
        parameters: Parameters of the run.
        encoded: Encoded data set of each fraction of the training reviews.
        results: The results folder.
        executor: Runs the trainings.
        in_workers: Task runner with a thread for each worker of the executor.
        encodings: Tasks whose results the trials read.
    """
    cache, vectors = cache_dir(results), encoded[0].vectors.sha256 if encoded[0].vectors else None
    is_reused = parameters.tune > 0 and parameters.new_seeds > 0 and not parameters.retune
    known = read_searches(parameters, results, vectors) if is_reused else tuning_table([], [], cache)
    searched = [name for name in parameters.architectures if parameters.tune and name not in set(known["architecture"])]
    if not searched:
        return SearchOutcome(known)
    specs = plan_tuning_trials(searched, parameters.tune, parameters.recipe(), encoded, cache)
    cached, following = find_cached_trials(specs), count_compared_trials(parameters)
    report_event(TrialsPlanned(len(specs) + following, len(cached)))
    trained = collect_trials(specs, submit_trials(specs, cached, executor, in_workers, *encodings), following)
    table = tuning_table(specs, trained.results, cache)
    store_searches(parameters, results, table, vectors)
    failures = trained.failures | searches_without_result(table)
    return SearchOutcome(pd.concat([known, table], ignore_index=True), failures, len(specs), len(cached))
