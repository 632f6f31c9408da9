"""Loops of the recurrent layers as TensorFlow graphs, for GPUs, on which `tasks.models.kernels` cannot run.

The gradient of the recurrent kernel is one product after the loop; Keras accumulates it step by step (Appleyard,
Kočiský and Blunsom 2016, "Optimizing Performance of Recurrent Neural Networks on GPUs").
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow ships no types


def _loop(
    body: Callable[..., tuple[Tensor, ...]],
    steps: Tensor,
    states: tuple[Tensor, ...],
    widths: tuple[int, ...],
    reverse: bool = False,
) -> list[Tensor]:
    """Run a loop over time, and stack its outputs.

    Args:
        body: Function of a step and the states before it; returns the states after it and the outputs.
        steps: Number of steps.
        states: Initial states, each (batch, units).
        widths: Width of each output.
        reverse: Whether to run from the last step to the first.

    Returns:
        Each output, (time, batch, width).
    """
    count = len(states)
    arrays = tuple(
        tf.TensorArray(tf.float32, size=steps, element_shape=(states[0].shape[0], width)) for width in widths
    )

    def step(done: Tensor, *variables: Tensor) -> tuple[Tensor, ...]:
        t = steps - 1 - done if reverse else done
        results = body(t, *variables[:count])
        written = (array.write(t, value) for array, value in zip(variables[count:], results[count:], strict=True))
        return (done + 1, *results[:count], *written)

    final = tf.while_loop(lambda done, *_: done < steps, step, (0, *states, *arrays), parallel_iterations=1)
    return [array.stack() for array in final[1 + count :]]


def _before(states: Tensor) -> Tensor:
    """Return the state before each step, given those after it, (time, batch, units); zeros before the first."""
    return tf.concat([tf.zeros_like(states[:1]), states[:-1]], axis=0)


def kernel_gradient(states: Tensor, gradient: Tensor, go_backwards: bool = False) -> Tensor:
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


def lstm_steps(
    projected: Tensor, kernel: Tensor, bias: Tensor, mask: Tensor, go_backwards: bool, training: bool
) -> Tensor:
    """Run an LSTM over its projected inputs; arguments and result as in `kernels.lstm_forward`."""
    del training
    return _run_in_direction(_lstm_states, projected, kernel, bias, mask, go_backwards)


def gru_steps(
    projected: Tensor, kernel: Tensor, bias: Tensor, mask: Tensor, go_backwards: bool, training: bool
) -> Tensor:
    """Run a gated recurrent unit over its projected inputs; arguments and result as in `kernels.gru_forward`."""
    del training
    units = kernel.shape[0]
    first, second = bias[0], bias[1]
    # The product that the reset gate multiplies has a bias of its own. It is part of the inputs, to be 0 at padding.
    biases = tf.concat([first[: 2 * units] + second[: 2 * units], first[2 * units :], second[2 * units :]], 0)
    widened = tf.concat([projected, tf.zeros_like(projected[:, :, :units])], -1)
    return _run_in_direction(_gru_states, widened, kernel, biases, mask, go_backwards)


def simple_steps(
    projected: Tensor, kernel: Tensor, bias: Tensor, mask: Tensor, go_backwards: bool, training: bool
) -> Tensor:
    """Run a simple recurrent layer over its projected inputs; arguments and result as in `kernels.simple_forward`."""
    del training
    return _run_in_direction(_simple_states, projected, kernel, bias, mask, go_backwards)


def _run_in_direction(
    states: Callable[..., Tensor], projected: Tensor, kernel: Tensor, bias: Tensor, mask: Tensor, go_backwards: bool
) -> Tensor:
    """Add the bias at tokens, and run over time in the reading direction."""
    inputs = (projected + bias) * tf.expand_dims(mask, -1)
    if go_backwards:
        return tf.reverse(states(tf.reverse(inputs, [0]), kernel), [0])
    return states(inputs, kernel)


def mean_max_pooling(states: Tensor, mask: Tensor) -> Tensor:
    """Compute mean and maximum over the tokens of each review; arguments and result as in `kernels.pool_forward`."""
    mask = tf.expand_dims(mask, -1)
    mean = tf.reduce_sum(states * mask, 0) / tf.maximum(tf.reduce_sum(mask, 0), 1.0)
    # States are in (-1, 1), so -1 at padding never is the maximum of a review with tokens.
    return tf.concat([mean, tf.reduce_max(states * mask - (1.0 - mask), 0)], axis=-1)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _lstm_states(inputs: Tensor, kernel: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """Run an LSTM over its inputs (Hochreiter and Schmidhuber 1997; gates as in Keras: i, f, g, o).

    Args:
        inputs: x·W + b of every step, (time, batch, 4 x units) float32.
        kernel: The recurrent kernel, (units, 4 x units) float32.

    Returns:
        The hidden states, (time, batch, units) float32.
    """
    steps, units = tf.shape(inputs)[0], kernel.shape[0]
    zeros = tf.zeros_like(inputs[0, :, :units])

    def forward(t: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, ...]:
        i, f, g, o = tf.split(inputs[t] + tf.matmul(hidden, kernel), 4, axis=1)
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
            d_inputs = tf.concat([d_i, d_f, d_g, d_o], axis=1)
            return tf.matmul(d_inputs, kernel, transpose_b=True), d_cell * f, d_inputs

        (d_inputs,) = _loop(backward, steps, (zeros, zeros), (4 * units,), reverse=True)
        return d_inputs, kernel_gradient(hiddens, d_inputs)

    return hiddens, gradient


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _gru_states(inputs: Tensor, kernel: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """Run a gated recurrent unit over its inputs (Cho et al. 2014; gates as in Keras: z, r, g; reset after product).

    Args:
        inputs: x·W + b of every step, and the bias of what the reset multiplies, (time, batch, 4 x units) float32.
        kernel: The recurrent kernel, (units, 3 x units) float32.

    Returns:
        The hidden states, (time, batch, units) float32.
    """
    steps, units = tf.shape(inputs)[0], kernel.shape[0]
    zeros = tf.zeros_like(inputs[0, :, :units])

    def forward(t: Tensor, hidden: Tensor) -> tuple[Tensor, ...]:
        input_parts, product_parts = tf.split(inputs[t], 4, axis=1), tf.split(tf.matmul(hidden, kernel), 3, axis=1)
        z, r = (tf.sigmoid(input_parts[gate] + product_parts[gate]) for gate in (0, 1))
        inner = product_parts[2] + input_parts[3]
        g = tf.tanh(input_parts[2] + r * inner)
        hidden = z * hidden + (1 - z) * g
        return hidden, hidden, tf.concat([z, r, g, inner], axis=1)

    hiddens, gates = _loop(forward, steps, (zeros,), (units, 4 * units))

    def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
        earlier = _before(hiddens)

        def backward(t: Tensor, d_hidden: Tensor) -> tuple[Tensor, ...]:
            z, r, g, inner = tf.split(gates[t], 4, axis=1)
            d_hidden = d_hidden + upstream[t]
            d_z, d_g = d_hidden * (earlier[t] - g) * z * (1 - z), d_hidden * (1 - z) * (1 - g * g)
            d_r, d_inner = d_g * inner * r * (1 - r), d_g * r
            d_product = tf.concat([d_z, d_r, d_inner], axis=1)
            d_inputs = tf.concat([d_z, d_r, d_g, d_inner], axis=1)
            return tf.matmul(d_product, kernel, transpose_b=True) + d_hidden * z, d_inputs, d_product

        d_inputs, d_product = _loop(backward, steps, (zeros,), (4 * units, 3 * units), reverse=True)
        return d_inputs, kernel_gradient(hiddens, d_product)

    return hiddens, gradient


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _simple_states(inputs: Tensor, kernel: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """Run h = tanh(inputs + h·kernel) over time (Elman 1990); shapes as in `lstm_steps`, with one gate."""
    steps, units = tf.shape(inputs)[0], kernel.shape[0]
    zeros = tf.zeros_like(inputs[0])

    def forward(t: Tensor, hidden: Tensor) -> tuple[Tensor, ...]:
        hidden = tf.tanh(inputs[t] + tf.matmul(hidden, kernel))
        return hidden, hidden

    (hiddens,) = _loop(forward, steps, (zeros,), (units,))

    def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
        def backward(t: Tensor, d_hidden: Tensor) -> tuple[Tensor, ...]:
            d_inputs = (d_hidden + upstream[t]) * (1 - hiddens[t] * hiddens[t])
            return tf.matmul(d_inputs, kernel, transpose_b=True), d_inputs

        (d_inputs,) = _loop(backward, steps, (zeros,), (units,), reverse=True)
        return d_inputs, kernel_gradient(hiddens, d_inputs)

    return hiddens, gradient
