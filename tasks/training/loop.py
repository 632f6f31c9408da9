"""Train one architecture with one seed: batches of like length, a plain loop, early stopping.

Reviews are padded on the left to one of a few widths. A review's width depends on its own length alone.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from tasks.config.recipe import Recipe
from tasks.training.batches import Split, batches, padded, widths
from tasks.training.costs import training_flops

if TYPE_CHECKING:
    import keras


HISTORY_METRICS = ("loss", "accuracy", "precision", "recall")
Forward = Callable[[np.ndarray], Any]


def predict(model: keras.Model, split: Split, *, max_tokens: int, batch_size: int = 128) -> np.ndarray:
    """Give each review's probability of the positive class, (reviews,) float32 in [0, 1], in row order."""
    return answers(_forward(model), split, max_tokens=max_tokens, batch_size=batch_size)


def answers(forward: Forward, split: Split, *, max_tokens: int, batch_size: int = 128) -> np.ndarray:
    """Do what `predict` does, with a model that `compiled` has made ready."""
    row_widths = widths(split, max_tokens)
    probabilities = np.empty(len(split.labels), np.float32)
    for width in np.unique(row_widths):
        rows = np.flatnonzero(row_widths == width)
        for start in range(0, len(rows), batch_size):
            chosen = rows[start : start + batch_size]
            probabilities[chosen] = forward(padded(split, chosen, width)).numpy()
    return probabilities


