"""Compile all loops for this machine: `python -m tasks.training.compile_kernels`, a part of the set-up.

Numba keeps the compiled code beside the source, in `__pycache__`. Otherwise the first run would wait for it.
"""

import numpy as np
from scipy.sparse import csr_matrix

from tasks.config.recipe import Recipe
from tasks.models.averages import fit_averages
from tasks.models.registry import ARCHITECTURES
from tasks.training.batches import Split
from tasks.training.loop import fit
from tasks.training.runtime import load_tensorflow

ONE_OF_EACH_LAYER = ("simple_rnn", "lstm", "gru")


def compile_kernels() -> None:
    """Train a tiny network of each recurrent layer, so that every kernel is compiled for the arrays of TensorFlow.

    Tiny averaged embeddings are trained as well.
    """
    recipe = Recipe(vocabulary_size=10, max_tokens=2, embedding_size=2, units=2, batch_size=2, epochs=1)
    reviews = Split(np.array([2, 3, 4, 5], np.uint16), np.array([0, 2, 4]), np.array([0, 1], np.int8))
    for name in ONE_OF_EACH_LAYER:
        fit(ARCHITECTURES[name], recipe, reviews, reviews, seed=0)
    fit_averages(csr_matrix(np.eye(2, dtype=np.float32)), reviews.labels, np.ones(2), classes=2, rate=1.0)


if __name__ == "__main__":
    load_tensorflow()
    compile_kernels()
