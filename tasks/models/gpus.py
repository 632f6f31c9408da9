"""GPUs: which ones TensorFlow can use, without loading it into this process, and how many trials run at a time."""

import os
import subprocess
import sys
from pathlib import Path

# Created by the drivers. If none of these files exists, there is no GPU.
DRIVER_FILES = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"), Path("/dev/dxg"))
COUNT_PROGRAM = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"


def visible_gpus() -> list[str]:
    """Return the GPUs that TensorFlow can use, by their names in CUDA_VISIBLE_DEVICES.

    TensorFlow is loaded in a separate, short-lived process, and only if there is a driver.
    """
    if not any(file.exists() for file in DRIVER_FILES):
        return []
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", COUNT_PROGRAM], env=quiet, capture_output=True, text=True, check=False)
    count = int(done.stdout.split()[-1]) if done.returncode == 0 and done.stdout.strip() else 0
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (names.split(",") if names else [str(number) for number in range(count)])[:count]


def parallel_trials(workers: int | None, gpus: list[str], default: int = 2) -> int:
    """Return the number of trials that run at a time: the requested number, but at most one per GPU if there are GPUs.

    Args:
        workers: Requested number; None for one per GPU, or `default` without GPUs.
        gpus: Available GPUs.
        default: Number without a request and without GPUs.
    """
    return min(workers or len(gpus), len(gpus)) if gpus else workers or default


def on_gpu() -> bool:
    """Return whether this process trains on a GPU. Loads TensorFlow."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
