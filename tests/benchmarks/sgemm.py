"""Measure the speed of float32 matrix products on all cores: `python -m tests.benchmarks.sgemm`.

One process per core with one BLAS thread each. The sum over the cores is an upper bound of what training with one
process per core can reach. The last line is JSON: GFLOP/s of each core by size of the matrices.
"""

import json
import os
import sys
import time
from multiprocessing import get_context
from typing import Any

SIZES = (2_048, 3_072, 4_096)
SECONDS = 2.0  # at each size
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def cores() -> list[int]:
    """Return the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else list(range(os.cpu_count() or 1))


def multiply(core: int, sizes: tuple[int, ...], seconds: float, together: Any, found: Any) -> None:
    """Multiply on one core, at the same time as the other processes, and put (size, GFLOP/s) into the queue `found`."""
    import numpy as np

    if sys.platform == "linux":
        os.sched_setaffinity(0, {core})
    rng = np.random.default_rng(core)
    for size in sizes:
        left, right = (rng.random((size, size), np.float32) for _ in range(2))
        product = left @ right
        together.wait()
        start, count = time.perf_counter(), 0
        while (passed := time.perf_counter() - start) < seconds or count == 0:
            np.matmul(left, right, out=product)
            count += 1
        found.put((size, 2 * size**3 * count / passed / 1e9))


def measure(sizes: tuple[int, ...] = SIZES, seconds: float = SECONDS) -> dict[int, list[float]]:
    """Return the GFLOP/s of every core at each size."""
    context = get_context("spawn")
    together, queue = context.Barrier(len(cores())), context.Queue()
    processes = [context.Process(target=multiply, args=(c, sizes, seconds, together, queue)) for c in cores()]
    for process in processes:
        process.start()
    pairs = [queue.get(timeout=120 + 10 * seconds) for _ in range(len(processes) * len(sizes))]
    for process in processes:
        process.join()
    return {size: [rate for at, rate in pairs if at == size] for size in sizes}


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)  # before the processes below load NumPy
    print(json.dumps(measure()))  # noqa: T201
