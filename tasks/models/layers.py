"""Recurrent layers that read time-major sequences and multiply in few, large matrix products.

Keras computes the input's part of each step inside the loop over time. Here it is one product before
the loop, and the gradient of the recurrent kernel one product after it (Appleyard, Kočiský and Blunsom 2016,
"Optimizing Performance of Recurrent Neural Networks on GPUs"); the loop itself is compiled (`tasks.models.kernels`).
The mathematics, the weights and their initial values are those of Keras' own `LSTM`, `GRU` and `SimpleRNN`.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tasks.models import graph_loops, kernels
from tasks.models.gpus import on_gpu

Tensor = Any  # TensorFlow ships no types
Gradient = Callable[[Tensor], tuple[Tensor | None, ...]]


def _bias_gradient(gradient: Tensor) -> Tensor:
    """Sum over time and reviews, as a product, which is several times as fast as TensorFlow's sum."""
    flat = tf.reshape(gradient, (-1, gradient.shape[-1]))
    return tf.linalg.matvec(flat, tf.ones(tf.shape(flat)[:1]), transpose_a=True)


def _compiled(
    loop: Callable[..., Any], *arrays: Tensor, flags: tuple[bool, ...], widths: tuple[int, ...]
) -> list[Tensor]:
    """Run `loop(*arrays, *flags)`, a kernel, inside a graph; its results are (time, reviews, width)."""
    results = tf.nest.flatten(
        tf.numpy_function(lambda *given: loop(*given, *flags), arrays, [tf.float32] * len(widths))
    )
    return [tf.ensure_shape(result, (None, None, width)) for result, width in zip(results, widths, strict=True)]


def lstm_steps(
    projected: Tensor, kernel: Tensor, bias: Tensor, present: Tensor, backwards: bool, training: bool
) -> Tensor:
    """Run an LSTM over its projected inputs; arguments and result as of `loops.lstm_forward`."""
    units, width = kernel.shape

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(projected: Tensor, kernel: Tensor, bias: Tensor) -> tuple[Tensor, Gradient]:
        read, flags, widths = (projected, kernel, bias, present), (backwards, training), (units, units, width)
        hiddens, cells, gates = _compiled(kernels.lstm_forward, *read, flags=flags, widths=widths)

        def gradient(upstream: Tensor) -> tuple[Tensor, ...]:
            kept = (
                (cells, gates)
                if training
                else _compiled(kernels.lstm_forward, *read, flags=(backwards, True), widths=widths)[1:]
            )
            given = (upstream, kernel, *kept, present)
            (by_input,) = _compiled(kernels.lstm_backward, *given, flags=(backwards,), widths=(width,))
            return by_input, graph_loops.kernel_gradient(hiddens, by_input, backwards), _bias_gradient(by_input)

        return hiddens, gradient

    return run(projected, kernel, bias)


def gru_steps(
    projected: Tensor, kernel: Tensor, bias: Tensor, present: Tensor, backwards: bool, training: bool
) -> Tensor:
    """Run a gated recurrent unit over its projected inputs; arguments and result as of `loops.gru_forward`."""
    units, width = kernel.shape

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(projected: Tensor, kernel: Tensor, bias: Tensor) -> tuple[Tensor, Gradient]:
        read, widths = (projected, kernel, bias, present), (units, 4 * units)
        hiddens, gates = _compiled(kernels.gru_forward, *read, flags=(backwards, training), widths=widths)

        def gradient(upstream: Tensor) -> tuple[Tensor, ...]:
            kept = (
                gates if training else _compiled(kernels.gru_forward, *read, flags=(backwards, True), widths=widths)[1]
            )
            given = (upstream, kernel, hiddens, kept, present)
            by_input, by_product = _compiled(kernels.gru_backward, *given, flags=(backwards,), widths=(width, width))
            by_bias = tf.stack([_bias_gradient(by_input), _bias_gradient(by_product)])
            return by_input, graph_loops.kernel_gradient(hiddens, by_product, backwards), by_bias

        return hiddens, gradient

    return run(projected, kernel, bias)


