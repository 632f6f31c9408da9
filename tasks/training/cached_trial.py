"""A trial in a worker: find it in the cache, or train and store it."""

import sys
import time
from contextlib import suppress
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from tasks.config.errors import DamagedFileError, translate_out_of_memory
from tasks.data.resample import resample_training
from tasks.data.subsample import keep_training_fraction
from tasks.data.word_vectors import stored_vectors
from tasks.evaluation.trial_evaluation import store_evaluation
from tasks.models.baselines import BASELINES
from tasks.models.registry import builder
from tasks.models.word_vectors import build_with_vectors
from tasks.storage import store
from tasks.storage.layout import history_file
from tasks.storage.trial_records import TrainedTrial, TrialResult, TrialSpec
from tasks.storage.trials import read_trial, store_trial
from tasks.training.loop import OnEpoch
from tasks.training.probe import sgemm_seconds
from tasks.training.runtime import load_tensorflow
from tasks.training.trial import train_baseline, train_network


def load_or_train(spec: TrialSpec, on_epoch: OnEpoch | None = None) -> TrialResult:
    """Return the result of a trial in the cache, or train, store and evaluate the trial.

    If several processes ask for a trial at the same time, one trains it and the others wait.

    Args:
        spec: The trial.
        on_epoch: Called after each epoch, see `loop.fit`.

    Raises:
        TrialAbortedError: If there is not enough memory.
        NotWrittenError: If a file cannot be written.
    """
    with store.locked(history_file(spec.folder, spec.name)):
        with suppress(DamagedFileError):  # already logged when the cache was searched
            if result := read_trial(spec.folder, spec.name):
                return result
        with translate_out_of_memory():
            if spec.architecture not in BASELINES and "tensorflow" not in sys.modules:
                load_tensorflow(own_process=True)
            probe, cpu_start = sgemm_seconds(), time.process_time()
            trial = _train(spec, on_epoch)
            cpu_seconds = time.process_time() - cpu_start
            probe = (probe + sgemm_seconds()) / 2
            result = store_trial(
                spec.folder, spec.name, trial, probe_seconds=probe, cpu_seconds=cpu_seconds, resample=spec.resample,
                configuration=spec.configuration,
            )  # fmt: skip
            if not spec.configuration:
                store_evaluation(result, spec.folder, spec.reviews)
            return result


def _train(spec: TrialSpec, on_epoch: OnEpoch | None) -> TrainedTrial:
    """Train a network or a baseline."""
    data = store.table(spec.data)
    if spec.architecture in BASELINES:
        data = keep_training_fraction(data, spec.train_fraction)
    if spec.resample and spec.reviews:
        data = resample_training(data, store.table(spec.reviews), spec.resample)
    if spec.configuration:
        data = without_test_split(data)
    if spec.architecture in BASELINES:
        learn = BASELINES[spec.architecture]
        return train_baseline(spec.architecture, data, spec.recipe, learn=learn, classes=spec.classes)
    build = partial(builder(spec.architecture), classes=spec.classes)
    if spec.vectors:
        ids, vectors = stored_vectors(spec.vectors, spec.recipe.embedding_size)
        build = partial(build_with_vectors, build=build, token_ids=ids, vectors=vectors, frozen=spec.vectors_frozen)
    return train_network(spec.architecture, spec.seed, spec.recipe, data, build=build, on_epoch=on_epoch)


def without_test_split(reviews: pa.Table) -> pa.Table:
    """Return reviews without those of the test split, which no trial of a search may read."""
    return reviews.filter(pc.not_equal(reviews["split"], "test"))
