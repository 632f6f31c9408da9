"""Plan of a comparison: the trials that it consists of."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

from tasks.config.parameters import Parameters
from tasks.config.recipe import Recipe
from tasks.data.records import Dataset, EncodedDataset
from tasks.models.baselines import BASELINES
from tasks.models.registry import ARCHITECTURES
from tasks.storage.layout import encoded_file, reviews_file, vectors_file
from tasks.storage.trial_records import TrialResult, TrialSpec, select_largest_fraction
from tasks.storage.trials import find_trial
from tasks.training.trial import trial_name
from tasks.tuning.search_space import TUNING_SEED, sample_configurations

BY_TRAINING_TIME = [*BASELINES, *ARCHITECTURES]  # ordered by training time
# Seeds of the trials on resamples are 1001, 1002, …: no other trial has them, and more seeds do not change them.
FIRST_RESAMPLE_SEED = 1_000
READ_THREADS = 16  # reading from a bucket is mostly waiting


def plan_trials(
    recipes: Mapping[str, Recipe],
    seeds: Sequence[int],
    recipe: Recipe,
    encoded: Sequence[EncodedDataset],
    folder: Path,
) -> list[TrialSpec]:
    """Return the trials of a comparison: each architecture with each seed, and each baseline once, per fraction.

    Args:
        recipes: Recipe of each architecture, in the order of the report.
        seeds: Seeds of each architecture.
        recipe: The shared recipe, of which the baselines use a part.
        encoded: Encoded data set of each fraction of the training reviews.
        folder: Cache folder.
    """
    fractions = [data.train_fraction for data in encoded]
    baselines = plan_baselines(encoded[0].dataset, fractions, recipe, folder)
    specs = []
    for data in encoded:
        fraction, classes = data.train_fraction, len(data.dataset.classes)
        suffix = "" if fraction == max(fractions) else f"-fraction-{fraction}"
        specs += [
            TrialSpec(
                name, seed, planned, encoded_file(folder, data.file), fraction, f"{name}-seed-{seed}{suffix}",
                trial_name(name, seed, planned, data.fingerprint, classes=classes, vectors=vectors_key(data)), folder,
                reviews=reviews_file(folder, data.dataset.file), classes=classes, **vectors_of(data, folder),
            )
            for name in recipes for planned in [plan_epochs(recipes[name], data.dataset, fraction)] for seed in seeds
        ]  # fmt: skip
        specs += [spec for spec in baselines if spec.train_fraction == fraction]
    return specs


def plan_baselines(dataset: Dataset, fractions: Sequence[float], recipe: Recipe, folder: Path) -> list[TrialSpec]:
    """Return the baselines of a comparison, each once per fraction. They read texts, which need not be encoded.

    Args:
        dataset: The loaded reviews.
        fractions: Shares of the training reviews; labels name all but the largest.
        recipe: Hyperparameters.
        folder: Cache folder.
    """
    reviews, classes = reviews_file(folder, dataset.file), len(dataset.classes)
    return [
        TrialSpec(
            name, 0, planned, reviews, fraction,
            f"{name}-seed-0" + ("" if fraction == max(fractions) else f"-fraction-{fraction}"),
            trial_name(name, 0, planned, f"{dataset.fingerprint} {fraction}", classes=classes), folder,
            reviews=reviews, classes=classes,
        )
        for fraction in fractions for planned in [plan_epochs(recipe, dataset, fraction)]
        for name in BASELINES
    ]  # fmt: skip


def plan_resampled_trials(
    recipes: Mapping[str, Recipe],
    resamples: int,
    recipe: Recipe,
    encoded: Sequence[EncodedDataset],
    folder: Path,
) -> list[TrialSpec]:
    """Return the trials on bootstrap resamples of the training reviews: each architecture and baseline once on each.

    Each resample has a seed of its own, so that the scores vary by seed and by training reviews. All architectures
    share it. The token ids are those of the training reviews as they are.

    Args:
        recipes: Recipe of each architecture.
        resamples: Number of resamples, from 0.
        recipe: The shared recipe, of which the baselines use a part.
        encoded: Encoded data set of each fraction of the training reviews; the largest one is resampled.
        folder: Cache folder.
    """
    (data,) = select_largest_fraction(encoded)
    planned = {
        name: plan_epochs(each, data.dataset, data.train_fraction)
        for name, each in {**recipes, **dict.fromkeys(BASELINES, recipe)}.items()
    }
    classes = len(data.dataset.classes)
    reviews = reviews_file(folder, data.dataset.file)
    tokens = (data.fingerprint, encoded_file(folder, data.file), vectors_key(data), vectors_of(data, folder))
    texts: tuple[str, Path, str, dict[str, Any]]
    texts = (f"{data.dataset.fingerprint} {data.train_fraction}", reviews, "", {})
    numbers = range(1, resamples + 1)
    trials = [
        *((name, FIRST_RESAMPLE_SEED + number, number, *tokens) for name in recipes for number in numbers),
        *((name, 0, number, *texts) for name in BASELINES for number in numbers),
    ]
    return [
        TrialSpec(
            name, seed, planned[name], file, data.train_fraction, f"{name}-seed-{seed}-resample-{number}",
            # The file of the reviews is named by a key that covers their groups.
            trial_name(
                name, seed, planned[name], f"{fingerprint} {reviews.name} resample {number}", resampled=True,
                classes=classes, vectors=vectors,
            ),
            folder, number, reviews, classes, **vector_fields,
        )
        for name, seed, number, fingerprint, file, vectors, vector_fields in trials
    ]  # fmt: skip


def vectors_key(data: EncodedDataset) -> str:
    """Return the part of the cache keys of networks that depends on word vectors; empty without."""
    return data.vectors.key if data.vectors else ""


def vectors_of(data: EncodedDataset, folder: Path) -> dict[str, Any]:
    """Return those fields of `TrialSpec` that tell a network its word vectors; none without."""
    if data.vectors is None:
        return {}
    return {"vectors": vectors_file(folder, data.vectors.file), "vectors_frozen": data.vectors.frozen}


def plan_tuning_trials(
    architectures: Sequence[str], number: int, recipe: Recipe, encoded: Sequence[EncodedDataset], folder: Path
) -> list[TrialSpec]:
    """Return the trials of a search: each architecture with each configuration, on the largest train fraction.

    Args:
        architectures: Names of the architectures.
        number: Number of configurations.
        recipe: The shared recipe, which is the first configuration.
        encoded: Encoded data set of each fraction of the training reviews.
        folder: Cache folder.
    """
    (data,) = select_largest_fraction(encoded)
    fraction, classes = data.train_fraction, len(data.dataset.classes)
    fixed = ["embedding_size"] if data.vectors else []  # it is that of the word vectors
    sampled = sample_configurations(recipe, number, fixed=fixed)
    configurations = [plan_epochs(each, data.dataset, fraction) for each in sampled]
    return [
        TrialSpec(
            name, TUNING_SEED, planned, encoded_file(folder, data.file), fraction, f"{name}-configuration-{count}",
            trial_name(name, TUNING_SEED, planned, data.fingerprint, classes=classes, vectors=vectors_key(data)),
            folder, reviews=reviews_file(folder, data.dataset.file), classes=classes, configuration=count,
            **vectors_of(data, folder),
        )
        for name in architectures for count, planned in enumerate(configurations, start=1)
    ]  # fmt: skip


def count_compared_trials(parameters: Parameters) -> int:
    """Return the number of trials of a comparison without those of its search and of earlier nightly runs."""
    networks, fractions = len(parameters.architectures), len(parameters.train_fractions)
    seeds = parameters.seeds * fractions + parameters.new_seeds
    return networks * seeds + len(BASELINES) * fractions + (networks + len(BASELINES)) * parameters.resample_training


def plan_epochs(recipe: Recipe, dataset: Dataset, fraction: float) -> Recipe:
    """Return the recipe with the number of epochs that it stands for with a fraction of the training reviews."""
    reviews = round(fraction * dataset.rows["train"])
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
    return {name: result for name, result in found.items() if result is not None}


def starting_order(specs: Sequence[TrialSpec]) -> list[TrialSpec]:
    """Return distinct trials in the order of their start.

    Baselines come first, because a worker trains them before it loads TensorFlow. Then long trials come first, so that
    no core is idle at the end. Two fractions with the same reviews share one trial.
    """
    distinct = {spec.name: spec for spec in specs}.values()

    def key(spec: TrialSpec) -> tuple[bool, float, int]:
        return spec.architecture not in BASELINES, -spec.train_fraction, -training_time_rank(spec.architecture)

    return sorted(distinct, key=key)
