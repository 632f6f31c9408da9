"""Trials: one architecture with one seed, trained on one set of reviews by one recipe; found in the cache, or made.

A trial is three files, each with its checksum beside it: the history of its epochs (Parquet, with the facts of
the trial in its attributes), its predictions (Parquet) and its weights (safetensors). Their name holds
the trial's key, which covers everything that the trial is made of; what has the key is never made twice.
A baseline is a trial, too: of one seed, without epochs.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.config.recipe import Recipe
from tasks.data.tokenization import encode, normalise, text_array
from tasks.models.baselines import BASELINES, Baseline, Labelled
from tasks.models.registry import builder
from tasks.storage.fingerprint import code_version
from tasks.storage.trials import PREDICTED_SPLITS
from tasks.training.batches import Split
from tasks.training.costs import forget_peak_memory, latency, peak_memory_mb
from tasks.training.loop import HISTORY_METRICS, fit, predict

LIBRARIES = ("tensorflow", "keras", "numpy", "numba", "scipy")
BASELINE_RECIPE = {"tokenizer", "class_weights"}
BASELINE_LIBRARIES = ("scikit-learn", "scipy", "numpy", "pyarrow")
Made = tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]
OnEpoch = Callable[[int, dict[str, float]], None]


def trial_name(architecture: str, seed: int, recipe: Recipe, fingerprint: str) -> str:
    """Name a trial by all that it is made of: `lstm-seed-0-<16 hexadecimal digits>`.

    Args:
        architecture: A name in `ARCHITECTURES` or `BASELINES`, or `module:function` of the user's own.
        seed: The seed of its weights, order and dropout.
        recipe: What every network of a comparison shares; a baseline depends on what it says of `BASELINE_RECIPE`.
        fingerprint: Of the reviews as the trial reads them.
    """
    made_of: dict[str, Any] = {"data": fingerprint, "seed": seed}
    if architecture in BASELINES:
        made_of["recipe"] = recipe.model_dump(include=BASELINE_RECIPE)
        made_of["code"] = code_version(BASELINES[architecture], make_baseline)
        made_of["libraries"] = {name: version(name) for name in BASELINE_LIBRARIES}
    else:
        made_of["recipe"] = recipe.model_dump()
        made_of["code"] = code_version(builder(architecture), make_trial, fit, predict)
        made_of["libraries"] = {name: version(name) for name in LIBRARIES}
    key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    return f"{architecture.replace(':', '.')}-seed-{seed}-{key[:16]}"


def made_by(architecture: str) -> str:
    """Fingerprint the code that makes the trials of an architecture or baseline."""
    if architecture in BASELINES:
        return code_version(BASELINES[architecture], make_baseline)
    return code_version(builder(architecture), make_trial, fit, predict, encode)


def make_trial(
    architecture: str,
    seed: int,
    recipe: Recipe,
    encoded: pa.Table,
    *,
    build: Callable[[Recipe], Any],
    on_epoch: OnEpoch | None = None,
) -> Made:
    """Train a trial and let it predict; the test reviews are read only after its training has ended.

    Returns:
        The frames history and predictions (none if it diverged), and the weights by name; the facts of
        the trial are the history's `attrs`.
    """
    forget_peak_memory()
    rows = {name: encoded.filter(pc.equal(encoded["split"], name)) for name in ("train", *PREDICTED_SPLITS)}
    train, validation = (Split.from_table(rows[name]) for name in ("train", "validation"))
    model, history, facts, given = fit(build, recipe, train, validation, seed, on_epoch)

    def answer(split: Split) -> np.ndarray:
        return predict(model, split, max_tokens=recipe.max_tokens)

    answers = {}
    if facts["status"] == "finished":
        answers = {
            "validation": (rows["validation"], given),
            "test": (rows["test"], answer(Split.from_table(rows["test"]))),
        }
        facts |= latency(lambda chosen: answer(validation.rows(chosen)), len(validation.labels))
    weights = {weight.path: weight.numpy() for weight in model.weights}
    return _made(architecture, seed, history, answers, {**facts, "train_reviews": len(train.labels)}, weights)


def make_baseline(
    name: str, reviews: pa.Table, recipe: Recipe, *, learn: Callable[[Labelled, Labelled], Baseline]
) -> Made:
    """Train a baseline and let it predict, the test reviews last.

    Args:
        name: Its name, which stands where an architecture's would.
        reviews: The frame reviews, as a table.
        recipe: Of which `BASELINE_RECIPE` counts.
        learn: Fits it to the training reviews, tuned on the validation reviews.

    Returns:
        As `make_trial`; the history has no rows, for there are no epochs.
    """
    forget_peak_memory()
    rows = {split: reviews.filter(pc.equal(reviews["split"], split)) for split in ("train", *PREDICTED_SPLITS)}
    weight: Literal["balanced"] | None = "balanced" if recipe.class_weights else None
    splits = {
        split: Labelled(_words(table, recipe.tokenizer), table["label"].to_numpy(), weight)
        for split, table in rows.items()
    }
    start = time.perf_counter()
    baseline = learn(splits["train"], splits["validation"])
    seconds = time.perf_counter() - start
    answers = {split: (rows[split], baseline.predict(splits[split].texts)) for split in PREDICTED_SPLITS}
    texts = np.array(splits["validation"].texts, dtype=object)
    facts = {
        "parameters": baseline.parameters, "train_seconds": seconds, "train_flops": float("nan"), "epochs": 0,
        "best_epoch": 0, "best_seconds": seconds, "status": "finished", "train_reviews": len(rows["train"]),
        **latency(lambda chosen: baseline.predict(texts[chosen]), len(texts)),
    }  # fmt: skip
    history = pd.DataFrame(columns=["epoch", "split", *HISTORY_METRICS, "seconds"])
    return _made(name, 0, history, answers, facts, baseline.weights)


def _words(table: pa.Table, tokenizer: str) -> list[str]:
    return list(normalise(text_array(table["text"].to_pylist()), tokenizer).to_pylist())


def _made(
    architecture: str,
    seed: int,
    history: pd.DataFrame,
    answers: Mapping[str, tuple[pa.Table, np.ndarray]],
    facts: dict[str, Any],
    weights: dict[str, Any],
) -> Made:
    """Put together what a trial leaves: frames with its name in front, and its facts."""
    columns = ["review_id", "split", "label"]
    parts = [rows.select(columns).to_pandas().assign(probability=given) for rows, given in answers.values()]
    predictions = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*columns, "probability"])
    for frame in (history, predictions):
        frame.insert(0, "architecture", architecture)
        frame.insert(1, "seed", seed)
    history.attrs.update(architecture=architecture, seed=seed, peak_memory_mb=peak_memory_mb(), **facts)
    return history, predictions, weights
