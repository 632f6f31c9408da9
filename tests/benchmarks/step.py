"""Measure the parts of one update of a network: `python -m tests.benchmarks.step lstm 200 deep_lstm 400`.

One thread, random reviews of full length, as in `pace.py`. The last line is JSON: milliseconds by architecture and
number of tokens. `step` is the whole update. `loops` are the compiled loops over time; they consist of the matrix
products (`products_in_loops`, timed separately) and the gates. `pooling` are the loops of the pooling layer. `others`
is the rest: mainly the large matrix products of the layers, TensorFlow and Adam.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tasks.config.recipe import Recipe
from tasks.models import kernels
from tasks.training.runtime import load_tensorflow
from tests.benchmarks.pace import pace

LAYERS = {"lstm": 1, "stacked_lstm": 2, "bidirectional_lstm": 2, "deep_lstm": 3}  # number of loops over time
TIMES = 30


def milliseconds(work: Callable[[], object]) -> float:
    """Return the median duration of a function call (ms)."""
    taken = []
    for _ in range(TIMES):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return 1_000 * float(np.median(taken))


def record_durations(spent: dict[str, list[float]], name: str) -> None:
    """Make a function of `tasks.models.kernels` append the duration (ms) of each call to `spent`."""
    loop = getattr(kernels, name)

    def run(*arrays: Any) -> Any:
        start = time.perf_counter()
        result = loop(*arrays)
        spent.setdefault(name, []).append(1_000 * (time.perf_counter() - start))
        return result

    setattr(kernels, name, run)


def products(recipe: Recipe) -> float:
    """Return the duration (ms) of the matrix products in the loops of one layer, forward and backward."""
    one = np.zeros((recipe.batch_size, recipe.units), np.float32)
    kernel = np.zeros((recipe.units, 4 * recipe.units), np.float32)
    few = one @ kernel

    def work() -> None:
        for _ in range(recipe.max_tokens):
            np.matmul(one, kernel, few)
            np.matmul(few, kernel.T, one)

    return milliseconds(work)


def main(arguments: list[str]) -> None:
    """Measure each architecture and print the result."""
    load_tensorflow(threads=1)
    spent: dict[str, list[float]] = {}
    for name in ("lstm_forward", "lstm_backward", "pool_forward", "pool_backward"):
        record_durations(spent, name)
    found = {}
    for name, tokens in zip(arguments[::2], arguments[1::2], strict=True):
        spent.clear()
        recipe = Recipe(max_tokens=int(tokens))
        step = 1_000 * recipe.batch_size / pace(name, recipe)
        median = {loop: float(np.median(each)) for loop, each in spent.items()}
        looped = LAYERS[name] * (median["lstm_forward"] + median["lstm_backward"])
        pooling = median["pool_forward"] + median["pool_backward"]
        parts = {"step": step, "loops": looped, "products_in_loops": LAYERS[name] * products(recipe)}
        parts |= {"pooling": pooling, "others": step - looped - pooling}
        found[f"{name} {tokens}"] = {part: round(each, 1) for part, each in parts.items()}
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
