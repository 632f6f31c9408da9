"""Versions and hardware that a result may depend on."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

from tasks.storage.processor import processor_identity

REPORTED_LIBRARIES = ("prefect", "tensorflow", "keras", "scikit-learn", "scipy", "pandas", "numpy", "pyarrow")


@dataclass(frozen=True)
class EnvironmentInfo:
    """Versions and hardware of a run.

    Attributes:
        versions: Versions of Python and of `REPORTED_LIBRARIES` by name.
        hardware: Processor (name, model, instruction sets), number of cores, memory in GiB, operating system, and
            threads of a training.
    """

    versions: dict[str, str]
    hardware: dict[str, str | int | None]


def environment_info() -> EnvironmentInfo:
    """Return the versions and the hardware of this process."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return EnvironmentInfo(
        versions={"python": platform.python_version(), **{name: version(name) for name in REPORTED_LIBRARIES}},
        hardware={
            **processor_identity(),
            "cores": os.cpu_count(),
            "memory": f"{memory:.0f} GiB",
            "system": f"{platform.system()} {platform.machine()}",
            "threads_per_training": 1,
        },
    )


def is_same_hardware(recorded: Mapping[str, object]) -> bool:
    """Return whether hardware of a run is that of this machine, by all properties that the run recorded."""
    current = environment_info().hardware
    return bool(recorded) and all(current.get(name) == value for name, value in recorded.items())
