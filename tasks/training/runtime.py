"""Setup of TensorFlow in a process: no messages, a fixed number of threads, at most one GPU."""

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from threadpoolctl import threadpool_limits

from tasks.config.garbage_collection import paused_collection

WORKER_MODULES = (
    "tasks.training.cached_trial", "sklearn.linear_model", "sklearn.feature_extraction.text", "sklearn.svm",
)  # fmt: skip


def prepare_process(threads: int = 1, gpu: str | None = None) -> None:
    """Give this process a fixed number of threads and at most one GPU, before it loads TensorFlow.

    The number of threads does not depend on the number of cores: a seed gives the same weights only with the same
    number of threads, and a second thread does not speed up layers of this size.

    Args:
        threads: Number of threads.
        gpu: GPU as in CUDA_VISIBLE_DEVICES; None leaves this variable unchanged.
    """
    retain_freed_memory()
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="1")
    os.environ.update(OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
    threadpool_limits(threads)  # for libraries that are already loaded
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # TensorFlow reads it when it is loaded


def prepare_worker(gpu: str | None = None) -> None:
    """Prepare a worker process, and load what baselines need; TensorFlow is loaded with the first network.

    Baselines are trained first: without TensorFlow, they need half of the memory.

    Args:
        gpu: GPU as in CUDA_VISIBLE_DEVICES; None leaves this variable unchanged.
    """
    prepare_process(gpu=gpu)
    with paused_collection():
        for module in WORKER_MODULES:
            import_module(module)


def load_tensorflow(threads: int = 1, *, own_process: bool = False) -> None:
    """Load TensorFlow into this process, with the settings of `prepare_process`.

    Args:
        threads: Number of threads.
        own_process: Whether this is a process of this project; see `paused_collection`.
    """
    prepare_process(threads)
    with _stderr_suppressed(), _modules_hidden("matplotlib", "sklearn"), paused_collection(freeze=own_process):
        import keras  # noqa: F401
        import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)  # by default TensorFlow takes all memory of the GPU


def retain_freed_memory() -> None:
    """Configure glibc to keep freed memory in this process for later allocations; no effect with other C libraries.

    Each update of a network frees some hundred MB and allocates them again. If the memory is returned to the system in
    between, each page must be mapped and zeroed again, which takes up to a quarter of the time of a deep LSTM.
    Source: mallopt(3); the numbers of the options are from malloc.h.
    """
    if platform.libc_ver()[0] == "glibc":
        library, arena_max, mmap_threshold, trim_threshold = ctypes.CDLL(None), -8, -3, -1
        library.mallopt(arena_max, 1)  # further arenas return memory regardless of the thresholds
        library.mallopt(mmap_threshold, 2**30)
        library.mallopt(trim_threshold, 2**31 - 1)


@contextmanager
def _stderr_suppressed() -> Iterator[None]:
    """Redirect the file descriptor of stderr: TensorFlow reports a missing GPU on import, whatever its log level."""
    original = os.dup(2)
    with Path(os.devnull).open("wb") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)


@contextmanager
def _modules_hidden(*modules: str) -> Iterator[None]:
    """Hide modules that are not loaded. Keras loads them if available, unused, for a second and 80 MB per process."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None means that the module does not exist
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
