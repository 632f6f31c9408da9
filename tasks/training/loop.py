"""Training loop of a network: batches of similar length, a learning-rate schedule, early stopping.

Reviews are padded on the right to one of a few widths. The width of a review depends only on its own length.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from tasks.config.recipe import Recipe
from tasks.training.batches import Split, make_batches, pad_right, padded_widths
from tasks.training.costs import training_flops
from tasks.training.epoch_scores import HISTORY_COLUMNS, class_weights, epoch_scores, scores_from_totals
from tasks.training.prediction import predict

if TYPE_CHECKING:
    import keras

OnEpoch = Callable[[int, dict[str, float]], None]
Variable = Any  # TensorFlow ships no types
# Decay of Adam's average of squared gradients. A training has some hundred updates only. With the usual 0.999, a few
# large gradients slow down all that follow (docs/experiments/2026-11-27-schedule.md).
BETA_2 = 0.9


@dataclass(frozen=True)
class FitFacts:
    """Outcome and duration of a training; see `TrainingFacts` for the fields."""

    parameters: int
    train_seconds: float
    train_flops: float
    epochs: int
    best_epoch: int
    best_seconds: float
    status: Literal["finished", "diverged"]


@dataclass(frozen=True)
class FittedModel:
    """A trained network.

    Attributes:
        model: The model with the weights of its best epoch. If no epoch had a finite loss, with its initial weights.
        history: One row per epoch and split: epoch, split, loss, accuracy, precision, recall, seconds.
        facts: Outcome and duration.
        validation_probabilities: Probabilities of the best epoch, see `prediction.predict`; empty if no epoch had a
            finite loss.
    """

    model: keras.Model
    history: pd.DataFrame
    facts: FitFacts
    validation_probabilities: np.ndarray


@dataclass(frozen=True)
class TrainingStep:
    """The compiled update of a model.

    Attributes:
        update: Updates the weights on one batch, (rows, width) int32 token ids and (rows,) float32 labels.
        totals: Variable, (1 + 3 · logits,) float32, to which `update` adds the sum of losses and the numbers of true
            positives, false positives and false negatives of class 1, or of each of several classes.
    """

    update: Callable[[np.ndarray, np.ndarray], None]
    totals: Variable


@dataclass(frozen=True)
class Checkpoint:
    """The best epoch so far.

    Attributes:
        epoch: Number of the epoch, from 1; 0 before the first.
        loss: Validation loss.
        seconds: Seconds since the start of the training.
        weights: Weights of the model.
        probabilities: Validation probabilities, see `prediction.predict`.
    """

    epoch: int
    loss: float
    seconds: float
    weights: list[np.ndarray]
    probabilities: np.ndarray


def fit(
    build: Callable[[Recipe], keras.Model],
    recipe: Recipe,
    train: Split,
    validation: Split,
    seed: int,
    on_epoch: OnEpoch | None = None,
) -> FittedModel:
    """Train a model until its validation loss stops decreasing, and restore the weights of the best epoch.

    Args:
        build: Builds the untrained model, which has one logit for two classes, otherwise one for each class.
        recipe: Hyperparameters.
        train: Training reviews.
        validation: Validation reviews, which determine the best epoch.
        seed: Seed of the initial weights, the order of the reviews and the dropout. Sets the seed of the process.
        on_epoch: Called after each epoch with its number, from 1, and the scores of both splits.
    """
    _reset_keras(seed)
    rng, start = np.random.default_rng(seed), time.perf_counter()
    with _private_keras_seeds(seed):
        model = build(recipe)
    row_widths = padded_widths(train, recipe.max_tokens)
    weights = class_weights(train.labels, recipe.class_weights, max(model.output_shape[-1], 2))
    epochs = recipe.planned_epochs(len(row_widths))
    updates = epochs * math.ceil(len(row_widths) / recipe.batch_size)
    step = training_step(model, recipe, weights, updates)
    best = Checkpoint(0, math.inf, 0.0, model.get_weights(), np.empty(0))
    rows: list[dict[str, Any]] = []
    epoch, diverged = 0, False
    while epoch < epochs and epoch - best.epoch < recipe.patience:
        epoch += 1
        trained = _train_epoch(step, train, row_widths, recipe.batch_size, rng)
        probabilities = predict(model, validation, max_tokens=recipe.max_tokens)
        validated = epoch_scores(validation.labels, probabilities, weights)
        if diverged := not math.isfinite(trained["loss"] + validated["loss"]):
            break
        seconds = time.perf_counter() - start
        if validated["loss"] < best.loss:
            best = Checkpoint(epoch, validated["loss"], seconds, model.get_weights(), probabilities)
        for split, scores in (("train", trained), ("validation", validated)):
            rows.append({"epoch": epoch, "split": split, **scores, "seconds": seconds})
        if on_epoch:
            on_epoch(epoch, {"train_loss": trained["loss"], **{f"validation_{k}": v for k, v in validated.items()}})
    model.set_weights(best.weights)
    flops = _count_flops(model, row_widths, padded_widths(validation, recipe.max_tokens), epoch)
    facts = FitFacts(
        parameters=model.count_params(), train_seconds=time.perf_counter() - start, train_flops=flops, epochs=epoch,
        best_epoch=best.epoch, best_seconds=best.seconds, status="diverged" if diverged else "finished",
    )  # fmt: skip
    return FittedModel(model, pd.DataFrame(rows, columns=HISTORY_COLUMNS), facts, best.probabilities)


def _reset_keras(seed: int) -> None:
    """Set the seed of the process and remove what Keras keeps of earlier models, such as compiled functions."""
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)


@contextmanager
def _private_keras_seeds(seed: int) -> Iterator[None]:
    """Make Keras draw the seeds of weights and dropout from a separate generator.

    By default it uses Python's global generator, from which other threads (of Dask, of websockets) draw as well.
    """
    from keras.src.random import seed_generator

    shared = seed_generator.python_random
    seed_generator.python_random = random.Random(seed)
    try:
        yield
    finally:
        seed_generator.python_random = shared


def _train_epoch(
    step: TrainingStep, train: Split, row_widths: np.ndarray, batch_size: int, rng: np.random.Generator
) -> dict[str, float]:
    """Update the weights on each batch of an epoch, and return the scores on the training reviews."""
    step.totals.assign(np.zeros(step.totals.shape, np.float32))
    for width, rows in make_batches(row_widths, batch_size, rng):
        step.update(pad_right(train, rows, width), train.labels[rows].astype(np.float32))
    loss, *counts = step.totals.numpy().tolist()
    return scores_from_totals(loss, np.reshape(counts, (3, -1)), len(train.labels))


def _count_flops(model: keras.Model, train_widths: np.ndarray, validation_widths: np.ndarray, epochs: int) -> float:
    """Count the operations of a training, given the padded widths of the reviews; see `costs.training_flops`."""
    return training_flops(
        model,
        train_tokens=int(train_widths.sum()),
        validation_tokens=int(validation_widths.sum()),
        reviews=len(train_widths),
        epochs=epochs,
    )


def learning_rates(recipe: Recipe, updates: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return the learning rate of each update: linear warm-up to `recipe.learning_rate`, then cosine decay to zero.

    Args:
        recipe: Hyperparameters.
        updates: Number of updates in all planned epochs.

    Sources: Smith and Topin 2019, "Super-Convergence"; Loshchilov and Hutter 2017, "SGDR".
    """
    import keras

    peak, warmup = recipe.learning_rate, round(recipe.warmup * updates)
    return keras.optimizers.schedules.CosineDecay(
        peak / 10, decay_steps=max(updates - warmup, 1), warmup_target=peak, warmup_steps=warmup
    )


