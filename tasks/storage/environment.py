"""Versions and hardware that a result may depend on."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

REPORTED_LIBRARIES = ("prefect", "tensorflow", "keras", "scikit-learn", "scipy", "pandas", "numpy", "pyarrow")


@dataclass(frozen=True)
class EnvironmentInfo:
    """Versions and hardware of a run.

    Attributes:
        versions: Versions of Python and of `REPORTED_LIBRARIES` by name.
        hardware: Processor, number of cores, memory in GiB, operating system, and threads of a training.
    """

    versions: dict[str, str]
    hardware: dict[str, str | int | None]


def environment_info() -> EnvironmentInfo:
    """Return the versions and the hardware of this process."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return EnvironmentInfo(
        versions={"python": platform.python_version(), **{name: version(name) for name in REPORTED_LIBRARIES}},
        hardware={
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory": f"{memory:.0f} GiB",
            "system": f"{platform.system()} {platform.machine()}",
            "threads_per_training": 1,
        },
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
