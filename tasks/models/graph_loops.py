"""The loops of the recurrent layers as TensorFlow's graphs: for a GPU, which `tasks.models.kernels` cannot use.

The gradient of the recurrent kernel is one product after the loop, where Keras collects it step by step (Appleyard,
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


def kernel_gradient(states: Tensor, gradient: Tensor, backwards: bool = False) -> Tensor:
    """Sum (what a step started from)ᵀ·(its gradient) over time and batch, in one product.

    Args:
        states: After each step, (time, batch, units); before the first there were zeros.
        gradient: By the inputs of each step, (time, batch, width).
        backwards: Whether the last step in time was the first.

    Returns:
        The gradient of the recurrent kernel, (units, width).
    """
    before, after = (states[1:], gradient[:-1]) if backwards else (states[:-1], gradient[1:])
    flat = tf.reshape(before, (-1, before.shape[-1]))
    return tf.matmul(flat, tf.reshape(after, (-1, after.shape[-1])), transpose_a=True)


def lstm_steps(
    projected: Tensor, kernel: Tensor, bias: Tensor, present: Tensor, backwards: bool, training: bool
) -> Tensor:
    """Run an LSTM over its projected inputs; arguments and result as of `loops.lstm_forward`."""
    del training
    return _in_order(_lstm_states, projected, kernel, bias, present, backwards)


def gru_steps(
    projected: Tensor, kernel: Tensor, bias: Tensor, present: Tensor, backwards: bool, training: bool
) -> Tensor:
    """Run a gated recurrent unit over its projected inputs; arguments and result as of `loops.gru_forward`."""
    del training
    units = kernel.shape[0]
    first, second = bias[0], bias[1]
    # What the reset multiplies has a bias of its own: it goes in beside the inputs, so that it is 0 at padding, too.
    biases = tf.concat([first[: 2 * units] + second[: 2 * units], first[2 * units :], second[2 * units :]], 0)
    widened = tf.concat([projected, tf.zeros_like(projected[:, :, :units])], -1)
    return _in_order(_gru_states, widened, kernel, biases, present, backwards)


def simple_steps(
    projected: Tensor, kernel: Tensor, bias: Tensor, present: Tensor, backwards: bool, training: bool
) -> Tensor:
    """Run a plain recurrent layer over its projected inputs; arguments and result as of `loops.simple_forward`."""
    del training
    return _in_order(_simple_states, projected, kernel, bias, present, backwards)


def _in_order(
    states: Callable[..., Tensor], projected: Tensor, kernel: Tensor, bias: Tensor, present: Tensor, backwards: bool
) -> Tensor:
    """Add the bias where a word is, and run over time what is read first at the start."""
    inputs = (projected + bias) * tf.expand_dims(present, -1)
    if backwards:
        return tf.reverse(states(tf.reverse(inputs, [0]), kernel), [0])
    return states(inputs, kernel)


def mean_and_maximum(states: Tensor, present: Tensor) -> Tensor:
    """Take mean and maximum over the words of each review, as of `loops.pool_forward`."""
    present = tf.expand_dims(present, -1)
    mean = tf.reduce_sum(states * present, 0) / tf.maximum(tf.reduce_sum(present, 0), 1.0)
    # States lie in (-1, 1): without a word the maximum is -1, which no present word can fall below.
    return tf.concat([mean, tf.reduce_max(states * present - (1.0 - present), 0)], axis=-1)


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
        of_input, of_product = tf.split(inputs[t], 4, axis=1), tf.split(tf.matmul(hidden, kernel), 3, axis=1)
        z, r = (tf.sigmoid(of_input[gate] + of_product[gate]) for gate in (0, 1))
        inner = of_product[2] + of_input[3]
        g = tf.tanh(of_input[2] + r * inner)
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
            by_product = tf.concat([d_z, d_r, d_inner], axis=1)
            by_inputs = tf.concat([d_z, d_r, d_g, d_inner], axis=1)
            return tf.matmul(by_product, kernel, transpose_b=True) + d_hidden * z, by_inputs, by_product

        by_inputs, by_product = _loop(backward, steps, (zeros,), (4 * units, 3 * units), reverse=True)
        return by_inputs, kernel_gradient(hiddens, by_product)

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
