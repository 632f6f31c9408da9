"""What a run compares, and the checks before its first training."""

from dataclasses import replace
from pathlib import Path

import pytest

from flows.trials.experiment import Experiment, check_dataset, open_experiment
from tasks.config.errors import UserError
from tasks.config.parameters import Parameters
from tasks.data.stored_reviews import load_dataset
from tests.conftest import tiny_reviews
from tests.helpers.vector_files import vector_lines, write_vectors


def open_with(folder: Path, **options: object) -> Experiment:
    own = {"data": str(tiny_reviews(folder / "own.csv")), "results": str(folder / "results")}
    return open_experiment(Parameters.from_user(**own | options))


def test_the_embeddings_are_as_large_as_the_word_vectors(tmp_path: Path) -> None:
    path = write_vectors(tmp_path / "own.vec", vector_lines({"good": [1.0, 2.0, 3.0], "bad": [3.0, 2.0, 1.0]}))
    experiment = open_with(tmp_path, vectors=path, vectors_frozen=True)
    assert experiment.recipe.embedding_size == experiment.settings["embedding_size"] == 3
    assert experiment.vectors.frozen
    with pytest.raises(UserError, match="embedding_size: received 8"):
        open_with(tmp_path, vectors=path, embedding_size=8)


def test_without_word_vectors_the_recipe_is_that_of_the_parameters(tmp_path: Path) -> None:
    experiment = open_with(tmp_path, units=5)
    assert (experiment.vectors, experiment.recipe) == (None, Parameters(units=5).recipe())
    assert experiment.cache.is_relative_to(experiment.results)


@pytest.mark.parametrize(
    "wrong", [{"data": "missing.csv"}, {"dask_address": "tcp://127.0.0.1:1"}, {"vectors": "missing.vec"}]
)
def test_a_user_error_comes_before_anything_is_written(wrong: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UserError):
        open_with(tmp_path, **wrong)
    assert [path.name for path in tmp_path.iterdir()] == ["own.csv"]


def test_a_search_needs_validation_reviews(tmp_path: Path) -> None:
    experiment = open_with(tmp_path, tune=2)
    dataset, _ = load_dataset(str(tmp_path / "own.csv"), data_folder=tmp_path, cache=experiment.cache)
    few = replace(dataset, rows=dataset.rows | {"validation": 49})
    check_dataset(experiment, replace(dataset, rows=dataset.rows | {"validation": 50}))
    check_dataset(open_with(tmp_path), few)
    with pytest.raises(UserError, match="tune: received 2"):
        check_dataset(experiment, few)
