"""Averaged embeddings: a softmax regression on the mean embedding of the words and word pairs of a text.

Source: Joulin, Grave, Bojanowski and Mikolov 2017, "Bag of Tricks for Efficient Text Classification" (fastText). Pairs
have embeddings of their own here, while fastText lets pairs with the same hash share one.

The mean and the output layer are both linear, so the trained model is a linear classifier: the embedding of a term
times the output weights is the coefficient of the term. Nothing else is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.models.kernels import compiled

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Array = np.ndarray

CHANNELS = 16  # of an embedding
EPOCHS = 10
# A small training set is read more often, until there are this many updates.
MIN_UPDATES = 50_000
SEED = 0


def fit_averages(
    frequencies: csr_matrix, labels: Array, weights: Array, *, classes: int, rate: float, seed: int = SEED
) -> tuple[Array, Array]:
    """Train embeddings and output weights by gradient descent on the cross-entropy, one review at a time.

    The learning rate falls linearly to 0. Embeddings start with uniform random numbers, output weights with 0. The
    intercepts are fixed: they are the logarithms of the shares of the classes, which a text without terms is given. If
    the weights overflow, the training is repeated with a quarter of the rate.

    Args:
        frequencies: (reviews, terms) shares of the terms in each review, float32.
        labels: (reviews,) classes from 0.
        weights: (reviews,) positive weights of the reviews.
        classes: Number of classes.
        rate: Learning rate of the first update.
        seed: Seed of the initial embeddings and the order of the reviews.

    Returns:
        (terms, classes) float32 coefficients and (classes,) float32 intercepts.
    """
    rng = np.random.default_rng(seed)
    epochs = max(EPOCHS, -(-MIN_UPDATES // len(labels)))
    order = np.concatenate([rng.permutation(len(labels)) for _ in range(epochs)])
    embeddings = (rng.uniform(-1, 1, (frequencies.shape[1], CHANNELS)) / CHANNELS).astype(np.float32)
    output = np.zeros((CHANNELS, classes), np.float32)
    intercepts = log_shares(labels, weights, classes)
    entries = (frequencies.indptr.astype(np.int64), frequencies.indices.astype(np.int32), frequencies.data)
    rates = (rate * weights / weights.mean()).astype(np.float32)
    descend(*entries, labels.astype(np.int64), rates, order, embeddings, output, intercepts)
    with np.errstate(over="ignore", invalid="ignore"):
        coefficients = embeddings @ output
    if not np.isfinite(coefficients).all():
        return fit_averages(frequencies, labels, weights, classes=classes, rate=rate / 4, seed=seed)
    return coefficients, intercepts


def log_shares(labels: Array, weights: Array, classes: int) -> Array:
    """Return the logarithm of each class's share of the weights, (classes,) float32; no share is 0.

    Each class has one review more than there are, with a mean weight, as in Laplace's rule of succession.
    """
    totals = np.bincount(labels, weights / weights.mean(), classes) + 1
    return np.log(totals / totals.sum()).astype(np.float32)


@compiled
def descend(
    starts: Array, columns: Array, values: Array, labels: Array, rates: Array, order: Array, embeddings: Array,
    output: Array, intercepts: Array,
) -> None:  # fmt: skip
    """Update embeddings and output weights with one review after the other.

    Args:
        starts: (reviews + 1,) int64, first entry of each review.
        columns: (entries,) int32 term of each entry.
        values: (entries,) float32 share of the term in the review.
        labels: (reviews,) int64 classes.
        rates: (reviews,) float32 learning rate of each review at the first update.
        order: (updates,) int64 reviews.
        embeddings: (terms, channels) float32, changed in place.
        output: (channels, classes) float32, changed in place.
        intercepts: (classes,) float32.
    """
    channels, classes = output.shape
    mean, gradient = np.empty(channels, np.float32), np.empty(channels, np.float32)
    errors = np.empty(classes, np.float32)
    for update in range(len(order)):
        review = order[update]
        first, last = starts[review], starts[review + 1]
        mean[:] = 0
        for entry in range(first, last):
            value, embedding = values[entry], embeddings[columns[entry]]
            for channel in range(channels):
                mean[channel] += value * embedding[channel]
        errors[:] = intercepts
        for channel in range(channels):
            for label in range(classes):
                errors[label] += mean[channel] * output[channel, label]
        errors[:] = np.exp(errors - errors.max())
        errors /= -errors.sum()
        errors[labels[review]] += np.float32(1)
        errors *= rates[review] * np.float32(1 - update / len(order))
        gradient[:] = 0
        for channel in range(channels):
            for label in range(classes):
                gradient[channel] += errors[label] * output[channel, label]
                output[channel, label] += errors[label] * mean[channel]
        for entry in range(first, last):
            value, embedding = values[entry], embeddings[columns[entry]]
            for channel in range(channels):
                embedding[channel] += value * gradient[channel]
