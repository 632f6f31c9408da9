"""Where the time of one update of a network goes: `python -m tests.benchmarks.step lstm 200 deep_lstm 400`.

One thread, made-up reviews of full length, as in `pace.py`. The last line is JSON: milliseconds by architecture and
number of tokens. `step` is the whole update; `loops` the compiled loops over time, of which `products_in_loops`, timed
by themselves, are the products and the rest the gates; `pooling` its own loops; `others` what is left: the layers'
large products above all, and what is TensorFlow's, Adam's and the averages'.
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

LAYERS = {"lstm": 1, "stacked_lstm": 2, "bidirectional_lstm": 2, "deep_lstm": 3}  # each as wide as its input
TIMES = 30


def milliseconds(work: Callable[[], object]) -> float:
    """Take the median time of a piece of work."""
    taken = []
    for _ in range(TIMES):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return 1_000 * float(np.median(taken))


def timed(spent: dict[str, list[float]], name: str) -> None:
    """Let one of `tasks.models.kernels` note how long each of its calls takes."""
    loop = getattr(kernels, name)

    def run(*arrays: Any) -> Any:
        start = time.perf_counter()
        result = loop(*arrays)
        spent.setdefault(name, []).append(1_000 * (time.perf_counter() - start))
        return result

    setattr(kernels, name, run)


def products(recipe: Recipe) -> float:
    """Time the products in the loops of one layer, forward and backward."""
    one = np.zeros((recipe.batch_size, recipe.units), np.float32)
    kernel = np.zeros((recipe.units, 4 * recipe.units), np.float32)
    few = one @ kernel

    def work() -> None:
        for _ in range(recipe.max_tokens):
            np.matmul(one, kernel, few)
            np.matmul(few, kernel.T, one)

    return milliseconds(work)


def main(arguments: list[str]) -> None:
    """Measure architecture after architecture."""
    load_tensorflow(threads=1)
    spent: dict[str, list[float]] = {}
    for name in ("lstm_forward", "lstm_backward", "pool_forward", "pool_backward"):
        timed(spent, name)
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
