"""Processes in namespaces of their own, which see each other's files but not each other's process ids."""

import os
import subprocess
from functools import cache

import pytest

PIDS = ("--pid", "--fork", "--kill-child", "--mount-proc")
MOUNTS = ("--mount",)


def unshared(kinds: tuple[str, ...]) -> list[str]:
    """Return the words before a command that give it namespaces of its own."""
    return ["unshare", *(() if os.geteuid() == 0 else ("--user", "--map-root-user")), *kinds]


@cache
def permitted(kinds: tuple[str, ...]) -> bool:
    """Check whether this system lets us make such namespaces."""
    try:
        return subprocess.run([*unshared(kinds), "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def needs(kinds: tuple[str, ...]) -> pytest.MarkDecorator:
    """Skip a test where such namespaces cannot be made."""
    return pytest.mark.skipif(not permitted(kinds), reason=f"unshare {' '.join(kinds)} is not permitted here")
