"""Processes in separate namespaces, which see each other's files but not each other's process ids."""

import os
import subprocess
from functools import cache

import pytest

PIDS = ("--pid", "--fork", "--kill-child", "--mount-proc")
MOUNTS = ("--mount",)


def unshared(kinds: tuple[str, ...]) -> list[str]:
    """Return the prefix of a command that runs it in new namespaces."""
    return ["unshare", *(() if os.geteuid() == 0 else ("--user", "--map-root-user")), *kinds]


@cache
def permitted(kinds: tuple[str, ...]) -> bool:
    """Check whether such namespaces can be created on this system."""
    try:
        return subprocess.run([*unshared(kinds), "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def needs(kinds: tuple[str, ...]) -> pytest.MarkDecorator:
    """Return a marker that skips a test if such namespaces cannot be created."""
    return pytest.mark.skipif(not permitted(kinds), reason=f"unshare {' '.join(kinds)} is not permitted here")
