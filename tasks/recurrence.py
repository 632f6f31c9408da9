"""Recurrent layers that read time-major sequences and multiply in few, large matrix products.

Keras computes the input's part of each step inside the loop over time and collects the gradient
of every weight step by step. Here the input's part is one product before the loop, and the
gradient of the recurrent kernel one product after it (Appleyard, Kočiský and Blunsom 2016,
"Optimizing Performance of Recurrent Neural Networks on GPUs"). The mathematics, the weights and
their initial values are those of `keras.layers.LSTM` and `keras.layers.SimpleRNN`.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Tensor = Any  # TensorFlow ships no types


def _loop(
    body: Callable[..., tuple[Tensor, ...]],
    steps: Tensor,
    states: tuple[Tensor, ...],
    widths: tuple[int, ...],
    reverse: bool = False,
) -> list[Tensor]:
    """Run `body(t, *states)`, which gives states and outputs, over time; stack the outputs, (time, batch, width)."""
    count = len(states)
    arrays = tuple(
        tf.TensorArray(tf.float32, size=steps, element_shape=(states[0].shape[0], width)) for width in widths
    )

    def step(done: Tensor, *carried: Tensor) -> tuple[Tensor, ...]:
        t = steps - 1 - done if reverse else done
        results = body(t, *carried[:count])
        written = (array.write(t, value) for array, value in zip(carried[count:], results[count:], strict=True))
        return (done + 1, *results[:count], *written)

    final = tf.while_loop(lambda done, *_: done < steps, step, (0, *states, *arrays), parallel_iterations=1)
    return [array.stack() for array in final[1 + count :]]


def _before(states: Tensor) -> Tensor:
    """Shift a (time, batch, units) tensor by one step: what each step started from, zeros at first."""
    return tf.concat([tf.zeros_like(states[:1]), states[:-1]], axis=0)


def _kernel_gradient(inputs: Tensor, gradient: Tensor) -> Tensor:
    """Sum inputsᵀ·gradient over time and batch in one product."""
    flat = tf.reshape(inputs, (-1, inputs.shape[-1]))
    return tf.matmul(flat, tf.reshape(gradient, (-1, gradient.shape[-1])), transpose_a=True)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def lstm_steps(projected: Tensor, kernel: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """Run an LSTM over its projected inputs (Hochreiter and Schmidhuber 1997; gates as in Keras: i, f, g, o).

    Args:
        projected: x·W + b of every step, (time, batch, 4 x units) float32.
        kernel: The recurrent kernel, (units, 4 x units) float32.

    Returns:
        The hidden states, (time, batch, units) float32.
    """
    steps, units = tf.shape(projected)[0], kernel.shape[0]
    zeros = tf.zeros_like(projected[0, :, :units])

    def forward(t: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, ...]:
        i, f, g, o = tf.split(projected[t] + tf.matmul(hidden, kernel), 4, axis=1)
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        cell = f * cell + i * g
        hidden = o * tf.tanh(cell)
        return hidden, cell, hidden, cell, tf.concat([i, f, g, o], axis=1)

    hiddens, cells, gates = _loop(forward, steps, (zeros, zeros), (units, units, 4 * units))

    def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
        earlier = _before(cells)

        def backward(t: Tensor, d_hidden: Tensor, d_cell: Tensor) -> tuple[Tensor, ...]:
            i, f, g, o = tf.split(gates[t], 4, axis=1)
            squashed = tf.tanh(cells[t])
            d_hidden = d_hidden + upstream[t]
            d_cell = d_cell + d_hidden * o * (1 - squashed * squashed)
            d_i, d_f = d_cell * g * i * (1 - i), d_cell * earlier[t] * f * (1 - f)
            d_g, d_o = d_cell * i * (1 - g * g), d_hidden * squashed * o * (1 - o)
            d_projected = tf.concat([d_i, d_f, d_g, d_o], axis=1)
            return tf.matmul(d_projected, kernel, transpose_b=True), d_cell * f, d_projected

        (d_projected,) = _loop(backward, steps, (zeros, zeros), (4 * units,), reverse=True)
        return d_projected, _kernel_gradient(_before(hiddens), d_projected)

    return hiddens, gradient


@tf.custom_gradient  # type: ignore[untyped-decorator]
def simple_steps(projected: Tensor, kernel: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """Run h = tanh(projected + h·kernel) over time (Elman 1990); shapes as in `lstm_steps`, with one gate."""
    steps, units = tf.shape(projected)[0], kernel.shape[0]
    zeros = tf.zeros_like(projected[0])

    def forward(t: Tensor, hidden: Tensor) -> tuple[Tensor, ...]:
        hidden = tf.tanh(projected[t] + tf.matmul(hidden, kernel))
        return hidden, hidden

    (hiddens,) = _loop(forward, steps, (zeros,), (units,))

    def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
        def backward(t: Tensor, d_hidden: Tensor) -> tuple[Tensor, ...]:
            d_projected = (d_hidden + upstream[t]) * (1 - hiddens[t] * hiddens[t])
            return tf.matmul(d_projected, kernel, transpose_b=True), d_projected

        (d_projected,) = _loop(backward, steps, (zeros,), (units,), reverse=True)
        return d_projected, _kernel_gradient(_before(hiddens), d_projected)

    return hiddens, gradient


class Recurrent(keras.layers.Layer):  # type: ignore[misc]
    """Read (time, batch, features) sequences, left padded, and give the hidden state of every step.

    The projected input is zero where `present` is: a state of zeros then stays zero, so the padding
    before a review changes nothing. Read backwards, the padding comes last; its states must not be used.
    """

    gates = 1
    steps = staticmethod(simple_steps)

    def __init__(self, units: int, backwards: bool = False) -> None:
        """Keep the number of units and the direction of reading."""
        super().__init__()
        self.units, self.backwards = units, backwards

    def build(self, shape: tuple[int | None, ...], *_: object) -> None:
        """Add the three weights, initialised as Keras initialises them."""
        self.kernel = self.add_weight(
            shape=(shape[-1], self.gates * self.units), initializer="glorot_uniform", name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.gates * self.units), initializer="orthogonal", name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(self.gates * self.units,), initializer=self.first_bias, name="bias")

    def first_bias(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        """Start without a bias."""
        return keras.ops.zeros(shape, dtype)

    def call(self, sequence: Tensor, present: Tensor) -> Tensor:
        """Give the hidden states, (time, batch, units); `present` is (time, batch, 1), 1 at a word and 0 at padding."""
        flat = tf.reshape(sequence, (-1, sequence.shape[-1]))
        shape = (tf.shape(sequence)[0], -1, self.gates * self.units)
        projected = tf.reshape(tf.matmul(flat, self.kernel) + self.bias, shape) * present
        kernel = tf.convert_to_tensor(self.recurrent_kernel)
        if self.backwards:
            return tf.reverse(self.steps(tf.reverse(projected, [0]), kernel), [0])
        return self.steps(projected, kernel)

    def compute_output_shape(self, shape: tuple[int | None, ...], *_: object) -> tuple[int | None, ...]:
        """Replace the features by the units."""
        return (*shape[:-1], self.units)


class LongShortTermMemory(Recurrent):
    """The same with the LSTM's cell; the forget gate starts open (Jozefowicz, Zaremba and Sutskever 2015)."""

    gates = 4
    steps = staticmethod(lstm_steps)

    def first_bias(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        """Start with a bias of 1 at the forget gate, 0 elsewhere."""
        bias = np.zeros(shape, dtype)
        bias[self.units : 2 * self.units] = 1
        return keras.ops.convert_to_tensor(bias)
