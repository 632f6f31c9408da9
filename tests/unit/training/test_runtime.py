"""Memory of a process into which TensorFlow is loaded."""

import platform
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.training.runtime import retain_freed_memory
from tests.conftest import ROOT

PAGES = 20_000  # 80 MB


def page_faults_of_third_allocation() -> int:
    """Allocate and free memory three times, as updates do, and return the page faults of the third time."""
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        filled = [b"\1" * (4_096 * PAGES // 4) for _ in range(4)]
        del filled
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def page_faults_in_thread() -> int:
    """Return the page faults in another thread with retained memory, as TensorFlow computes in its own threads."""
    retain_freed_memory()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(page_faults_of_third_allocation).result()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="configures glibc")
def test_freed_memory_is_reused() -> None:
    script = "from tests.unit.training.test_runtime import page_faults_in_thread as f; print(f())"
    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(said.stdout) < PAGES / 100
