"""Attention pooling and convolution, computed by hand; padding, reviews without tokens, and NaN."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tasks.models.portable_layers import AttentionPooling, MaxConvolution

# Three steps of two reviews with one channel; the first has two tokens, the second none.
SEQUENCE = np.array([[[1], [7]], [[3], [7]], [[9], [7]]], np.float32)
MASK = np.array([[1, 0], [1, 0], [0, 0]], np.float32)


def make_attention(kernel: float, bias: float, context: float) -> AttentionPooling:
    layer = AttentionPooling()
    layer(SEQUENCE, MASK)
    layer.set_weights([np.array([[kernel]]), np.array([bias]), np.array([[context]])])
    return layer


def make_convolution(width: int, kernel: list[float], bias: float) -> MaxConvolution:
    layer = MaxConvolution(1, width)
    layer(SEQUENCE, MASK)
    layer.set_weights([np.array(kernel).reshape(width, 1, 1), np.array([bias])])
    return layer


def test_attention_matches_a_hand_computation() -> None:
    # The scores are 2·tanh(0.5·1 - 1) and 2·tanh(0.5·3 - 1) = ±2·tanh(0.5), so the second token has the larger weight.
    second = 1 / (1 + np.exp(-4 * np.tanh(0.5)))
    pooled = make_attention(0.5, -1, 2)(SEQUENCE, MASK)
    np.testing.assert_allclose(pooled, [[1 * (1 - second) + 3 * second], [0]], atol=1e-6)


def test_attention_without_context_is_the_mean_of_the_tokens() -> None:
    np.testing.assert_allclose(make_attention(0.5, -1, 0)(SEQUENCE, MASK), [[2], [0]], atol=1e-6)


def test_large_scores_select_one_token() -> None:
    pooled = make_attention(0.5, -1, 1e4)(SEQUENCE, MASK)
    np.testing.assert_allclose(pooled, [[3], [0]], atol=1e-6)


def test_convolution_matches_a_hand_computation() -> None:
    # Windows (0, 1, 3) and (1, 3, 0): 10·0 + 1·1 + 2·3 + 1 = 8 and 10·1 + 1·3 + 1 = 14. The 9 and the 7 are padding.
    np.testing.assert_allclose(make_convolution(3, [10, 1, 2], 1)(SEQUENCE, MASK), [[14], [0]], atol=1e-5)


@pytest.mark.parametrize("width", [3, 4, 5])
def test_review_shorter_than_the_filter_is_padded_with_zeros(width: int) -> None:
    layer = make_convolution(width, [1] * width, 0.5)
    np.testing.assert_allclose(layer(SEQUENCE[:1], MASK[:1]), [[1.5], [0]], atol=1e-6)


def test_maxima_are_not_negative() -> None:
    assert np.asarray(make_convolution(3, [-1, -1, -1], -1)(SEQUENCE, MASK)).tolist() == [[0], [0]]


@pytest.mark.parametrize(("make", "arguments"), [(make_attention, (0.5, -1, 2)), (make_convolution, (3, [1, 1, 1], 0))])
def test_nan_is_preserved(make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    sequence = SEQUENCE.copy()
    sequence[1, 0] = np.nan
    pooled = np.asarray(make(*arguments)(sequence, MASK))
    assert np.isnan(pooled[0]).all()
    assert np.isfinite(pooled[1]).all()
