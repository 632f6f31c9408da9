"""Plan of a comparison: the trials that it consists of."""

from collections.abc import Sequence
from pathlib import Path

from tasks.config.recipe import Recipe
from tasks.data.records import EncodedDataset
from tasks.models.baselines import BASELINES
from tasks.models.registry import ARCHITECTURES
from tasks.storage.layout import encoded_file, reviews_file
from tasks.storage.trial_records import TrialSpec, select_largest_fraction
from tasks.training.trial import trial_name

# Ordered by training time. With tens of thousands of reviews, the linear baselines take longer than a simple RNN.
BY_TRAINING_TIME = ["majority", "simple_rnn", *BASELINES, *ARCHITECTURES]


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
        suffix = "" if data in largest else f"-fraction-{data.train_fraction}"
        tokens = (data.fingerprint, encoded_file(folder, data.file))
        texts = (f"{data.dataset.fingerprint} {data.train_fraction}", reviews_file(folder, data.dataset.file))
        networks = [(name, seed, *tokens) for name in architectures for seed in seeds]
        baselines = [(name, 0, *texts) for name in BASELINES]
        specs += [
            TrialSpec(
                name, seed, recipe, file, data.train_fraction, f"{name}-seed-{seed}{suffix}",
                trial_name(name, seed, recipe, fingerprint), folder,
            )
            for name, seed, fingerprint, file in [*networks, *baselines]
        ]  # fmt: skip
    return specs


def training_time_rank(architecture: str) -> int:
    """Return the rank of an architecture by training time, from 0; user-defined architectures rank last."""
    return BY_TRAINING_TIME.index(architecture) if architecture in BY_TRAINING_TIME else len(BY_TRAINING_TIME)
