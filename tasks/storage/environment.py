"""Versions and hardware that a result may depend on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("prefect", "tensorflow", "keras", "scikit-learn", "scipy", "pandas", "numpy", "pyarrow")


def surroundings() -> dict[str, dict[str, object]]:
    """Tell what a result may depend on beside its inputs: versions and hardware."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "hardware": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory": f"{memory:.0f} GiB",
            "system": f"{platform.system()} {platform.machine()}",
            "threads_per_training": 1,
        },
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
