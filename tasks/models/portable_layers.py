"""Layers for CPUs and GPUs, made of operations of Keras: attention pooling and convolution.

They consist of few, large matrix products, so that loops of their own would save nothing. As in `tasks.models.layers`,
sequences are (time, batch, features) with padding on the right, which has no effect on the results.
"""

from typing import Any

import keras

Tensor = Any  # Keras ships no types


class AttentionPooling(keras.layers.Layer):  # type: ignore[misc]
    """Mean of the states of a review with learned weights: (time, batch, units) to (batch, units).

    The weight of a token is the softmax over the tokens of tanh(h·kernel + bias)·context, where h is its state.
    Source: Yang et al. 2016, "Hierarchical Attention Networks for Document Classification", equations 5 to 7.
    """

    padding_score = -1e9  # its exponential is 0, but a review without tokens has no NaN

    def build(self, shape: tuple[int | None, ...], *_: object) -> None:
        """Create the weights: a layer of as many units as the states have, and the context vector."""
        units = shape[-1]
        self.kernel = self.add_weight(shape=(units, units), initializer="glorot_uniform", name="kernel")
        self.bias = self.add_weight(shape=(units,), initializer="zeros", name="bias")
        self.context = self.add_weight(shape=(units, 1), initializer="glorot_uniform", name="context")

    def call(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the mean, 0 for a review without tokens; `mask` as in `layers.FastSimpleRNN.call`."""
        flat = keras.ops.reshape(states, (-1, states.shape[-1]))  # one product instead of one per step
        hidden = keras.ops.tanh(keras.ops.matmul(flat, self.kernel) + self.bias)
        scores = keras.ops.reshape(keras.ops.matmul(hidden, self.context), keras.ops.shape(mask))
        scores = keras.ops.where(mask > 0, scores, self.padding_score)
        # The softmax of Keras warns of reviews with one token.
        weights = keras.ops.exp(scores - keras.ops.logsumexp(scores, axis=0)) * mask
        return keras.ops.sum(keras.ops.expand_dims(weights, -1) * states, axis=0)

    def compute_output_shape(self, shape: tuple[int | None, ...], *_: object) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        return shape[1:]


class MaxConvolution(keras.layers.Conv1D):  # type: ignore[misc]
    """Convolution and the maximum of each filter over time: (time, batch, features) to (batch, filters).

    There is one window around each token, with zeros beyond the ends of a review, so that a review may be shorter than
    the filters. The ReLU of the maximum is the maximum of the ReLUs.
    Source: Kim 2014, "Convolutional Neural Networks for Sentence Classification".
    """

    def __init__(self, filters: int, width: int, name: str | None = None) -> None:
        """Create a layer.

        Args:
            filters: Number of filters.
            width: Tokens that each filter reads.
            name: Name of the layer, and of its weights in the cache.
        """
        super().__init__(filters, width, padding="same", name=name)

    def build(self, shape: tuple[int | None, ...], *_: object) -> None:
        """Create the weights."""
        super().build(shape)

    def call(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Return the maxima, at least 0; 0 for a review without tokens. `mask` as in `layers.FastSimpleRNN.call`."""
        is_token = keras.ops.expand_dims(keras.ops.transpose(mask), -1)
        found = super().call(keras.ops.transpose(sequence, (1, 0, 2)) * is_token)
        return keras.ops.relu(keras.ops.max(found * is_token, axis=1))

    def compute_output_shape(self, shape: tuple[int | None, ...], *_: object) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        return (shape[1], self.filters)
