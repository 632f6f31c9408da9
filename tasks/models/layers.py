"""Recurrent layers and pooling for time-major sequences, with few, large matrix products.

Keras computes the projection of the input inside the loop over time. These layers compute it in one product before
the loop, and the gradient of the recurrent kernel in one product after it (Appleyard, Kočiský and Blunsom 2016,
"Optimizing Performance of Recurrent Neural Networks on GPUs"). The loop itself is compiled (`tasks.models.kernels`), so
it runs on the CPU; for GPUs there is `tasks.models.keras_layers`. Weights, initial values and results are those of
Keras' `SimpleRNN`, `LSTM` and `GRU`.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tasks.models import kernels

Tensor = Any  # TensorFlow ships no types
Gradient = Callable[[Tensor], tuple[Tensor | None, ...]]
# TensorFlow never removes the custom gradients that it registers, and they keep the graph and the weights of a model. A
# function has a graph of its own, without weights, that is traced once for all models with layers of this width.
traced_once: Callable[[Callable[..., Tensor]], Callable[..., Tensor]] = tf.function(autograph=False)


def _kernel_gradient(states: Tensor, gradient: Tensor, go_backwards: bool) -> Tensor:
    """Compute the gradient of the recurrent kernel, the sum of (state before a step)ᵀ·(gradient), in one product.

    Args:
        states: State after each step, (time, batch, units); it was zero before the first.
        gradient: Gradient with respect to the inputs of each step, (time, batch, width).
        go_backwards: Whether the steps ran from the end of the sequence.

    Returns:
        (units, width).
    """
    before, after = (states[1:], gradient[:-1]) if go_backwards else (states[:-1], gradient[1:])
    flat = tf.reshape(before, (-1, before.shape[-1]))
    return tf.matmul(flat, tf.reshape(after, (-1, after.shape[-1])), transpose_a=True)


def _bias_gradient(gradient: Tensor) -> Tensor:
    """Sum over time and reviews, as a matrix product, which is several times faster than TensorFlow's sum."""
    flat = tf.reshape(gradient, (-1, gradient.shape[-1]))
    return tf.linalg.matvec(flat, tf.ones(tf.shape(flat)[:1]), transpose_a=True)


def _call_kernel(
    kernel: Callable[..., Any], *arrays: Tensor, flags: tuple[bool, ...], widths: tuple[int, ...]
) -> list[Tensor]:
    """Call `kernel(*arrays, *flags)`, a compiled loop, inside a graph; its results are (time, reviews, width)."""
    results = tf.nest.flatten(
        tf.numpy_function(lambda *values: kernel(*values, *flags), arrays, [tf.float32] * len(widths))
    )
    return [tf.ensure_shape(result, (None, None, width)) for result, width in zip(results, widths, strict=True)]


@traced_once
def lstm_steps(
    projected: Tensor, kernel: Tensor, bias: Tensor, mask: Tensor, go_backwards: bool, training: bool
) -> Tensor:
    """Run an LSTM over its projected inputs; arguments and result as in `kernels.lstm_forward`."""
    units, width = kernel.shape

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(projected: Tensor, kernel: Tensor, bias: Tensor) -> tuple[Tensor, Gradient]:
        inputs, flags, widths = (projected, kernel, bias, mask), (go_backwards, training), (units, units, width)
        hiddens, cells, gates = _call_kernel(kernels.lstm_forward, *inputs, flags=flags, widths=widths)

        def gradient(upstream: Tensor) -> tuple[Tensor, ...]:
            states = (
                (cells, gates)
                if training
                else _call_kernel(kernels.lstm_forward, *inputs, flags=(go_backwards, True), widths=widths)[1:]
            )
            arrays = (upstream, kernel, *states, mask)
            (d_projected,) = _call_kernel(kernels.lstm_backward, *arrays, flags=(go_backwards,), widths=(width,))
            d_kernel = _kernel_gradient(hiddens, d_projected, go_backwards)
            return d_projected, d_kernel, _bias_gradient(d_projected)

        return hiddens, gradient

    return run(projected, kernel, bias)


@traced_once
def gru_steps(
    projected: Tensor, kernel: Tensor, bias: Tensor, mask: Tensor, go_backwards: bool, training: bool
) -> Tensor:
    """Run a gated recurrent unit over its projected inputs; arguments and result as in `kernels.gru_forward`."""
    units, width = kernel.shape

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(projected: Tensor, kernel: Tensor, bias: Tensor) -> tuple[Tensor, Gradient]:
        inputs, widths = (projected, kernel, bias, mask), (units, 4 * units)
        hiddens, gates = _call_kernel(kernels.gru_forward, *inputs, flags=(go_backwards, training), widths=widths)

        def gradient(upstream: Tensor) -> tuple[Tensor, ...]:
            states = (
                gates
                if training
                else _call_kernel(kernels.gru_forward, *inputs, flags=(go_backwards, True), widths=widths)[1]
            )
            arrays = (upstream, kernel, hiddens, states, mask)
            d_projected, d_product = _call_kernel(
                kernels.gru_backward, *arrays, flags=(go_backwards,), widths=(width, width)
            )
            d_bias = tf.stack([_bias_gradient(d_projected), _bias_gradient(d_product)])
            return d_projected, _kernel_gradient(hiddens, d_product, go_backwards), d_bias

        return hiddens, gradient

    return run(projected, kernel, bias)


