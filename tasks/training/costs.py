"""Costs of a model besides its training time: floating-point operations, prediction latency, and memory."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

# A backward pass takes about twice the operations of a forward pass (Kaplan et al. 2020, "Scaling Laws for Neural
# Language Models", section 2.1).
FORWARD_AND_BACKWARD = 3
SINGLE_REVIEWS, BATCH_REVIEWS = 100, 256  # reviews predicted one by one, and in one batch
BATCH_ROUNDS = 5


@dataclass(frozen=True)
class Latency:
    """Prediction latency.

    Attributes:
        latency_ms: Median milliseconds for the prediction of one review.
        latency_q1_ms: First quartile of the same measurements.
        latency_q3_ms: Third quartile of the same measurements.
        batch_ms: Milliseconds per review in a batch of up to 256 reviews.
    """

    latency_ms: float
    latency_q1_ms: float
    latency_q3_ms: float
    batch_ms: float


def flops(model: keras.Model) -> tuple[float, float]:
    """Count the multiplications and additions in the matrix products of a model's forward pass.

    An embedding needs no multiplication. Elementwise operations (gates, pooling) are small in comparison and not
    counted.

    Returns:
        Floating-point operations per token, and those per review that do not depend on its tokens. Both are NaN if the
        model has a layer with weights that is not known here.
    """
    import keras

    from tasks.models.keras_layers import TimeMajorRNN
    from tasks.models.layers import FastSimpleRNN
    from tasks.models.portable_layers import AttentionPooling, MaxConvolution

    per_token, per_review = 0.0, 0.0
    for layer in model.layers:
        operations = 2.0 * sum(int(np.prod(weight.shape)) for weight in layer.weights if "bias" not in weight.name)
        if isinstance(layer, FastSimpleRNN | TimeMajorRNN | AttentionPooling | MaxConvolution):
            per_token += operations
        elif isinstance(layer, keras.layers.Dense):
            per_review += operations
        elif layer.weights and not isinstance(layer, keras.layers.Embedding):
            return float("nan"), float("nan")
    return per_token, per_review


def training_flops(
    model: keras.Model, *, train_tokens: int, validation_tokens: int, reviews: int, epochs: int
) -> float:
    """Count the operations of a training: forward and backward on training reviews, forward on validation reviews.

    Args:
        model: The model.
        train_tokens: Tokens of the training reviews in an epoch, including padding.
        validation_tokens: Tokens of the validation reviews, including padding.
        reviews: Number of training reviews.
        epochs: Number of epochs.

    Returns:
        Floating-point operations; NaN if they are not known, see `flops`.
    """
    per_token, per_review = flops(model)
    return epochs * (
        FORWARD_AND_BACKWARD * (per_token * train_tokens + per_review * reviews) + per_token * validation_tokens
    )


def latency(predict: Callable[[np.ndarray], object], reviews: int) -> Latency:
    """Measure the prediction latency on this machine, with its current load.

    Args:
        predict: Predicts the reviews in the given rows, (n,) integers.
        reviews: Number of reviews; the first ones are predicted.
    """
    single = [np.array([row]) for row in range(min(SINGLE_REVIEWS, reviews))]
    batch = np.arange(min(BATCH_REVIEWS, reviews))
    predict(single[0]), predict(batch)  # the first call compiles
    quartiles = 1_000 * np.quantile([_seconds(predict, rows) for rows in single], [0.25, 0.5, 0.75])
    first, median, third = quartiles.tolist()
    batch_seconds = float(np.median([_seconds(predict, batch) for _ in range(BATCH_ROUNDS)]))
    return Latency(median, first, third, 1_000 * batch_seconds / len(batch))


def _seconds(predict: Callable[[np.ndarray], object], rows: np.ndarray) -> float:
    start = time.perf_counter()
    predict(rows)
    return time.perf_counter() - start


def reset_peak_memory() -> None:
    """Reset the peak memory of this process if the system supports it (Linux). A worker trains many trials.

    Freed memory is returned to the system first; otherwise it would count for the next trial.
    """
    gc.collect()
    with suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> float:
    """Return the peak memory of this process in MB, since `reset_peak_memory` on Linux, else since its start."""
    with suppress(OSError):
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on macOS
