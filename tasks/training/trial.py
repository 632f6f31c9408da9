"""Training of one trial, and the cache key that decides whether it must be trained.

A baseline is a trial with a single seed and without epochs.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.config.recipe import Recipe
from tasks.data.resample import resample_training
from tasks.data.tokenization import encode, normalize_text, text_array
from tasks.models.baselines import BASELINES, Baseline, LabeledTexts
from tasks.models.registry import builder
from tasks.models.word_vectors import build_with_vectors
from tasks.storage.cache import library_version
from tasks.storage.fingerprint import code_version
from tasks.storage.probabilities import PROBABILITY, probability_table
from tasks.storage.trial_records import TrainedTrial, TrainingFacts
from tasks.storage.trials import PREDICTED_SPLITS
from tasks.training.batches import Split
from tasks.training.costs import latency, peak_memory_mb, reset_peak_memory
from tasks.training.epoch_scores import HISTORY_COLUMNS
from tasks.training.loop import OnEpoch, fit
from tasks.training.prediction import predict

TRIAL_LIBRARIES = ("tensorflow", "keras", "numpy", "numba", "scipy")
BASELINE_LIBRARIES = ("scikit-learn", "scipy", "numpy", "numba", "pyarrow")
BASELINE_RECIPE = {"tokenizer", "class_weights"}  # the part of a recipe that a baseline depends on


def trial_name(
    architecture: str,
    seed: int,
    recipe: Recipe,
    fingerprint: str,
    *,
    resampled: bool = False,
    classes: int = 2,
    vectors: str = "",
) -> str:
    """Return the name of a trial in the cache: `lstm-seed-0-<16 hexadecimal digits of its cache key>`.

    Args:
        architecture: Name of an architecture or baseline, or `module:function` of a user-defined architecture.
        seed: Seed of the initial weights, the order of the reviews and the dropout.
        recipe: Hyperparameters; the key of a baseline covers only `BASELINE_RECIPE`.
        fingerprint: Fingerprint of the data that the trial reads.
        resampled: Whether the training reviews are a bootstrap resample, so that the key covers its code as well.
        classes: Number of classes, which is part of the key if there are more than two.
        vectors: Key of the word vectors that a network starts from; they and their code are part of the key if it is
            not empty.
    """
    is_baseline = architecture in BASELINES
    inputs = {
        "data": fingerprint,
        "seed": seed,
        "recipe": recipe.model_dump(include=BASELINE_RECIPE if is_baseline else None),
        "code": code_version(
            *code_roots(architecture),
            *((resample_training,) if resampled else ()),
            *((build_with_vectors,) if vectors else ()),
        ),
        "libraries": {name: library_version(name) for name in (BASELINE_LIBRARIES if is_baseline else TRIAL_LIBRARIES)},
    }
    if classes > 2:
        inputs["classes"] = classes
    if vectors:
        inputs["vectors"] = vectors
    key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    return f"{architecture.replace(':', '.')}-seed-{seed}-{key[:16]}"


def code_roots(architecture: str) -> tuple[Callable[..., Any], ...]:
    """Return the functions whose code, with all code that they use, decides the results of an architecture's trials."""
    if architecture in BASELINES:
        return BASELINES[architecture], train_baseline
    return builder(architecture), train_network


def scores_code_version(architecture: str) -> str:
    """Return the fingerprint of the code that decides the scores of an architecture, including the encoding."""
    encoding = () if architecture in BASELINES else (encode,)
    return code_version(*code_roots(architecture), *encoding)


