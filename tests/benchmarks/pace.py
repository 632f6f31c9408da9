"""Measure the training step of this project in the way of `peer.py`: `python -m tests.benchmarks.pace 200 400`.

One thread, random reviews of full length, without validation and compilation. No padding is saved on either side. The
last line is JSON: reviews per second by number of tokens and architecture.
"""

import json
import sys
import time

import numpy as np

from tasks.config.recipe import DEFAULT_ARCHITECTURES, Recipe
from tasks.models.registry import ARCHITECTURES
from tasks.training.epoch_scores import class_weights
from tasks.training.loop import training_step
from tasks.training.runtime import load_tensorflow

WARM_UP, SECONDS = 3, 4  # steps before the measurement, and its duration


def pace(architecture: str, recipe: Recipe, seconds: float = SECONDS) -> float:
    """Train on random reviews of full length, and return reviews per second."""
    rng = np.random.default_rng(0)
    words = rng.integers(1, recipe.vocabulary_size, (recipe.batch_size, recipe.max_tokens)).astype(np.int32)
    labels = rng.integers(0, 2, recipe.batch_size).astype(np.float32)
    step = training_step(
        ARCHITECTURES[architecture](recipe), recipe, class_weights(labels, balanced=False), updates=10_000
    )
    for _ in range(WARM_UP):
        step.update(words, labels)
    start, count = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < seconds:
        step.update(words, labels)
        step.totals.numpy()  # waits for the end of the step
        count += 1
    return recipe.batch_size * count / passed


if __name__ == "__main__":
    load_tensorflow(threads=1)
    recipes = {tokens: Recipe(max_tokens=int(tokens)) for tokens in sys.argv[1:]}
    print(json.dumps({t: {name: pace(name, r) for name in DEFAULT_ARCHITECTURES} for t, r in recipes.items()}))  # noqa: T201
