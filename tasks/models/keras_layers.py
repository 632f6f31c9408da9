"""The layers of `tasks.models.layers` for GPUs, with the same arguments, weights and results: those of Keras.

TensorFlow runs `LSTM` and `GRU` by cuDNN if activations and biases are Keras' defaults, there is no recurrent dropout,
and padding is on the right of at least one token. There is no cuDNN kernel of Keras' `SimpleRNN`: it is a loop of
TensorFlow operations.
"""

from typing import Any

import keras

Tensor = Any  # Keras ships no types


class TimeMajorRNN(keras.layers.RNN):  # type: ignore[misc]
    """Makes a recurrent layer of Keras read and return (time, batch, features)."""

    def __init__(self, units: int, go_backwards: bool = False, name: str | None = None) -> None:
        """Create a layer; arguments as of `layers.FastSimpleRNN`."""
        super().__init__(units, return_sequences=True, go_backwards=go_backwards, name=name)

    def build(self, sequences_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        super().build(sequences_shape)

    def call(self, sequences: Tensor, mask: Tensor, training: bool = False) -> Tensor:
        """Return the states; arguments and result as of `layers.FastSimpleRNN.call`. States at padding are undefined.

        cuDNN refuses reviews without tokens. One step of padding is read of them; no other layer uses its state.
        """
        batch_major, first = keras.ops.transpose(sequences, (1, 0, 2)), keras.ops.arange(keras.ops.shape(mask)[0]) == 0
        read = keras.ops.logical_or(keras.ops.transpose(mask) > 0, first)
        states = super().call(batch_major, mask=read, training=training)
        return keras.ops.transpose(keras.ops.flip(states, 1) if self.go_backwards else states, (1, 0, 2))

    def compute_output_shape(self, shape: tuple[int | None, ...], *_: object) -> tuple[int | None, ...]:
        """Return the shape of the states."""
        return (*shape[:-1], self.units)


class KerasSimpleRNN(TimeMajorRNN, keras.layers.SimpleRNN):  # type: ignore[misc]
    """`layers.FastSimpleRNN`, computed by Keras."""


class KerasLSTM(TimeMajorRNN, keras.layers.LSTM):  # type: ignore[misc]
    """`layers.FastLSTM`, computed by Keras."""


class KerasGRU(TimeMajorRNN, keras.layers.GRU):  # type: ignore[misc]
    """`layers.FastGRU`, computed by Keras."""


class KerasMeanMaxPooling(keras.layers.Layer):  # type: ignore[misc]
    """`layers.FastMeanMaxPooling`, computed by Keras."""

    def call(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return mean and maximum; arguments and result as of `layers.FastMeanMaxPooling.call`."""
        tokens = keras.ops.expand_dims(mask > 0, -1)
        count = keras.ops.maximum(keras.ops.sum(keras.ops.expand_dims(mask, -1), 0), 1)
        mean = keras.ops.sum(keras.ops.where(tokens, states, 0), 0) / count
        # States are in (-1, 1), so -1 at padding never is the maximum of a review with tokens.
        return keras.ops.concatenate([mean, keras.ops.max(keras.ops.where(tokens, states, -1), 0)], -1)