def simple_steps(
    projected: Tensor, kernel: Tensor, bias: Tensor, present: Tensor, backwards: bool, training: bool
) -> Tensor:
    """Run a plain recurrent layer (Elman 1990) over its projected inputs, as of `loops.simple_forward`."""
    del training  # its states are all that its gradient needs

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(projected: Tensor, kernel: Tensor, bias: Tensor) -> tuple[Tensor, Gradient]:
        read, form = (projected, kernel, bias, present), {"flags": (backwards,), "widths": kernel.shape[:1]}
        (hiddens,) = _compiled(kernels.simple_forward, *read, **form)

        def gradient(upstream: Tensor) -> tuple[Tensor, ...]:
            (by_input,) = _compiled(kernels.simple_backward, upstream, kernel, hiddens, present, **form)
            return by_input, graph_loops.kernel_gradient(hiddens, by_input, backwards), _bias_gradient(by_input)

        return hiddens, gradient

    return run(projected, kernel, bias)


def mean_and_maximum(states: Tensor, present: Tensor) -> Tensor:
    """Take mean and maximum over the words of each review, as of `loops.pool_forward`."""
    units = states.shape[-1]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(states: Tensor) -> tuple[Tensor, Gradient]:
        pooled, where = tf.numpy_function(kernels.pool_forward, (states, present), (tf.float32, tf.int32))

        def gradient(upstream: Tensor) -> Tensor:
            by_states = tf.numpy_function(kernels.pool_backward, (upstream, where, present), tf.float32)
            return tf.ensure_shape(by_states, (None, None, units))

        return tf.ensure_shape(pooled, (None, 2 * units)), gradient

    return run(states)


class Recurrent(keras.layers.Layer):  # type: ignore[misc]
    """Read (time, batch, features) sequences, left padded, and give the hidden state of every step.

    The input's part of a step is zero where `present` is: a state of zeros then stays zero, so the padding
    before a review changes nothing. Read backwards, the padding comes last; its states must not be used.
    """

    gates = 1
    biases: tuple[int, ...] = ()  # how many of them, where one would not do
    steps, graph_steps = staticmethod(simple_steps), staticmethod(graph_loops.simple_steps)

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
        self.bias = self.add_weight(
            shape=(*self.biases, self.gates * self.units), initializer=self.first_bias, name="bias"
        )

    def first_bias(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        """Start without a bias."""
        return keras.ops.zeros(shape, dtype)

    def call(self, sequence: Tensor, present: Tensor, training: bool = False) -> Tensor:
        """Give the hidden states, (time, batch, units); `present` is (time, batch), 1 at a word and 0 at padding."""
        flat = tf.reshape(sequence, (-1, sequence.shape[-1]))
        shape = (tf.shape(sequence)[0], -1, self.gates * self.units)
        projected = tf.reshape(tf.matmul(flat, self.kernel), shape)
        kernel, bias = (tf.convert_to_tensor(weight) for weight in (self.recurrent_kernel, self.bias))
        steps = self.graph_steps if on_gpu() else self.steps
        return steps(projected, kernel, bias, present, self.backwards, bool(training))

    def compute_output_shape(self, shape: tuple[int | None, ...], *_: object) -> tuple[int | None, ...]:
        """Replace the features by the units."""
        return (*shape[:-1], self.units)


class LongShortTermMemory(Recurrent):
    """The same with the LSTM's cell; the forget gate starts open (Jozefowicz, Zaremba and Sutskever 2015)."""

    gates = 4
    steps, graph_steps = staticmethod(lstm_steps), staticmethod(graph_loops.lstm_steps)

    def first_bias(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        """Start with a bias of 1 at the forget gate, 0 elsewhere."""
        bias = np.zeros(shape, dtype)
        bias[self.units : 2 * self.units] = 1
        return keras.ops.convert_to_tensor(bias)


class GatedRecurrentUnit(Recurrent):
    """The same with the cell of Cho et al. 2014; its recurrence has a bias of its own, as of `loops.gru_forward`."""

    gates, biases = 3, (2,)
    steps, graph_steps = staticmethod(gru_steps), staticmethod(graph_loops.gru_steps)


class MeanAndMaximum(keras.layers.Layer):  # type: ignore[misc]
    """Take the mean and the maximum of the states, (time, batch, units), over a review's words, (batch, 2 x units)."""

    def call(self, states: Tensor, present: Tensor) -> Tensor:
        """Pool; `present` as for the recurrent layers."""
        return (graph_loops.mean_and_maximum if on_gpu() else mean_and_maximum)(states, present)

    def compute_output_shape(self, shape: tuple[int | None, ...], *_: object) -> tuple[int | None, ...]:
        """Leave out the time."""
        return (shape[1], 2 * (shape[2] or 0))
