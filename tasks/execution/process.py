"""Lifetime of worker processes. This module is imported before all others, so it imports only the standard library."""

import os
import threading
import time


def end_with_parent(parent: int | None = None) -> None:
    """Start a thread that ends this process as soon as its parent process has ended.

    Args:
        parent: Id of the parent process; by default the current parent.
    """
    threading.Thread(target=_watch, args=(parent or os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(1)
