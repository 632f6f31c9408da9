"""Loops of the recurrent layers over time, compiled for the processor of this machine (Numba), on one thread.

In TensorFlow, a step consists of about twenty operations on small arrays, which take longer than its matrix product.
In these loops a step is one product and one or two passes over its values, which stay in the processor's cache.

All arrays are C-contiguous float32; sequences are (time, reviews, ...). In all functions, `mask` is (time, reviews),
1 at a token and 0 at padding, and `go_backwards` is whether the sequence is read from its end.
"""

import numpy as np
from numba import njit

Array = np.ndarray

# No `fastmath=True`: NaN and infinity must be preserved, because they show that a training has diverged.
# The compiled code is cached in __pycache__.
compiled = njit(fastmath={"contract"}, error_model="numpy", nogil=True, cache=True)
inlined = njit(fastmath={"contract"}, error_model="numpy", inline="always")

ONE = np.float32(1)
HALF = np.float32(0.5)
# tanh(x) is 1 in float32 for all larger x.
LARGEST = np.float32(9)
# tanh(x) = x·p(x²)/q(x²), fitted on [-9, 9] by least squares with weights that minimize the largest relative error
# (Lawson 1961): 2.1e-8, in float32 4e-7. The tanh of the C library, called for one number at a time, takes 38 times as
# long.
P0, P1, P2, P3, P4 = (np.float32(c) for c in (0.99999998, 0.133810261, 3.49558871e-3, 2.06090916e-5, 1.33546737e-8))
Q1, Q2, Q3, Q4 = (np.float32(c) for c in (0.467143417, 0.0258769844, 3.28563576e-4, 7.77656344e-7))


@inlined
def tanh(x: np.float32) -> np.float32:
    """Compute the hyperbolic tangent with an error of at most 4e-7; NaN for NaN."""
    x = LARGEST if x > LARGEST else x
    x = -LARGEST if x < -LARGEST else x
    s = x * x
    return x * ((((P4 * s + P3) * s + P2) * s + P1) * s + P0) / ((((Q4 * s + Q3) * s + Q2) * s + Q1) * s + ONE)


@inlined
def empty(shape: tuple[int, ...]) -> Array:
    """Allocate a float32 array aligned to 64 bytes. TensorFlow copies arrays with another alignment."""
    size = 1
    for extent in shape:
        size *= extent
    buffer = np.empty(size + 16, np.float32)
    start = (-buffer.ctypes.data % 64) // 4
    return buffer[start : start + size].reshape(shape)


@inlined
def _order(steps: int, go_backwards: bool) -> tuple[int, int, int]:
    """Return start, stop and stride of a loop over time."""
    return (steps - 1, -1, -1) if go_backwards else (0, steps, 1)


@compiled
def simple_forward(projected: Array, kernel: Array, bias: Array, mask: Array, go_backwards: bool) -> Array:
    """Run h = tanh((x·W + bias)·mask + h·kernel) over time, from h = 0.

    Args:
        projected: x·W of each step, (time, reviews, units).
        kernel: Recurrent kernel, (units, units).
        bias: (units,).
        mask: (time, reviews).
        go_backwards: Reading direction.

    Returns:
        h after each step, (time, reviews, units); 0 at padding.
    """
    steps, reviews, units = projected.shape
    hiddens, product = empty(projected.shape), np.zeros((reviews, units), np.float32)
    start, stop, stride = _order(steps, go_backwards)
    for t in range(start, stop, stride):
        if t != start:
            np.dot(hiddens[t - stride], kernel, product)
        for r in range(reviews):
            x, b, out, inside = projected[t, r], product[r], hiddens[t, r], mask[t, r]
            for k in range(units):
                out[k] = tanh((x[k] + bias[k]) * inside + b[k]) * inside
    return hiddens


@compiled
def simple_backward(upstream: Array, kernel: Array, hiddens: Array, mask: Array, go_backwards: bool) -> Array:
    """Compute the gradient with respect to `projected` from that with respect to the states, `upstream`.

    Both are (time, reviews, units).
    """
    steps, reviews, units = upstream.shape
    gradient, carried = empty(upstream.shape), np.zeros((reviews, units), np.float32)
    transposed = np.ascontiguousarray(kernel.T)
    start, stop, stride = _order(steps, not go_backwards)
    for t in range(start, stop, stride):
        for r in range(reviews):
            above, later, h, out, inside = upstream[t, r], carried[r], hiddens[t, r], gradient[t, r], mask[t, r]
            for k in range(units):
                out[k] = (above[k] + later[k]) * (ONE - h[k] * h[k]) * inside
        np.dot(gradient[t], transposed, carried)
    return gradient


