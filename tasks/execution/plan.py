"""Plan of a comparison: the trials that it consists of."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

from tasks.config.recipe import Recipe
from tasks.data.records import EncodedDataset
from tasks.execution.progress import TrialsPlanned, report_event
from tasks.models.baselines import BASELINES
from tasks.models.registry import ARCHITECTURES
from tasks.storage.layout import encoded_file, reviews_file
from tasks.storage.trial_records import TrialResult, TrialSpec, select_largest_fraction
from tasks.storage.trials import find_trial
from tasks.training.trial import trial_name

BY_TRAINING_TIME = [*BASELINES, *ARCHITECTURES]  # ordered by training time
# Seeds of the trials on resamples are 1001, 1002, …: no other trial has them, and more seeds do not change them.
FIRST_RESAMPLE_SEED = 1_000
READ_THREADS = 16  # reading from a bucket is mostly waiting


def plan_trials(
    architectures: Sequence[str], seeds: Sequence[int], recipe: Recipe, encoded: Sequence[EncodedDataset], folder: Path
) -> list[TrialSpec]:
    """Return the trials of a comparison: each architecture with each seed, and each baseline once, per fraction.

    Args:
        architectures: Names of the architectures, in the order of the report.
        seeds: Seeds of each architecture.
        recipe: Hyperparameters that all networks share.
        encoded: Encoded data set of each fraction of the training reviews.
        folder: Cache folder.
    """
    largest = select_largest_fraction(encoded)
    specs = []
    for data in encoded:
        planned = plan_epochs(recipe, data)
        suffix = "" if data in largest else f"-fraction-{data.train_fraction}"
        tokens = (data.fingerprint, encoded_file(folder, data.file))
        texts = (f"{data.dataset.fingerprint} {data.train_fraction}", reviews_file(folder, data.dataset.file))
        networks = [(name, seed, *tokens) for name in architectures for seed in seeds]
        baselines = [(name, 0, *texts) for name in BASELINES]
        specs += [
            TrialSpec(
                name, seed, planned, file, data.train_fraction, f"{name}-seed-{seed}{suffix}",
                trial_name(name, seed, planned, fingerprint), folder,
            )
            for name, seed, fingerprint, file in [*networks, *baselines]
        ]  # fmt: skip
    return specs


def plan_resampled_trials(
    architectures: Sequence[str], resamples: int, recipe: Recipe, encoded: Sequence[EncodedDataset], folder: Path
) -> list[TrialSpec]:
    """Return the trials on bootstrap resamples of the training reviews: each architecture and baseline once on each.

    Each resample has a seed of its own, so that the scores vary by seed and by training reviews. All architectures
    share it. The token ids are those of the training reviews as they are.

    Args:
        architectures: Names of the architectures.
        resamples: Number of resamples, from 0.
        recipe: Hyperparameters that all networks share.
        encoded: Encoded data set of each fraction of the training reviews; the largest one is resampled.
        folder: Cache folder.
    """
    (data,) = select_largest_fraction(encoded)
    planned = plan_epochs(recipe, data)
    reviews = reviews_file(folder, data.dataset.file)
    tokens = (data.fingerprint, encoded_file(folder, data.file))
    texts = (f"{data.dataset.fingerprint} {data.train_fraction}", reviews)
    numbers = range(1, resamples + 1)
    trials = [
        *((name, FIRST_RESAMPLE_SEED + number, number, *tokens) for name in architectures for number in numbers),
        *((name, 0, number, *texts) for name in BASELINES for number in numbers),
    ]
    return [
        TrialSpec(
            name, seed, planned, file, data.train_fraction, f"{name}-seed-{seed}-resample-{number}",
            # The file of the reviews is named by a key that covers their groups.
            trial_name(name, seed, planned, f"{fingerprint} {reviews.name} resample {number}", resampled=True),
            folder, number, reviews,
        )
        for name, seed, number, fingerprint, file in trials
    ]  # fmt: skip


def plan_epochs(recipe: Recipe, data: EncodedDataset) -> Recipe:
    """Return the recipe with the number of epochs that it stands for with these training reviews."""
    reviews = round(data.train_fraction * data.dataset.rows["train"])
    return recipe.model_copy(update={"epochs": recipe.planned_epochs(reviews)})


def training_time_rank(architecture: str) -> int:
    """Return the rank of an architecture by training time, from 0; user-defined architectures rank last."""
    return BY_TRAINING_TIME.index(architecture) if architecture in BY_TRAINING_TIME else len(BY_TRAINING_TIME)


def find_cached_trials(specs: Sequence[TrialSpec]) -> dict[str, TrialResult]:
    """Return the results of the trials that are in the cache and not damaged, by the name of the trial."""
    with ThreadPoolExecutor(READ_THREADS) as pool:
        # In a copy of the context, so that warnings appear in the log of the flow run.
        futures = [pool.submit(copy_context().run, find_trial, spec.folder, spec.name) for spec in specs]
        found = {spec.name: future.result() for spec, future in zip(specs, futures, strict=True)}
    cached = {name: result for name, result in found.items() if result is not None}
    report_event(TrialsPlanned(len(found), len(cached)))
    return cached


def most_expensive_first(specs: Sequence[TrialSpec]) -> list[TrialSpec]:
    """Return distinct trials in the order of their start: long ones first, so that no core is idle at the end.

    Two fractions with the same reviews share one trial.
    """
    distinct = {spec.name: spec for spec in specs}.values()
    return sorted(distinct, key=lambda spec: (-spec.train_fraction, -training_time_rank(spec.architecture)))
