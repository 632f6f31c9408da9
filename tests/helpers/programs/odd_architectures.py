"""User-defined architectures that run out of memory, are killed, or diverge when a worker of a run trains them.

Elsewhere, such as in the check at the start of a run, they are ordinary.
"""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.config.recipe import Recipe
from tasks.models.registry import ARCHITECTURES

if TYPE_CHECKING:
    import keras


def in_worker() -> bool:
    """Return whether this process is a worker of a run."""
    return "tasks.execution.worker" in sys.modules


def hungry(recipe: Recipe) -> "keras.Model":
    """Allocate 4 TiB in a worker."""
    import tensorflow as tf  # late, because a worker process sets the number of threads first

    if in_worker():
        tf.ones([1 << 20, 1 << 20])
    return ARCHITECTURES["gru"](recipe)


def killed(recipe: Recipe) -> "keras.Model":
    """Kill a worker."""
    if in_worker():
        os.kill(os.getpid(), signal.SIGKILL)
    return ARCHITECTURES["lstm"](recipe)


def diverging(recipe: Recipe) -> "keras.Model":
    """Return a model whose weights are NaN in a worker."""
    model = ARCHITECTURES["simple_rnn"](recipe)
    if in_worker():
        model.set_weights([np.full_like(each, np.nan) for each in model.get_weights()])
    return model


def killed_until_allowed(recipe: Recipe) -> "keras.Model":
    """Kill a worker until the file that `IMDB_COMPARE_ALLOW` names exists."""
    if in_worker() and not Path(os.environ["IMDB_COMPARE_ALLOW"]).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return ARCHITECTURES["simple_rnn"](recipe)
