"""Submission of the tasks that encode the reviews."""

from typing import Any

from prefect.futures import PrefectFuture

from flows.trials.experiment import Experiment
from tasks.data.records import Dataset, EncodedDataset
from tasks.encode import encode
from tasks.vectors import read_vectors


def submit_encodings(
    experiment: Experiment, dataset: Dataset, loading: PrefectFuture[Any]
) -> list[PrefectFuture[EncodedDataset]]:
    """Submit the tasks that encode the reviews, and return a future for each fraction of the training reviews.

    Word vectors are waited for: an error in their file ends the run before any training.

    Raises:
        UserError: If the file of word vectors is wrong.
    """
    cache, recipe = experiment.cache, experiment.recipe
    options = (recipe.vocabulary_size, recipe.max_tokens, recipe.tokenizer, cache)
    encodings: list[PrefectFuture[EncodedDataset]] = [
        encode.submit(dataset, fraction, *options, wait_for=[loading], return_state=False)
        for fraction in experiment.parameters.train_fractions
    ]
    if experiment.vectors:
        encodings = [read_vectors.submit(each, experiment.vectors, cache, return_state=False) for each in encodings]
        for encoding in encodings:
            encoding.result()
    return encodings