@compiled
def lstm_forward(
    projected: Array, kernel: Array, bias: Array, mask: Array, go_backwards: bool, keep: bool
) -> tuple[Array, Array, Array]:
    """Run an LSTM over time from zero states (Hochreiter and Schmidhuber 1997; gates in Keras' order i, f, g, o).

    Args:
        projected: x·W of each step, (time, reviews, 4 x units).
        kernel: Recurrent kernel, (units, 4 x units).
        bias: (4 x units,).
        mask: (time, reviews).
        go_backwards: Reading direction.
        keep: Whether to keep cells and gates of all steps for `lstm_backward`; otherwise those of two steps are kept.

    Returns:
        Hidden states (0 at padding) and cells after each step, (time, reviews, units), and gates,
        (time, reviews, 4 x units).
    """
    steps, reviews, width = projected.shape
    units = width // 4
    kept = steps if keep else 2
    hiddens = empty((steps, reviews, units))
    cells, gates = empty((kept, reviews, units)), empty((kept, reviews, width))
    product, before = np.zeros((reviews, width), np.float32), np.zeros((reviews, units), np.float32)
    slope = np.full(width, HALF)  # sigmoid(x) = tanh(x / 2) / 2 + 1 / 2
    slope[2 * units : 3 * units] = ONE
    start, stop, stride = _order(steps, go_backwards)
    for t in range(start, stop, stride):
        if t != start:
            np.dot(hiddens[t - stride], kernel, product)
        cell, gate = cells[t % kept], gates[t % kept]
        for r in range(reviews):
            x, b, z, inside = projected[t, r], product[r], gate[r], mask[t, r]
            for k in range(width):
                z[k] = tanh(((x[k] + bias[k]) * inside + b[k]) * slope[k]) * slope[k] + (ONE - slope[k])
        for r in range(reviews):
            z, old, new, out = gate[r], before[r], cell[r], hiddens[t, r]
            for k in range(units):
                c = z[units + k] * old[k] + z[k] * z[2 * units + k]
                new[k] = c
                out[k] = z[3 * units + k] * tanh(c) * mask[t, r]
        before = cell
    return hiddens, cells, gates


@compiled
def lstm_backward(upstream: Array, kernel: Array, cells: Array, gates: Array, mask: Array, go_backwards: bool) -> Array:
    """Compute the gradient with respect to `projected`, (time, reviews, 4 x units).

    It is 0 at padding: states before a review are always zero, and states after its end are not used.

    Args:
        upstream: Gradient with respect to the hidden states, (time, reviews, units).
        kernel: Recurrent kernel, (units, 4 x units).
        cells: From `lstm_forward`.
        gates: From `lstm_forward`.
        mask: (time, reviews).
        go_backwards: Reading direction.
    """
    steps, reviews, units = upstream.shape
    gradient = empty(gates.shape)
    d_hidden, d_cell = np.zeros((reviews, units), np.float32), np.zeros((reviews, units), np.float32)
    zeros, transposed = np.zeros((reviews, units), np.float32), np.ascontiguousarray(kernel.T)
    start, stop, stride = _order(steps, not go_backwards)
    for t in range(start, stop, stride):
        earlier = zeros if t + stride == stop else cells[t + stride]
        for r in range(reviews):
            above, later, carried, inside = upstream[t, r], d_hidden[r], d_cell[r], mask[t, r]
            z, c, old, out = gates[t, r], cells[t, r], earlier[r], gradient[t, r]
            for k in range(units):
                i, f, g, o, squashed = z[k], z[units + k], z[2 * units + k], z[3 * units + k], tanh(c[k])
                dh = (above[k] + later[k]) * inside
                dc = carried[k] * inside + dh * o * (ONE - squashed * squashed)
                out[k] = dc * g * i * (ONE - i)
                out[units + k] = dc * old[k] * f * (ONE - f)
                out[2 * units + k] = dc * i * (ONE - g * g)
                out[3 * units + k] = dh * squashed * o * (ONE - o)
                carried[k] = dc * f
        np.dot(gradient[t], transposed, d_hidden)
    return gradient


@compiled
def gru_forward(
    projected: Array, kernel: Array, bias: Array, mask: Array, go_backwards: bool, keep: bool
) -> tuple[Array, Array]:
    """Run a gated recurrent unit over time from h = 0 (Cho et al. 2014; gates in Keras' order z, r, candidate g).

    The reset gate r multiplies the product with the kernel and not the state before it (`reset_after` in Keras). So a
    step needs one product: g = tanh(x·W + bias[0] + r·(h·kernel + bias[1])), then h = z·h + (1 - z)·g.

    Args:
        projected: x·W of each step, (time, reviews, 3 x units).
        kernel: Recurrent kernel, (units, 3 x units).
        bias: Bias of the input, then of the recurrent product, (2, 3 x units).
        mask: (time, reviews).
        go_backwards: Reading direction.
        keep: Whether to keep the gates of all steps for `gru_backward`; otherwise those of one step are kept.

    Returns:
        h after each step, (time, reviews, units), 0 at padding; and z, r, g and the factor of r,
        (time, reviews, 4 x units).
    """
    steps, reviews, width = projected.shape
    units = width // 3
    kept = steps if keep else 1
    hiddens, gates = empty((steps, reviews, units)), empty((kept, reviews, 4 * units))
    product, before = np.zeros((reviews, width), np.float32), np.zeros((reviews, units), np.float32)
    start, stop, stride = _order(steps, go_backwards)
    for t in range(start, stop, stride):
        if t != start:
            np.dot(before, kernel, product)
        for r in range(reviews):
            x, b, z, inside = projected[t, r], product[r], gates[t % kept, r], mask[t, r]
            old, new, first, second = before[r], hiddens[t, r], bias[0], bias[1]
            for k in range(2 * units):
                z[k] = tanh(((x[k] + first[k] + second[k]) * inside + b[k]) * HALF) * HALF + HALF
            for k in range(units):
                inner = b[2 * units + k] + second[2 * units + k] * inside
                g = tanh((x[2 * units + k] + first[2 * units + k]) * inside + z[units + k] * inner)
                z[2 * units + k], z[3 * units + k] = g, inner
                new[k] = (z[k] * old[k] + (ONE - z[k]) * g) * inside
        before = hiddens[t]
    return hiddens, gates


