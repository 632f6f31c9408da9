"""Write a stored file, but wait between synchronizing and renaming it: PATH BEGUN GO.

The file BEGUN is created when the content is on the disk; writing goes on when the file GO exists. The process id is
printed.
"""
# ruff: noqa: T201

import os
import sys
import time
from pathlib import Path

from tasks.storage import store

PATH, BEGUN, GO = map(Path, sys.argv[1:])
synchronize = os.fsync


def synchronize_and_wait(file: int) -> None:
    synchronize(file)
    BEGUN.touch()
    while not GO.exists():
        time.sleep(0.01)


if __name__ == "__main__":
    os.fsync = synchronize_and_wait
    store.write(PATH, b"content")
    print(os.getpid())
