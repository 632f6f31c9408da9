"""Python's garbage collector while libraries are loaded."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collection(*, freeze: bool = True) -> Iterator[None]:
    """Pause the garbage collector until the end of the block, which loads libraries.

    Loading creates some hundred thousand objects, of which nearly none is garbage. The collector would visit all of
    them again and again, which is a fifth of the time of an import of TensorFlow or Prefect's server.

    Args:
        freeze: Whether what exists afterwards is left out of later collections (`gc.freeze`). Not in a process of the
            user, such as a notebook, whose own objects would never be collected.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if freeze:
            gc.freeze()
        if was_enabled:
            gc.enable()