@compiled
def gru_backward(
    upstream: Array, kernel: Array, hiddens: Array, gates: Array, mask: Array, go_backwards: bool
) -> tuple[Array, Array]:
    """Compute the gradients with respect to `projected` and to the products with the kernel.

    Args:
        upstream: Gradient with respect to the states, (time, reviews, units).
        kernel: Recurrent kernel, (units, 3 x units).
        hiddens: From `gru_forward`.
        gates: From `gru_forward`.
        mask: (time, reviews).
        go_backwards: Reading direction.

    Returns:
        Both gradients, (time, reviews, 3 x units). They differ in the candidate, whose product r multiplies.
    """
    steps, reviews, units = upstream.shape
    d_projected = empty((steps, reviews, 3 * units))
    d_product, carried = empty(d_projected.shape), np.zeros((reviews, units), np.float32)
    product = np.zeros((reviews, units), np.float32)
    zeros, transposed = np.zeros((reviews, units), np.float32), np.ascontiguousarray(kernel.T)
    start, stop, stride = _order(steps, not go_backwards)
    for t in range(start, stop, stride):
        earlier = zeros if t + stride == stop else hiddens[t + stride]
        for r in range(reviews):
            above, later, direct, inside = upstream[t, r], product[r], carried[r], mask[t, r]
            gate, old, out, inner = gates[t, r], earlier[r], d_projected[t, r], d_product[t, r]
            for k in range(units):
                z, reset, g, multiplied = gate[k], gate[units + k], gate[2 * units + k], gate[3 * units + k]
                dh = (above[k] + later[k] + direct[k]) * inside
                dg = dh * (ONE - z) * (ONE - g * g)
                out[k] = inner[k] = dh * (old[k] - g) * z * (ONE - z)
                out[units + k] = inner[units + k] = dg * multiplied * reset * (ONE - reset)
                out[2 * units + k] = dg
                inner[2 * units + k] = dg * reset
                direct[k] = dh * z
        np.dot(d_product[t], transposed, product)
    return d_projected, d_product


@compiled
def pool_forward(states: Array, mask: Array) -> tuple[Array, Array]:
    """Compute mean and maximum over the tokens of each review.

    Args:
        states: (time, reviews, units) in (-1, 1), 0 at padding.
        mask: (time, reviews).

    Returns:
        Means and then maxima, (reviews, 2 x units), 0 and -1 for a review without tokens; and the first step of each
        maximum, (reviews, units) int32, -1 for a review without tokens.
    """
    steps, reviews, units = states.shape
    pooled, argmax = np.zeros((reviews, 2 * units), np.float32), np.full((reviews, units), -1, np.int32)
    pooled[:, units:] = -ONE
    for t in range(steps):
        for r in range(reviews):
            if mask[t, r] > 0:
                state, total, highest, step = states[t, r], pooled[r, :units], pooled[r, units:], argmax[r]
                for k in range(units):
                    total[k] += state[k]
                    higher = not (state[k] <= highest[k])  # true for NaN as well
                    highest[k] = state[k] if higher else highest[k]
                    step[k] = t if higher else step[k]
    for r in range(reviews):
        pooled[r, :units] /= max(mask[:, r].sum(), ONE)
    return pooled, argmax


@compiled
def pool_backward(upstream: Array, argmax: Array, mask: Array) -> Array:
    """Compute the gradient with respect to `states`.

    Args:
        upstream: Gradient with respect to means and maxima, (reviews, 2 x units).
        argmax: Steps of the maxima, from `pool_forward`.
        mask: (time, reviews).
    """
    reviews, units = argmax.shape
    gradient = empty((len(mask), reviews, units))
    shares = np.empty((reviews, units), np.float32)
    for r in range(reviews):
        shares[r] = upstream[r, :units] / max(mask[:, r].sum(), ONE)
    for t in range(len(mask)):
        for r in range(reviews):
            out, share, highest, step, inside = gradient[t, r], shares[r], upstream[r, units:], argmax[r], mask[t, r]
            for k in range(units):
                out[k] = share[k] * inside + (highest[k] if step[k] == t else np.float32(0))
    return gradient