def training_step(model: keras.Model, recipe: Recipe, weights: np.ndarray, updates: int) -> TrainingStep:
    """Compile the update of a model: Adam with the rates of `learning_rates`, gradients clipped to a global norm of 1.

    Args:
        model: The untrained model.
        recipe: Hyperparameters.
        weights: (classes,) weight of each class in the loss, see `class_weights`.
        updates: Number of updates in all planned epochs.
    """
    import tensorflow as tf

    from tasks.training.optimizer import SingleDeviceAdam

    optimizer = SingleDeviceAdam(learning_rates(recipe, updates), beta_2=BETA_2, global_clipnorm=1.0)
    variables = [variable.value for variable in model.trainable_variables]
    optimizer.build(model.trainable_variables)
    totals = tf.Variable(np.zeros(1 + 3 * model.output_shape[-1], np.float32))
    losses_and_counts = _binary_losses if model.output_shape[-1] == 1 else _multiclass_losses

    # Autograph would write files into the temporary folder, and a killed process would leave them there.
    signature = [tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.float32)]

    @tf.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]
    def update(token_ids: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            losses, counts = losses_and_counts(model(token_ids, training=True), labels)
            losses *= tf.gather(tf.constant(weights), tf.cast(labels, tf.int32))
            loss = tf.reduce_mean(losses)
        # The gradient of the embedding is sparse; Keras' Adam is several times slower on sparse gradients.
        gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, variables)]
        optimizer.apply(gradients, model.trainable_variables)
        totals.assign_add(tf.concat([[tf.reduce_sum(losses)], *counts], axis=0))

    return TrainingStep(update, totals)


def _binary_losses(logits: Variable, labels: Variable) -> tuple[Variable, list[Variable]]:
    """Return the loss of each review, and the three counts of `TrainingStep.totals`, from (reviews, 1) logits."""
    import tensorflow as tf

    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits[:, 0])
    return losses, _count(tf.cast(logits > 0, tf.float32), labels[:, None])


def _multiclass_losses(logits: Variable, labels: Variable) -> tuple[Variable, list[Variable]]:
    """Return what `_binary_losses` returns, from (reviews, classes) logits."""
    import tensorflow as tf

    numbers, classes = tf.cast(labels, tf.int32), logits.shape[-1]
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=numbers, logits=logits)
    return losses, _count(tf.one_hot(tf.argmax(logits, axis=1), classes), tf.one_hot(numbers, classes))


def _count(predicted: Variable, true: Variable) -> list[Variable]:
    """Count true positives, false positives and false negatives by column, from (reviews, columns) 0 or 1."""
    import tensorflow as tf

    products = (predicted * true, predicted * (1 - true), (1 - predicted) * true)
    return [tf.reduce_sum(product, axis=0) for product in products]