def compiled(model: keras.Model) -> Forward:
    """Compile a model's answers: (reviews, width) int32 to (reviews,) float32 probabilities."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)], autograph=False)  # type: ignore[untyped-decorator]
    def forward(words: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(model(words, training=False)[:, 0])

    return cast(Forward, forward)


# A worker has one model at a time, and tracing it anew at each epoch would take as long as an epoch.
_forward = lru_cache(maxsize=1)(compiled)


def class_weights(labels: np.ndarray, balanced: bool) -> np.ndarray:
    """Say how much a review of each class counts, (2,) float32: alike, or so that both classes come to the same."""
    if not balanced:
        return np.ones(2, np.float32)  # a process that trains then need not import scikit-learn
    from sklearn.utils.class_weight import compute_class_weight

    weights: np.ndarray = compute_class_weight("balanced", classes=np.arange(2), y=labels)
    return weights.astype(np.float32)


def scores(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
    """Give loss (log-loss, nats), accuracy, precision and recall at 0.5; the latter two are 0 where undefined.

    Args:
        labels: (reviews,) 0 or 1.
        probabilities: (reviews,) of the positive class.
        weights: (2,) how much the loss of each class counts; alike where None.
    """
    chance = np.clip(np.where(labels == 1, probabilities, 1 - probabilities.astype(np.float64)), 1e-7, 1)
    said, true = probabilities > 0.5, labels == 1
    losses = -np.log(chance) * (1 if weights is None else weights[labels])
    return _rates(losses.sum(), (said & true).sum(), (said & ~true).sum(), (~said & true).sum(), len(labels))


def _rates(loss: float, hits: float, false_alarms: float, misses: float, count: float) -> dict[str, float]:
    return {
        "loss": float(loss / count),
        "accuracy": float(1 - (false_alarms + misses) / count),
        "precision": float(hits / max(hits + false_alarms, 1)),
        "recall": float(hits / max(hits + misses, 1)),
    }


def fit(
    build: Callable[[Recipe], keras.Model],
    recipe: Recipe,
    train: Split,
    validation: Split,
    seed: int,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> tuple[keras.Model, pd.DataFrame, dict[str, Any], np.ndarray]:
    """Train until the validation loss no longer falls, and give the model with its best weights.

    Args:
        build: Makes the untrained model.
        recipe: How to train.
        train: The reviews to learn from.
        validation: The reviews that choose the epoch.
        seed: Fixes the initial weights, the order of the reviews and the dropout. Sets the process's seed.
        on_epoch: Called after each epoch with its number, from 1, and the scores of both splits.

    Returns:
        The model; its history (epoch, split, loss, accuracy, precision, recall, seconds); the facts:
        parameters, train_seconds, train_flops, epochs, best_epoch, best_seconds and status, "finished" or "diverged";
        and its probabilities for the validation reviews, (reviews,) float32, empty if no epoch was finite.
        A model that diverged keeps its best weights, or the initial ones if no epoch was finite (best_epoch 0).
    """
    import keras

    keras.utils.clear_session()  # or a worker would keep what it compiled for every trial
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    start = time.perf_counter()
    with _seeds_from(seed):
        model = build(recipe)
    row_widths = widths(train, recipe.max_tokens)
    weights = class_weights(train.labels, recipe.class_weights)
    step, totals, averages = training_step(model, recipe, weights)
    best = {"epoch": 0, "loss": math.inf, "seconds": 0.0, "weights": model.get_weights(), "given": np.empty(0)}
    rows: list[dict[str, Any]] = []
    status, epoch = "finished", 0
    while epoch < recipe.epochs and epoch - best["epoch"] < recipe.patience:
        epoch += 1
        totals.assign(np.zeros(4, np.float32))
        for width, chosen in batches(row_widths, recipe.batch_size, rng):
            step(padded(train, chosen, width), train.labels[chosen].astype(np.float32))
        loss, hits, false_alarms, misses = totals.numpy().tolist()
        learnt = _rates(loss, hits, false_alarms, misses, len(train.labels))
        with averages():
            given = predict(model, validation, max_tokens=recipe.max_tokens)
            checked = scores(validation.labels, given, weights)
            if not math.isfinite(loss + checked["loss"]):
                status = "diverged"
                break
            seconds = time.perf_counter() - start
            if checked["loss"] < best["loss"]:
                best = {"epoch": epoch, "loss": checked["loss"], "seconds": seconds, "weights": model.get_weights()}
                best["given"] = given
        for split, values in (("train", learnt), ("validation", checked)):
            rows.append({"epoch": epoch, "split": split, **values, "seconds": seconds})
        if on_epoch:
            on_epoch(epoch, {"train_loss": learnt["loss"], **{f"validation_{k}": v for k, v in checked.items()}})
    model.set_weights(best["weights"])
    facts = {
        "parameters": model.count_params(),
        "train_seconds": time.perf_counter() - start,
        "train_flops": training_flops(
            model,
            train_words=int(row_widths.sum()),
            checked_words=int(widths(validation, recipe.max_tokens).sum()),
            reviews=len(train.labels),
            epochs=epoch,
        ),
        "epochs": epoch,
        "best_epoch": best["epoch"],
        "best_seconds": best["seconds"],
        "status": status,
    }
    return model, pd.DataFrame(rows, columns=["epoch", "split", *HISTORY_METRICS, "seconds"]), facts, best["given"]


@contextmanager
def _seeds_from(seed: int) -> Iterator[None]:
    """Let Keras draw the seeds of weights and dropout from a generator of their own.

    It draws them from Python's global one, from which other threads (of Dask, of websockets) draw in between.
    """
    from keras.src.random import seed_generator

    shared = seed_generator.python_random
    seed_generator.python_random = random.Random(seed)
    try:
        yield
    finally:
        seed_generator.python_random = shared


def training_step(model: keras.Model, recipe: Recipe, weights: np.ndarray) -> tuple[Any, Any, Any]:
    """Make the compiled update, the totals that it adds to, and a context that lends the model its averaged weights.

    Args:
        model: Not trained yet.
        recipe: How to train.
        weights: As of `class_weights`.
    """
    import keras
    import tensorflow as tf

    optimizer = keras.optimizers.Adam(recipe.learning_rate, global_clipnorm=1.0)
    variables = [variable.value for variable in model.trainable_variables]
    optimizer.build(model.trainable_variables)
    averages = [tf.Variable(value) for value in variables]
    totals = tf.Variable(np.zeros(4, np.float32))

    # Autograph would write files into the temporary folder, and a killed process would leave them there.
    signature = [tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.float32)]

    @tf.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]
    def step(words: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logits = model(words, training=True)[:, 0]
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
            losses *= tf.gather(tf.constant(weights), tf.cast(labels, tf.int32))
            loss = tf.reduce_mean(losses)
        # The embedding's gradient comes as rows; Keras' Adam takes several times as long over them.
        gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, variables)]
        optimizer.apply(gradients, model.trainable_variables)
        said = tf.cast(logits > 0, tf.float32)
        counts = [said * labels, said * (1 - labels), (1 - said) * labels]
        totals.assign_add(tf.stack([tf.reduce_sum(losses), *map(tf.reduce_sum, counts)]))
        # Early on the average forgets faster, or it would still hold the initial weights.
        updates = tf.cast(optimizer.iterations, tf.float32)
        kept = tf.minimum(recipe.ema_momentum, (1 + updates) / (10 + updates))
        for average, value in zip(averages, variables, strict=True):
            average.assign_add((1 - kept) * (value - average))

    @contextmanager
    def averaged() -> Iterator[None]:
        current = [value.numpy() for value in variables]
        for value, average in zip(variables, averages, strict=True):
            value.assign(average)
        try:
            yield
        finally:
            for value, old in zip(variables, current, strict=True):
                value.assign(old)

    return step, totals, averaged
