"""What `peer.py` measures in PyTorch, of this project's own training step: `python -m tests.benchmarks.pace 200 400`.

One thread, made-up reviews of full length, batch after batch, without validation or compiling; neither side saves
words by length. The last line is JSON: training reviews a second by number of tokens and architecture.
"""

import json
import sys
import time

import numpy as np

from tasks.config.recipe import FIVE_ARCHITECTURES, Recipe
from tasks.models.registry import ARCHITECTURES
from tasks.training.loop import class_weights, training_step
from tasks.training.runtime import load_tensorflow

WARM_UP, SECONDS = 3, 10  # steps before the measurement, and how long it takes


def pace(architecture: str, recipe: Recipe, seconds: float = SECONDS) -> float:
    """Train on made-up reviews of full length, and return reviews a second."""
    rng = np.random.default_rng(0)
    words = rng.integers(1, recipe.vocabulary_size, (recipe.batch_size, recipe.max_tokens)).astype(np.int32)
    labels = rng.integers(0, 2, recipe.batch_size).astype(np.float32)
    step, totals, _ = training_step(ARCHITECTURES[architecture](recipe), recipe, class_weights(labels, balanced=False))
    for _ in range(WARM_UP):
        step(words, labels)
    start, count = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < seconds:
        step(words, labels)
        totals.numpy()  # so that the step is over
        count += 1
    return recipe.batch_size * count / passed


if __name__ == "__main__":
    load_tensorflow(threads=1)
    recipes = {tokens: Recipe(max_tokens=int(tokens)) for tokens in sys.argv[1:]}
    print(json.dumps({t: {name: pace(name, r) for name in FIVE_ARCHITECTURES} for t, r in recipes.items()}))  # noqa: T201