@traced_once
def simple_steps(
    projected: Tensor, kernel: Tensor, bias: Tensor, mask: Tensor, go_backwards: bool, training: bool
) -> Tensor:
    """Run a simple recurrent layer over its projected inputs; arguments and result as in `kernels.simple_forward`."""
    del training  # the gradient needs only the states

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(projected: Tensor, kernel: Tensor, bias: Tensor) -> tuple[Tensor, Gradient]:
        options = {"flags": (go_backwards,), "widths": kernel.shape[:1]}
        (hiddens,) = _call_kernel(kernels.simple_forward, projected, kernel, bias, mask, **options)

        def gradient(upstream: Tensor) -> tuple[Tensor, ...]:
            (d_projected,) = _call_kernel(kernels.simple_backward, upstream, kernel, hiddens, mask, **options)
            d_kernel = _kernel_gradient(hiddens, d_projected, go_backwards)
            return d_projected, d_kernel, _bias_gradient(d_projected)

        return hiddens, gradient

    return run(projected, kernel, bias)


@traced_once
def mean_max_pooling(states: Tensor, mask: Tensor) -> Tensor:
    """Compute mean and maximum over the tokens of each review; arguments and result as in `kernels.pool_forward`."""
    units = states.shape[-1]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(states: Tensor) -> tuple[Tensor, Gradient]:
        pooled, argmax = tf.numpy_function(kernels.pool_forward, (states, mask), (tf.float32, tf.int32))

        def gradient(upstream: Tensor) -> Tensor:
            d_states = tf.numpy_function(kernels.pool_backward, (upstream, argmax, mask), tf.float32)
            return tf.ensure_shape(d_states, (None, None, units))

        return tf.ensure_shape(pooled, (None, 2 * units)), gradient

    return run(states)


class FastSimpleRNN(keras.layers.Layer):  # type: ignore[misc]
    """Simple recurrent layer (Elman 1990) that returns the state of each step.

    It reads (time, batch, features) sequences with padding on the right. It reads padding last, and its states must not
    be used. With `go_backwards`, it reads padding first; the projected input is zero there, so that a state of zeros
    remains zero.
    """

    gates = 1
    bias_shape: tuple[int, ...] = ()  # shape of the bias without its last axis
    steps = staticmethod(simple_steps)

    def __init__(self, units: int, go_backwards: bool = False, name: str | None = None) -> None:
        """Create a layer.

        Args:
            units: Width of the state.
            go_backwards: Whether to read the sequence from its end. The states are in the order of the sequence.
            name: Name of the layer, and of its weights in the cache.
        """
        super().__init__(name=name)
        self.units, self.go_backwards = units, go_backwards

    def build(self, shape: tuple[int | None, ...], *_: object) -> None:
        """Create the weights, with the initial values of Keras' layers."""
        self.kernel = self.add_weight(
            shape=(shape[-1], self.gates * self.units), initializer="glorot_uniform", name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.gates * self.units), initializer="orthogonal", name="recurrent_kernel"
        )
        self.bias = self.add_weight(
            shape=(*self.bias_shape, self.gates * self.units), initializer=self.initial_bias, name="bias"
        )

    def initial_bias(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        """Return a bias of zeros."""
        return keras.ops.zeros(shape, dtype)

    def call(self, sequence: Tensor, mask: Tensor, training: bool = False) -> Tensor:
        """Return the states.

        Args:
            sequence: (time, batch, features) float32.
            mask: (time, batch) float32, 1 at a token and 0 at padding.
            training: Whether a gradient will be computed.

        Returns:
            (time, batch, units) float32.
        """
        flat = tf.reshape(sequence, (-1, sequence.shape[-1]))
        shape = (tf.shape(sequence)[0], -1, self.gates * self.units)
        projected = tf.reshape(tf.matmul(flat, self.kernel), shape)
        kernel, bias = (tf.convert_to_tensor(weight) for weight in (self.recurrent_kernel, self.bias))
        return self.steps(projected, kernel, bias, mask, self.go_backwards, bool(training))

    def compute_output_shape(self, shape: tuple[int | None, ...], *_: object) -> tuple[int | None, ...]:
        """Return the shape of the states."""
        return (*shape[:-1], self.units)


class FastLSTM(FastSimpleRNN):
    """LSTM layer (Hochreiter and Schmidhuber 1997) that returns the state of each step; see `FastSimpleRNN`."""

    gates = 4
    steps = staticmethod(lstm_steps)

    def initial_bias(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        """Return a bias of 1 at the forget gate (Jozefowicz, Zaremba and Sutskever 2015), and 0 elsewhere."""
        bias = np.zeros(shape, dtype)
        bias[self.units : 2 * self.units] = 1
        return keras.ops.convert_to_tensor(bias)


class FastGRU(FastSimpleRNN):
    """Gated recurrent unit (Cho et al. 2014) that returns the state of each step; see `FastSimpleRNN`.

    The recurrent product has a bias of its own, as with `reset_after` in Keras; see `kernels.gru_forward`.
    """

    gates, bias_shape = 3, (2,)
    steps = staticmethod(gru_steps)


class FastMeanMaxPooling(keras.layers.Layer):  # type: ignore[misc]
    """Mean and maximum of the states over the tokens of a review: (time, batch, units) to (batch, 2 x units)."""

    def call(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return mean and maximum; `mask` as in `FastSimpleRNN.call`."""
        return mean_max_pooling(states, mask)

    def compute_output_shape(self, shape: tuple[int | None, ...], *_: object) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        return (shape[1], 2 * (shape[2] or 0))
