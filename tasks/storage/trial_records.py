"""Records of a trial: its specification, the facts of its training, and its stored result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from tasks.config.recipe import Recipe
from tasks.storage.safe_files import Name

NOT_MEASURED = float("nan")


@dataclass(frozen=True)
class TrialSpec:
    """Everything that the `train` task needs to train one trial, or to find it in the cache.

    Attributes:
        architecture: Name of an architecture or baseline, or `module:function` of a user-defined architecture.
        seed: Seed of the initial weights, the order of the reviews and the dropout; 0 for a baseline.
        recipe: Hyperparameters of the network.
        data: File with the reviews: encoded ones for a network, texts for a baseline.
        train_fraction: Share of the training reviews, in (0, 1].
        label: Name that Prefect shows, such as `lstm-seed-0`.
        name: Name of the trial's files in the cache, which contains its cache key.
        folder: Cache folder.
        resample: Number of the bootstrap resample of the training reviews, from 1; 0 for the reviews as they are.
        reviews: File with the reviews and their groups; None if no groups are known.
        classes: Number of classes.
        vectors: File with the word vectors that the embeddings start from; None without.
        vectors_frozen: Whether training leaves the embeddings as they are.
        configuration: Number of the configuration of a search, from 1; 0 for a trial that is compared.
    """

    architecture: str
    seed: int
    recipe: Recipe
    data: Path
    train_fraction: float
    label: str
    name: str
    folder: Path
    resample: int = 0
    reviews: Path | None = None
    classes: int = 2
    vectors: Path | None = None
    vectors_frozen: bool = False
    configuration: int = 0

    @property
    def epochs(self) -> int:
        """Return the maximum number of epochs of a network.

        Raises:
            ValueError: If the recipe leaves it open: the plan of a comparison decides it by the training reviews.
        """
        if self.recipe.epochs is None:
            raise ValueError(f"the recipe of {self.label} has no number of epochs")
        return self.recipe.epochs


class TrainingFacts(BaseModel):
    """Outcome and costs of a training.

    Attributes:
        architecture: Name of the architecture or baseline.
        seed: Seed of the training; 0 for a baseline.
        peak_memory_mb: Peak memory of the process in MB.
        parameters: Number of trainable and fixed parameters.
        train_seconds: Duration of the training in seconds.
        train_flops: Floating-point operations of the training; NaN if unknown.
        epochs: Number of epochs; 0 for a baseline.
        best_epoch: Epoch with the lowest validation loss; 0 for a baseline, or if no epoch had a finite loss.
        best_seconds: Seconds until the end of the best epoch.
        status: "diverged" if the loss became NaN or infinite, else "finished".
        latency_ms: Median milliseconds for the prediction of one review; NaN if diverged.
        latency_q1_ms: First quartile of the measurements of `latency_ms`; NaN if an earlier version stored the trial.
        latency_q3_ms: Third quartile of these measurements.
        batch_ms: Milliseconds per review in a batch; NaN if diverged.
        train_reviews: Number of training reviews.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=True, ser_json_inf_nan="constants"
    )

    architecture: Name
    seed: int = Field(ge=0)
    peak_memory_mb: float = NOT_MEASURED
    parameters: int = Field(ge=0)
    train_seconds: float = Field(ge=0)
    train_flops: float = NOT_MEASURED
    epochs: int = Field(ge=0)
    best_epoch: int = Field(ge=0)
    best_seconds: float = NOT_MEASURED
    status: Literal["finished", "diverged"]
    latency_ms: float = NOT_MEASURED
    latency_q1_ms: float = NOT_MEASURED
    latency_q3_ms: float = NOT_MEASURED
    batch_ms: float = NOT_MEASURED
    train_reviews: int = Field(ge=0)


class TrialResult(TrainingFacts):
    """Facts of a stored trial. They are validated when they are read from the cache.

    Attributes:
        probe_seconds: Seconds of a fixed matrix product, measured before and after the training; shows how fast the
            machine was (see `tasks.training.probe`).
        cpu_seconds: User and system time of all threads of the process while it read the data, trained and predicted,
            in seconds; NaN if an earlier version stored the trial.
        weights: File name of the weights in the cache.
        weights_sha256: SHA-256 of that file, hexadecimal.
        train_fraction: Share of the training reviews, in (0, 1].
        resample: Number of the bootstrap resample of the training reviews, from 1; 0 for the reviews as they are.
        configuration: Number of the configuration of a search, from 1; 0 for a trial that is compared.
    """

    probe_seconds: float = NOT_MEASURED
    cpu_seconds: float = NOT_MEASURED
    weights: Name
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    train_fraction: float = Field(default=1.0, gt=0, le=1)
    resample: int = Field(default=0, ge=0)
    configuration: int = Field(default=0, ge=0)

    @property
    def name(self) -> str:
        """Name of the trial in the cache."""
        return Path(self.weights).stem


@dataclass(frozen=True)
class TrainedTrial:
    """A trained trial in memory.

    Attributes:
        history: One row per epoch and split (architecture, seed, epoch, split, metrics, seconds); none for a baseline.
        predictions: One row per validation and test review (architecture, seed, review_id, split, label, and
            probabilities, see `tasks.storage.probabilities`); none if the trial diverged.
        weights: Arrays by name.
        facts: Outcome and costs.
    """

    history: pd.DataFrame
    predictions: pd.DataFrame
    weights: Mapping[str, Any]
    facts: TrainingFacts


class HasTrainFraction(Protocol):
    """A record of a trial or of a data set that belongs to one train fraction."""

    @property
    def train_fraction(self) -> float:
        """Share of the training reviews, in (0, 1]."""
        ...


Record = TypeVar("Record", bound=HasTrainFraction)
Trial = TypeVar("Trial", TrialSpec, TrialResult)


def select_largest_fraction(records: Sequence[Record]) -> list[Record]:
    """Return the records of the largest train fraction."""
    largest = max((record.train_fraction for record in records), default=1.0)
    return [record for record in records if record.train_fraction == largest]


def select_compared(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that are compared and written into the history.

    These are the trials of the largest train fraction that were trained on the training reviews as they are, without
    those of a search.
    """
    return select_largest_fraction([trial for trial in trials if trial.resample == 0 and trial.configuration == 0])
