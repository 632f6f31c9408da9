"""Compiled loops: tanh, steps computed by hand, NaN and infinity, and padding."""

import numpy as np
import pytest

from tasks.models import kernels

ONE_TOKEN = np.ones((1, 1), np.float32)


def normal(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@kernels.compiled
def tanh_of_array(values, out):
    for k in range(len(values)):
        out[k] = kernels.tanh(values[k])


def test_tanh_equals_that_of_numpy():
    values = np.r_[np.linspace(-12, 12, 400_001), 1e-30, -1e-8, np.inf, -np.inf, np.nan].astype(np.float32)
    out = np.empty_like(values)
    tanh_of_array(values, out)
    np.testing.assert_allclose(out, np.tanh(values.astype(np.float64)), atol=4e-7)


@pytest.mark.parametrize(("steps", "reviews", "units"), [(1, 1, 1), (7, 3, 5), (40, 64, 64)])
def test_results_are_aligned_for_tensorflow(steps, reviews, units):
    projected, kernel, bias = normal(steps, reviews, 4 * units), normal(units, 4 * units), normal(4 * units)
    mask = np.ones((steps, reviews), np.float32)
    hiddens, cells, gates = kernels.lstm_forward(projected, kernel, bias, mask, False, True)
    gradient = kernels.lstm_backward(hiddens, kernel, cells, gates, mask, False)
    for result in (hiddens, cells, gates, gradient):
        assert result.ctypes.data % 64 == 0
        assert result.flags.c_contiguous


def test_lstm_step_matches_a_hand_computation():
    # i = f = o = sigmoid(0) = 1/2 and g = tanh(1), so c = tanh(1) / 2 and h = tanh(c) / 2.
    projected = np.array([[[0, 0, 1, 0]]], np.float32)
    hiddens, cells, gates = kernels.lstm_forward(
        projected, np.zeros((1, 4), np.float32), np.zeros(4, np.float32), ONE_TOKEN, False, True
    )
    assert gates[0, 0] == pytest.approx([0.5, 0.5, np.tanh(1), 0.5], abs=1e-6)
    assert cells[0, 0, 0] == pytest.approx(np.tanh(1) / 2, abs=1e-6)
    assert hiddens[0, 0, 0] == pytest.approx(np.tanh(np.tanh(1) / 2) / 2, abs=1e-6)


def test_gru_steps_match_a_hand_computation():
    # z = r = sigmoid(0) = 1/2. First g = tanh(1/2 + r·1) = tanh(1), so h = g / 2; then g = tanh(r·(h + 1)).
    projected, kernel = np.array([[[0, 0, 0.5]], [[0, 0, 0]]], np.float32), np.array([[0, 0, 1]], np.float32)
    bias = np.array([[0, 0, 0], [0, 0, 1]], np.float32)
    hiddens, gates = kernels.gru_forward(projected, kernel, bias, np.ones((2, 1), np.float32), False, True)
    first = np.tanh(1) / 2
    assert gates[0, 0] == pytest.approx([0.5, 0.5, np.tanh(1), 1], abs=1e-6)
    assert hiddens[:, 0, 0] == pytest.approx([first, first / 2 + np.tanh((first + 1) / 2) / 2], abs=1e-6)


def test_pooling_ignores_padding():
    states = np.array([[[-0.5], [0.9]], [[-0.1], [0.9]], [[0.9], [0.9]]], np.float32)
    mask = np.array([[1, 0], [1, 0], [0, 0]], np.float32)  # the first review has two tokens, the second none
    pooled, argmax = kernels.pool_forward(states, mask)
    np.testing.assert_allclose(pooled, [[-0.3, -0.1], [0, -1]], atol=1e-7)
    assert argmax.tolist() == [[1], [-1]]
    gradient = kernels.pool_backward(np.array([[1, 10], [1, 10]], np.float32), argmax, mask)
    assert gradient[:, :, 0].tolist() == [[0.5, 0], [10.5, 0], [0, 0]]


@pytest.mark.failure_mode("out-of-memory")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_preserved(bad):
    """Divergence is detected by the loss, so no loop may replace NaN by a number."""
    projected, kernel, bias, mask = normal(3, 2, 8), normal(2, 8), normal(8), np.ones((3, 2), np.float32)
    projected[1, 0] = np.nan
    hiddens, *_ = kernels.lstm_forward(projected, kernel, bias, mask, False, True)
    assert np.isnan(hiddens[1:, 0]).all()
    assert np.isfinite(hiddens[0]).all()
    assert np.isfinite(hiddens[:, 1]).all()
    biases = np.stack([bias[:6], bias[:6]])
    states, _ = kernels.gru_forward(projected[:, :, :6].copy(), kernel[:, :6].copy(), biases, mask, False, True)
    assert np.isnan(states[1:, 0]).all()
    assert np.isfinite(states[:, 1]).all()
    states = kernels.simple_forward(projected[:, :, :2].copy(), kernel[:, :2].copy(), bias[:2], mask, False)
    assert np.isnan(states[1:, 0]).all()
    states[:] = 0.5
    states[2, 1, 0] = bad
    pooled, _ = kernels.pool_forward(states, mask)
    assert not np.isfinite(pooled[1, [0, 2]]).any()
    assert np.isfinite(pooled[0]).all()


@pytest.mark.parametrize(("name", "biases"), [("lstm_steps", (12,)), ("gru_steps", (2, 9))])
def test_gradient_does_not_depend_on_the_training_flag(name, biases):
    """Without training, the loop keeps no states, so the gradient computes them again."""
    import tensorflow as tf

    from tasks.models import layers

    width = biases[-1]
    given = [tf.constant(each) for each in (normal(6, 2, width), normal(3, width), normal(*biases))]
    found = []
    for training in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(given)
            total = tf.reduce_sum(getattr(layers, name)(*given, tf.ones((6, 2)), False, training))
        found.append(tape.gradient(total, given))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
