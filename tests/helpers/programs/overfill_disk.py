"""Mount a disk of four pages, write a file of 3 bytes and then one of 3 times COUNT: FOLDER COUNT.

The error is printed, and in the last line what is left.
"""
# ruff: noqa: T201

import subprocess
import sys
from pathlib import Path

from tasks.storage import store

if __name__ == "__main__":
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)], check=True)
    path = folder / "x.bin"
    store.write(path, b"old")
    try:
        store.write(path, b"new" * count)
    except store.NotWrittenError as error:
        print(error)
    print(store.read_bytes(path), sorted(each.name for each in folder.iterdir()))