def train_network(
    architecture: str,
    seed: int,
    recipe: Recipe,
    encoded: pa.Table,
    *,
    build: Callable[[Recipe], Any],
    on_epoch: OnEpoch | None = None,
) -> TrainedTrial:
    """Train a network and predict the validation and test reviews. The test reviews are read after the training.

    Without test reviews, which is how the trials of a search are trained, only the validation reviews are predicted.

    Args:
        architecture: Name of the architecture.
        seed: Seed of the initial weights, the order of the reviews and the dropout.
        recipe: Hyperparameters.
        encoded: Encoded reviews: columns review_id, split, label and tokens.
        build: Builds the model, with one logit for two classes, otherwise one for each class.
        on_epoch: Called after each epoch, see `loop.fit`.
    """
    reset_peak_memory()
    rows = {name: encoded.filter(pc.equal(encoded["split"], name)) for name in ("train", *PREDICTED_SPLITS)}
    train, validation = (Split.from_table(rows[name]) for name in ("train", "validation"))
    fitted = fit(build, recipe, train, validation, seed, on_epoch)

    def predict_split(split: Split) -> np.ndarray:
        return predict(fitted.model, split, max_tokens=recipe.max_tokens)

    facts = {**asdict(fitted.facts), "train_reviews": len(train.labels)}
    probabilities = {}
    if fitted.facts.status == "finished":
        probabilities = {"validation": fitted.validation_probabilities}
        if len(rows["test"]):
            probabilities["test"] = predict_split(Split.from_table(rows["test"]))
        facts |= asdict(latency(lambda chosen: predict_split(validation.rows(chosen)), len(validation.labels)))
    weights = {weight.path: weight.numpy() for weight in fitted.model.weights}
    return _trained(architecture, seed, fitted.history, _predictions(rows, probabilities), facts, weights)


def train_baseline(
    name: str,
    reviews: pa.Table,
    recipe: Recipe,
    *,
    learn: Callable[[LabeledTexts, LabeledTexts], Baseline],
    classes: int = 2,
) -> TrainedTrial:
    """Train a baseline and predict the validation and test reviews.

    Args:
        name: Name of the baseline.
        reviews: Reviews: columns review_id, split, label and text.
        recipe: Hyperparameters, of which `BASELINE_RECIPE` is used.
        learn: Fits the baseline to the training reviews, tuned on the validation reviews.
        classes: Number of classes.

    Returns:
        The trial; its history has no rows.
    """
    reset_peak_memory()
    rows = {split: reviews.filter(pc.equal(reviews["split"], split)) for split in ("train", *PREDICTED_SPLITS)}
    weight: Literal["balanced"] | None = "balanced" if recipe.class_weights else None
    splits = {
        split: LabeledTexts(_normalized_texts(table, recipe.tokenizer), table["label"].to_numpy(), weight, classes)
        for split, table in rows.items()
    }
    start = time.perf_counter()
    baseline = learn(splits["train"], splits["validation"])
    seconds = time.perf_counter() - start
    probabilities = {split: baseline.predict(splits[split].texts) for split in PREDICTED_SPLITS}
    texts = np.array(splits["validation"].texts, dtype=object)
    facts = {
        "parameters": baseline.parameters, "train_seconds": seconds, "epochs": 0, "best_epoch": 0,
        "best_seconds": seconds, "status": "finished", "train_reviews": len(rows["train"]),
        **asdict(latency(lambda chosen: baseline.predict(texts[chosen]), len(texts))),
    }  # fmt: skip
    history = pd.DataFrame(columns=HISTORY_COLUMNS)
    return _trained(name, 0, history, _predictions(rows, probabilities), facts, baseline.weights)


def _normalized_texts(table: pa.Table, tokenizer: str) -> list[str]:
    return list(normalize_text(text_array(table["text"].to_pylist()), tokenizer).to_pylist())


def _predictions(rows: Mapping[str, pa.Table], probabilities: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return the predictions of several splits; no rows without probabilities.

    Args:
        rows: Reviews by split.
        probabilities: Float32 in [0, 1] by split: (reviews,) of class 1, or (reviews, classes) of more classes.
    """
    columns = ["review_id", "split", "label"]
    if not probabilities:
        return pd.DataFrame(columns=[*columns, PROBABILITY])
    parts = [
        rows[split].select(columns).to_pandas().assign(**probability_table(values))
        for split, values in probabilities.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _trained(
    architecture: str,
    seed: int,
    history: pd.DataFrame,
    predictions: pd.DataFrame,
    facts: Mapping[str, Any],
    weights: Mapping[str, Any],
) -> TrainedTrial:
    """Return a trial whose tables begin with the columns architecture and seed."""
    for frame in (history, predictions):
        frame.insert(0, "architecture", architecture)
        frame.insert(1, "seed", seed)
    known = TrainingFacts(architecture=architecture, seed=seed, peak_memory_mb=peak_memory_mb(), **facts)
    return TrainedTrial(history, predictions, weights, known)
