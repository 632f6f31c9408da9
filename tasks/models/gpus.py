"""GPUs: which ones TensorFlow can use, asked without loading it here, and how many trainings that makes at a time."""

import os
import subprocess
import sys
from pathlib import Path

# The driver makes these; without one of them there is no GPU, and nothing is asked.
DRIVER = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"), Path("/dev/dxg"))
COUNT = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"


def visible_gpus() -> list[str]:
    """Name the GPUs that TensorFlow can use, as in CUDA_VISIBLE_DEVICES: one process each may have one.

    TensorFlow is loaded in a short process of its own for that, and only where there is a driver.
    """
    if not any(file.exists() for file in DRIVER):
        return []
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    asked = subprocess.run([sys.executable, "-c", COUNT], env=quiet, capture_output=True, text=True, check=False)
    count = int(asked.stdout.split()[-1]) if asked.returncode == 0 and asked.stdout.strip() else 0
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (named.split(",") if named else [str(number) for number in range(count)])[:count]


def trainings_at_a_time(workers: int | None, gpus: list[str], otherwise: int = 2) -> int:
    """Say how many trainings run at a time: as many as asked for, but at most one a GPU where there are GPUs.

    Args:
        workers: As asked for; None leaves the choice.
        gpus: The GPUs there are.
        otherwise: The choice where there is none.
    """
    return min(workers or len(gpus), len(gpus)) if gpus else workers or otherwise


def on_gpu() -> bool:
    """Tell whether this process trains on a GPU; it loads TensorFlow."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
