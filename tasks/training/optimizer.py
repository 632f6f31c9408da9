"""Optimizer of the networks."""

from typing import Any

import keras


class SingleDeviceAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam (Kingma and Ba 2015) without the sum of gradients over devices, which has one term here.

    TensorFlow registers the gradient of this sum and never removes it, nor the graph of the training and its weights. A
    worker that trains many models would keep the weights of all of them.
    """

    def _all_reduce_sum_gradients(self, grads_and_vars: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        return grads_and_vars
