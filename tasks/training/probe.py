"""Speed of the machine at the moment: the time of a fixed matrix product, to which training times are related."""

import time

import numpy as np
from threadpoolctl import threadpool_limits

SIZE, REPEATS = 768, 8  # about 0.05 s, twice for each trial


def sgemm_seconds(size: int = SIZE, repeats: int = REPEATS) -> float:
    """Measure the time of one product of two (size, size) float32 matrices on one thread, in seconds.

    Returns:
        The mean of `repeats` products. The mean and not the minimum, because other load on the machine slows down a
        training as well.
    """
    left, right = (np.random.default_rng(seed).random((size, size), np.float32) for seed in range(2))
    product = left @ right
    with threadpool_limits(1):
        start = time.perf_counter()
        for _ in range(repeats):
            np.matmul(left, right, out=product)
        return (time.perf_counter() - start) / repeats
