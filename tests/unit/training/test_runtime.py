"""The process into which TensorFlow is loaded."""

import platform
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.training.runtime import keep_memory
from tests.conftest import ROOT

PAGES = 20_000  # 80 MB


def faults_of_allocating_again() -> int:
    """Fill memory and free it, as an update does, and count the pages that the third time had to make."""
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        filled = [b"\1" * (4_096 * PAGES // 4) for _ in range(4)]
        del filled
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def in_thread_with_kept_memory() -> int:
    """The same in another thread, as TensorFlow computes in threads of its own."""
    keep_memory()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(faults_of_allocating_again).result()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory in its own way")
def test_what_is_freed_is_kept_for_what_is_asked_next() -> None:
    script = "from tests.unit.training.test_runtime import in_thread_with_kept_memory as f; print(f())"
    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(said.stdout) < PAGES / 100
