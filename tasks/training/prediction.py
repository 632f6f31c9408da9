"""Predictions of a network."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tasks.training.batches import Split, pad_right, padded_widths

if TYPE_CHECKING:
    import keras

Forward = Callable[[np.ndarray], Any]


def predict(model: keras.Model, split: Split, *, max_tokens: int, batch_size: int = 128) -> np.ndarray:
    """Return the probabilities of each review, float32 in [0, 1], in row order.

    Returns:
        (reviews,) of class 1 for a model with one logit, otherwise (reviews, classes).
    """
    return predict_with(_cached_forward(model), split, max_tokens=max_tokens, batch_size=batch_size)


def predict_with(forward: Forward, split: Split, *, max_tokens: int, batch_size: int = 128) -> np.ndarray:
    """Return what `predict` returns, for a model that was compiled with `compile_forward`."""
    row_widths = padded_widths(split, max_tokens)
    probabilities = np.empty(0, np.float32)
    for width in np.unique(row_widths):
        rows = np.flatnonzero(row_widths == width)
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            found = forward(pad_right(split, batch, width)).numpy()
            if not len(probabilities):
                probabilities = np.empty((len(row_widths), *found.shape[1:]), np.float32)
            probabilities[batch] = found
    return probabilities


def compile_forward(model: keras.Model) -> Forward:
    """Compile the forward pass of a model: (reviews, width) int32 to probabilities as in `predict`."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)], autograph=False)  # type: ignore[untyped-decorator]
    def forward(token_ids: tf.Tensor) -> tf.Tensor:
        logits = model(token_ids, training=False)
        return tf.sigmoid(logits[:, 0]) if logits.shape[-1] == 1 else tf.nn.softmax(logits)

    return cast(Forward, forward)


# A worker trains one model at a time. Tracing it again in each epoch would take as long as an epoch.
_cached_forward = lru_cache(maxsize=1)(compile_forward)
