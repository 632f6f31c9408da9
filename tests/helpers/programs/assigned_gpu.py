"""Load TensorFlow with GPU 2 only; print the GPUs that it may use, those that it sees, its settings, and `on_gpu`.

It runs with the replacement of TensorFlow from tests/unit/models/test_gpus.py.
"""

import os

from tasks.models.gpus import on_gpu
from tasks.training.runtime import load_tensorflow, prepare_process

if __name__ == "__main__":
    prepare_process(gpu="2")
    load_tensorflow()
    import tensorflow as tf

    print(os.environ["CUDA_VISIBLE_DEVICES"], tf.devices, tf.calls, on_gpu())  # noqa: T201
