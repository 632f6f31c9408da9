"""A process that ends when the one that started it does, however that ends; light, for it comes before all imports."""

import os
import threading
import time


def end_with_parent(parent: int | None = None) -> None:
    """Watch the parent in a thread, and end this process at once when it is gone.

    Args:
        parent: The id of the process that must be alive; by default that of whoever is the parent now.
    """
    threading.Thread(target=_watch, args=(parent or os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(1)
