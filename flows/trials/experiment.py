"""What a run compares, and the checks before its first training."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.config.file_options import file_options
from tasks.config.parameters import Parameters
from tasks.config.recipe import Recipe
from tasks.data.datasets import check_source
from tasks.data.records import Dataset
from tasks.data.word_vectors import VectorSource
from tasks.execution.check_engine import check_engine
from tasks.storage import store
from tasks.storage.layout import cache_dir
from tasks.storage.s3 import results_place
from tasks.training.check_user_model import check_user_architectures
from tasks.tuning.search_space import check_validation_reviews


@dataclass(frozen=True)
class Experiment:
    """What a run compares, and where its results are.

    Attributes:
        parameters: Parameters of the run. With word vectors, the embedding size is theirs.
        vectors: File of word vectors; None without.
        results: The results folder.
        started: Start of the work, in UTC; the scheduled time may be long before.
    """

    parameters: Parameters
    vectors: VectorSource | None
    results: Path
    started: datetime

    @property
    def recipe(self) -> Recipe:
        """Return the shared recipe."""
        return self.parameters.recipe()

    @property
    def settings(self) -> dict[str, Any]:
        """Return the parameters as JSON values, by name."""
        return self.parameters.model_dump(mode="json")

    @property
    def cache(self) -> Path:
        """Return the cache folder."""
        return cache_dir(self.results)


def open_experiment(parameters: Parameters) -> Experiment:
    """Check what can be checked before the reviews are loaded, and remove what interrupted runs left behind.

    Raises:
        UserError: If the data, the engine, the word vectors or the results folder cannot be used.
    """
    started = datetime.now(UTC)
    check_source(parameters.data, **file_options(parameters))
    check_engine(parameters.engine, parameters.dask_address)
    size = parameters.embedding_size
    given_size = None if size == Parameters.model_fields["embedding_size"].default else size
    vectors = VectorSource.open(parameters.vectors, frozen=parameters.vectors_frozen, embedding_size=given_size)
    if vectors:
        parameters = parameters.model_copy(update={"embedding_size": vectors.size})
    results = results_place(parameters.results)
    store.sweep(results)
    return Experiment(parameters, vectors, results, started)


def check_dataset(experiment: Experiment, dataset: Dataset) -> None:
    """Check that the search and user-defined architectures can be used with the reviews, before any training.

    Raises:
        UserError: If they cannot.
    """
    parameters, classes = experiment.parameters, len(dataset.classes)
    check_validation_reviews(parameters.tune, dataset.rows["validation"])
    check_user_architectures(
        parameters.architectures, experiment.recipe, classes, vectors=experiment.vectors is not None
    )
