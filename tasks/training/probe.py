"""How fast the machine is right now: a matrix product of fixed size, against which the time of a training is held."""

import time

import numpy as np
from threadpoolctl import threadpool_limits

SIZE, TIMES = 768, 20  # about 0.1 s


def sgemm_seconds(size: int = SIZE, times: int = TIMES) -> float:
    """Time one product of two (size, size) float32 matrices on one thread, in seconds, the mean of `times`.

    The mean, not the fastest: what else runs on the machine slows a training down, too.
    """
    left, right = (np.random.default_rng(seed).random((size, size), np.float32) for seed in range(2))
    product = left @ right
    with threadpool_limits(1):
        start = time.perf_counter()
        for _ in range(times):
            np.matmul(left, right, out=product)
        return (time.perf_counter() - start) / times
