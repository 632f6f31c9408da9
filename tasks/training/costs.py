"""What a model costs beside its training time: arithmetic in closed form, time for an answer, memory."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

# A gradient step multiplies about twice as much again as the pass forward (Kaplan et al. 2020, "Scaling Laws for
# Neural Language Models", section 2.1).
FORWARD_AND_BACKWARD = 3
ALONE, TOGETHER = 50, 256  # reviews answered one by one, and in one batch
ROUNDS = 5


def flops(model: keras.Model) -> tuple[float, float]:
    """Count the multiplications and additions of a model's matrix products, forward.

    Looking up an embedding multiplies nothing; what is done number by number (gates, pooling) is left out, and is
    small beside the products.

    Returns:
        Floating-point operations for one word and, beside the words, for one review; NaN both where the model has a
        layer whose products are not known here.
    """
    import keras

    from tasks.models.layers import Recurrent

    word, review = 0.0, 0.0
    for layer in model.layers:
        if isinstance(layer, Recurrent):
            word += 2.0 * sum(int(np.prod(kernel.shape)) for kernel in (layer.kernel, layer.recurrent_kernel))
        elif isinstance(layer, keras.layers.Dense):
            review += 2.0 * int(np.prod(layer.kernel.shape))
        elif layer.weights and not isinstance(layer, keras.layers.Embedding):
            return float("nan"), float("nan")
    return word, review


def training_flops(model: keras.Model, *, train_words: int, checked_words: int, reviews: int, epochs: int) -> float:
    """Count the operations of a training: forward and backward on training reviews, forward on validation reviews.

    Args:
        model: The model.
        train_words: Words of the training reviews in an epoch, padding included.
        checked_words: Words of the validation reviews, padding included.
        reviews: Training reviews.
        epochs: Passes over both.

    Returns:
        Floating-point operations, NaN where they are not known (see `flops`).
    """
    word, review = flops(model)
    return epochs * (FORWARD_AND_BACKWARD * (word * train_words + review * reviews) + word * checked_words)


def latency(answer: Callable[[np.ndarray], object], reviews: int) -> dict[str, float]:
    """Measure how long answers take, on this machine beside whatever else it does.

    Args:
        answer: Answers the reviews at the given rows, (rows,) integers.
        reviews: How many there are; the first ones are taken.

    Returns:
        `latency_ms`: median milliseconds for one review; `batch_ms`: milliseconds a review in a batch of up to 256.
    """
    alone = [np.array([row]) for row in range(min(ALONE, reviews))]
    together = np.arange(min(TOGETHER, reviews))
    answer(alone[0]), answer(together)  # the first answer also prepares
    one = float(np.median([_seconds(answer, rows) for rows in alone]))
    batch = float(np.median([_seconds(answer, together) for _ in range(ROUNDS)]))
    return {"latency_ms": 1_000 * one, "batch_ms": 1_000 * batch / len(together)}


def _seconds(answer: Callable[[np.ndarray], object], rows: np.ndarray) -> float:
    start = time.perf_counter()
    answer(rows)
    return time.perf_counter() - start


def forget_peak_memory() -> None:
    """Let this process's peak memory begin anew, where the system can (Linux): a worker makes trial after trial.

    What the last trial has freed is given back first, or it would count for the next one.
    """
    gc.collect()
    with suppress(AttributeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> float:
    """Return the most memory that this process has held since `forget_peak_memory`, in MB (or ever, off Linux)."""
    with suppress(OSError):
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on macOS
