"""Architectures that run out of memory, are killed, or diverge.

TensorFlow is imported late, because a worker process sets the number of threads first.
"""

import os
import signal
from typing import TYPE_CHECKING

import numpy as np

from tasks.config.recipe import Recipe
from tasks.models.registry import ARCHITECTURES

if TYPE_CHECKING:
    import keras


def hungry(recipe: Recipe) -> object:
    """Allocate 4 TiB."""
    import tensorflow as tf

    return tf.ones([1 << 20, 1 << 20])


def killed(recipe: Recipe) -> None:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def diverging(recipe: Recipe) -> "keras.Model":
    """Return a model whose weights are NaN."""
    model = ARCHITECTURES["simple_rnn"](recipe)
    model.set_weights([np.full_like(each, np.nan) for each in model.get_weights()])
    return model
