"""TensorFlow loaded into a process, quietly, with one thread and at most one GPU."""

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from threadpoolctl import threadpool_limits


def load_tensorflow(threads: int = 1, gpu: str | None = None) -> None:
    """Load TensorFlow into this process, with a fixed number of threads and at most one GPU.

    The number of threads is fixed, not cores divided by workers: the same seed gives the same weights only
    with the same number, and a second thread gains nothing on layers of this size.

    Args:
        threads: How many it may use.
        gpu: As in CUDA_VISIBLE_DEVICES; None leaves that as it is.
    """
    keep_memory()
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="1")
    os.environ.update(OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
    threadpool_limits(threads)  # for libraries that are loaded already
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # TensorFlow reads it when it is loaded
    with _quiet(), _hidden("matplotlib", "sklearn"):
        import keras  # noqa: F401
        import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)  # else it takes all memory of the GPU at once


def keep_memory() -> None:
    """Let this process keep the memory that it frees for what it asks next, where the C library is glibc.

    Every update of a network frees some hundred MB and asks for as much again. Given back in between, each page of it
    is made anew, filled with zeros: up to a quarter of the time of a deep LSTM.
    Source: mallopt(3); the numbers of its options stand in malloc.h.
    """
    if platform.libc_ver()[0] == "glibc":
        library, arena_max, mmap_threshold, trim_threshold = ctypes.CDLL(None), -8, -3, -1
        library.mallopt(arena_max, 1)  # the other arenas give back memory whatever the thresholds
        library.mallopt(mmap_threshold, 2**30)
        library.mallopt(trim_threshold, 2**31 - 1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep native code from the terminal: TensorFlow's import reports the missing GPU, whatever its log level."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _hidden(*modules: str) -> Iterator[None]:
    """Hide modules that are not loaded yet: Keras loads them if it can, for nothing, in a second and 80 MB a worker."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # how Python says: not there
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
