"""Print the peak memory in MB before 300 MB were allocated and freed, and after a reset that followed."""

from tasks.training.costs import peak_memory_mb, reset_peak_memory
from tasks.training.runtime import retain_freed_memory

if __name__ == "__main__":
    retain_freed_memory()
    low = peak_memory_mb()
    held = [b"1" * 1_000_000 for _ in range(300)]
    del held
    reset_peak_memory()
    print(low, peak_memory_mb())  # noqa: T201
