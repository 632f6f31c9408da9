"""The loops of the recurrent layers over time, compiled for the processor at hand (Numba), one thread each.

A step of TensorFlow's is some twenty operations on small arrays, which cost more than the matrix product among them.
Here a step is one product and one or two passes over its numbers, which stay in the processor's cache.
Arrays are C-contiguous float32; sequences are (time, reviews, ...).
"""

import numpy as np
from numba import njit

Array = np.ndarray

# Numbers that are not finite must stay so: a training that diverges is found by them. So no `fastmath=True`.
# What was compiled is kept in __pycache__, as Python keeps its own.
compiled = njit(fastmath={"contract"}, error_model="numpy", nogil=True, cache=True)
inlined = njit(fastmath={"contract"}, error_model="numpy", inline="always")

ONE = np.float32(1)
HALF = np.float32(0.5)
# From here on tanh is 1 in float32.
LARGEST = np.float32(9)
# x·p(x²)/q(x²): least squares, reweighted towards the smallest relative error on [-9, 9] (Lawson 1961); the fit is
# within 2.1e-8, in float32 within 4e-7. The C library's tanh, one number at a time, took 38 times as long.
P0, P1, P2, P3, P4 = (np.float32(c) for c in (0.99999998, 0.133810261, 3.49558871e-3, 2.06090916e-5, 1.33546737e-8))
Q1, Q2, Q3, Q4 = (np.float32(c) for c in (0.467143417, 0.0258769844, 3.28563576e-4, 7.77656344e-7))


@inlined
def tanh(x: np.float32) -> np.float32:
    """Give the hyperbolic tangent within 4e-7, NaN for NaN."""
    x = LARGEST if x > LARGEST else x
    x = -LARGEST if x < -LARGEST else x
    s = x * x
    return x * ((((P4 * s + P3) * s + P2) * s + P1) * s + P0) / ((((Q4 * s + Q3) * s + Q2) * s + Q1) * s + ONE)


@inlined
def empty(shape: tuple[int, ...]) -> Array:
    """Allocate float32 numbers where TensorFlow takes an array as it is: what does not begin at 64 bytes it copies."""
    size = 1
    for extent in shape:
        size *= extent
    room = np.empty(size + 16, np.float32)
    start = (-room.ctypes.data % 64) // 4
    return room[start : start + size].reshape(shape)


@inlined
def _order(steps: int, backwards: bool) -> tuple[int, int, int]:
    """Give the first step, the one after the last, and the stride."""
    return (steps - 1, -1, -1) if backwards else (0, steps, 1)


@compiled
def simple_forward(projected: Array, kernel: Array, bias: Array, present: Array, backwards: bool) -> Array:
    """Run h = tanh((x·W + bias)·present + h·kernel) over time, from h = 0.

    Args:
        projected: x·W of every step, (time, reviews, units).
        kernel: The recurrent kernel, (units, units).
        bias: (units,).
        present: 1 at a word and 0 at padding, (time, reviews).
        backwards: Whether to read from the end.

    Returns:
        h after each step, (time, reviews, units); 0 at padding.
    """
    steps, reviews, units = projected.shape
    hiddens, product = empty(projected.shape), np.zeros((reviews, units), np.float32)
    start, stop, stride = _order(steps, backwards)
    for t in range(start, stop, stride):
        if t != start:
            np.dot(hiddens[t - stride], kernel, product)
        for r in range(reviews):
            x, b, out, here = projected[t, r], product[r], hiddens[t, r], present[t, r]
            for k in range(units):
                out[k] = tanh((x[k] + bias[k]) * here + b[k]) * here
    return hiddens


@compiled
def simple_backward(upstream: Array, kernel: Array, hiddens: Array, present: Array, backwards: bool) -> Array:
    """Give the gradient by `projected`, (time, reviews, units), from that by the states, `upstream`, of that shape."""
    steps, reviews, units = upstream.shape
    gradient, carried = empty(upstream.shape), np.zeros((reviews, units), np.float32)
    transposed = np.ascontiguousarray(kernel.T)
    start, stop, stride = _order(steps, not backwards)
    for t in range(start, stop, stride):
        for r in range(reviews):
            above, later, h, out, here = upstream[t, r], carried[r], hiddens[t, r], gradient[t, r], present[t, r]
            for k in range(units):
                out[k] = (above[k] + later[k]) * (ONE - h[k] * h[k]) * here
        np.dot(gradient[t], transposed, carried)
    return gradient


