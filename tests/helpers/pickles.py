"""Pickles that show whether they were unpickled."""

from pathlib import Path


class Evil:
    """An object whose pickle creates the file `canary` when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        """Create the object; nothing happens before it is unpickled."""
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        """Return the call that unpickling makes."""
        return Path.touch, (self.canary,)