@compiled
def lstm_forward(
    projected: Array, kernel: Array, bias: Array, present: Array, backwards: bool, keep: bool
) -> tuple[Array, Array, Array]:
    """Run an LSTM over time from zero states (Hochreiter and Schmidhuber 1997; gates as in Keras: i, f, g, o).

    Args:
        projected: x·W of every step, (time, reviews, 4 x units).
        kernel: The recurrent kernel, (units, 4 x units).
        bias: (4 x units,).
        present: 1 at a word and 0 at padding, (time, reviews).
        backwards: Whether to read from the end.
        keep: Whether cells and gates are kept for `lstm_backward`; without, only two steps' worth is there.

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
    start, stop, stride = _order(steps, backwards)
    for t in range(start, stop, stride):
        if t != start:
            np.dot(hiddens[t - stride], kernel, product)
        cell, gate = cells[t % kept], gates[t % kept]
        for r in range(reviews):
            x, b, z, here = projected[t, r], product[r], gate[r], present[t, r]
            for k in range(width):
                z[k] = tanh(((x[k] + bias[k]) * here + b[k]) * slope[k]) * slope[k] + (ONE - slope[k])
        for r in range(reviews):
            z, old, new, out = gate[r], before[r], cell[r], hiddens[t, r]
            for k in range(units):
                c = z[units + k] * old[k] + z[k] * z[2 * units + k]
                new[k] = c
                out[k] = z[3 * units + k] * tanh(c) * present[t, r]
        before = cell
    return hiddens, cells, gates


@compiled
def lstm_backward(upstream: Array, kernel: Array, cells: Array, gates: Array, present: Array, backwards: bool) -> Array:
    """Give the gradient by `projected`, (time, reviews, 4 x units), from that by the hidden states, `upstream`.

    Padding gets none: before a review nothing but zeros can come of it, and after one nothing is read.
    """
    steps, reviews, units = upstream.shape
    gradient = empty(gates.shape)
    d_hidden, d_cell = np.zeros((reviews, units), np.float32), np.zeros((reviews, units), np.float32)
    zeros, transposed = np.zeros((reviews, units), np.float32), np.ascontiguousarray(kernel.T)
    start, stop, stride = _order(steps, not backwards)
    for t in range(start, stop, stride):
        earlier = zeros if t + stride == stop else cells[t + stride]
        for r in range(reviews):
            above, later, carried, here = upstream[t, r], d_hidden[r], d_cell[r], present[t, r]
            z, c, old, out = gates[t, r], cells[t, r], earlier[r], gradient[t, r]
            for k in range(units):
                i, f, g, o, squashed = z[k], z[units + k], z[2 * units + k], z[3 * units + k], tanh(c[k])
                dh = (above[k] + later[k]) * here
                dc = carried[k] * here + dh * o * (ONE - squashed * squashed)
                out[k] = dc * g * i * (ONE - i)
                out[units + k] = dc * old[k] * f * (ONE - f)
                out[2 * units + k] = dc * i * (ONE - g * g)
                out[3 * units + k] = dh * squashed * o * (ONE - o)
                carried[k] = dc * f
        np.dot(gradient[t], transposed, d_hidden)
    return gradient


@compiled
def gru_forward(
    projected: Array, kernel: Array, bias: Array, present: Array, backwards: bool, keep: bool
) -> tuple[Array, Array]:
    """Run a gated recurrent unit over time from h = 0 (Cho et al. 2014; gates as in Keras: z, r and the candidate g).

    The reset r multiplies the product with the kernel, not the state before it (`reset_after` in Keras), so that a
    step is one product: g = tanh(x·W + bias[0] + r·(h·kernel + bias[1])), then h = z·h + (1 - z)·g.

    Args:
        projected: x·W of every step, (time, reviews, 3 x units).
        kernel: The recurrent kernel, (units, 3 x units).
        bias: Of the input, then of the recurrence, (2, 3 x units).
        present: 1 at a word and 0 at padding, (time, reviews).
        backwards: Whether to read from the end.
        keep: Whether the gates are kept for `gru_backward`; without, only one step's worth is there.

    Returns:
        h after each step, (time, reviews, units), 0 at padding; and z, r, g and what r multiplies,
        (time, reviews, 4 x units).
    """
    steps, reviews, width = projected.shape
    units = width // 3
    kept = steps if keep else 1
    hiddens, gates = empty((steps, reviews, units)), empty((kept, reviews, 4 * units))
    product, before = np.zeros((reviews, width), np.float32), np.zeros((reviews, units), np.float32)
    start, stop, stride = _order(steps, backwards)
    for t in range(start, stop, stride):
        if t != start:
            np.dot(before, kernel, product)
        for r in range(reviews):
            x, b, z, here = projected[t, r], product[r], gates[t % kept, r], present[t, r]
            old, new, first, second = before[r], hiddens[t, r], bias[0], bias[1]
            for k in range(2 * units):
                z[k] = tanh(((x[k] + first[k] + second[k]) * here + b[k]) * HALF) * HALF + HALF
            for k in range(units):
                inner = b[2 * units + k] + second[2 * units + k] * here
                g = tanh((x[2 * units + k] + first[2 * units + k]) * here + z[units + k] * inner)
                z[2 * units + k], z[3 * units + k] = g, inner
                new[k] = (z[k] * old[k] + (ONE - z[k]) * g) * here
        before = hiddens[t]
    return hiddens, gates


@compiled
def gru_backward(
    upstream: Array, kernel: Array, hiddens: Array, gates: Array, present: Array, backwards: bool
) -> tuple[Array, Array]:
    """Give the gradients by `projected` and by the products with the kernel from that by the states, `upstream`.

    Both are (time, reviews, 3 x units); they differ in the candidate, whose product the reset multiplies.
    """
    steps, reviews, units = upstream.shape
    by_input = empty((steps, reviews, 3 * units))
    by_product, carried = empty(by_input.shape), np.zeros((reviews, units), np.float32)
    product = np.zeros((reviews, units), np.float32)
    zeros, transposed = np.zeros((reviews, units), np.float32), np.ascontiguousarray(kernel.T)
    start, stop, stride = _order(steps, not backwards)
    for t in range(start, stop, stride):
        earlier = zeros if t + stride == stop else hiddens[t + stride]
        for r in range(reviews):
            above, later, direct, here = upstream[t, r], product[r], carried[r], present[t, r]
            gate, old, out, inner = gates[t, r], earlier[r], by_input[t, r], by_product[t, r]
            for k in range(units):
                z, reset, g, multiplied = gate[k], gate[units + k], gate[2 * units + k], gate[3 * units + k]
                dh = (above[k] + later[k] + direct[k]) * here
                dg = dh * (ONE - z) * (ONE - g * g)
                out[k] = inner[k] = dh * (old[k] - g) * z * (ONE - z)
                out[units + k] = inner[units + k] = dg * multiplied * reset * (ONE - reset)
                out[2 * units + k] = dg
                inner[2 * units + k] = dg * reset
                direct[k] = dh * z
        np.dot(by_product[t], transposed, product)
    return by_input, by_product


@compiled
def pool_forward(states: Array, present: Array) -> tuple[Array, Array]:
    """Take mean and maximum over the words of each review.

    Args:
        states: Within (-1, 1), 0 at padding, (time, reviews, units).
        present: 1 at a word and 0 at padding, (time, reviews).

    Returns:
        The means and beside them the maxima, (reviews, 2 x units), 0 and -1 for a review without words; and the step
        of each maximum (the first one; -1 without words), (reviews, units) int32.
    """
    steps, reviews, units = states.shape
    pooled, where = np.zeros((reviews, 2 * units), np.float32), np.full((reviews, units), -1, np.int32)
    pooled[:, units:] = -ONE
    for t in range(steps):
        for r in range(reviews):
            if present[t, r] > 0:
                state, total, highest, step = states[t, r], pooled[r, :units], pooled[r, units:], where[r]
                for k in range(units):
                    total[k] += state[k]
                    higher = not (state[k] <= highest[k])  # so that NaN is found, too
                    highest[k] = state[k] if higher else highest[k]
                    step[k] = t if higher else step[k]
    for r in range(reviews):
        pooled[r, :units] /= max(present[:, r].sum(), ONE)
    return pooled, where


@compiled
def pool_backward(upstream: Array, where: Array, present: Array) -> Array:
    """Give the gradient by `states` from that by the means and maxima, `upstream`, (reviews, 2 x units)."""
    reviews, units = where.shape
    gradient = empty((len(present), reviews, units))
    shares = np.empty((reviews, units), np.float32)
    for r in range(reviews):
        shares[r] = upstream[r, :units] / max(present[:, r].sum(), ONE)
    for t in range(len(present)):
        for r in range(reviews):
            out, share, highest, step, here = gradient[t, r], shares[r], upstream[r, units:], where[r], present[t, r]
            for k in range(units):
                out[k] = share[k] * here + (highest[k] if step[k] == t else np.float32(0))
    return gradient
