"""Write the same names as another process, as fast as possible, and sweep in between: RESULTS OWN.

OWN is the content by which the process is recognized. The process id is printed.
"""
# ruff: noqa: T201

import os
import sys
from pathlib import Path

from tasks.reporting import run_directory
from tasks.storage import atomic_files, cache, store
from tasks.storage.partial_files import partial_path

if __name__ == "__main__":
    results, own = Path(sys.argv[1]), sys.argv[2]
    for number in range(40):
        store.sweep(results)
        with store.locked(results / "cache" / f"{number}.bin"):
            if store.read_bytes(results / "cache" / f"{number}.bin") is None:
                store.write(results / "cache" / f"{number}.bin", own.encode() * 1000)
        cache.load_or_compute(results / "cache" / f"{number}.zip", lambda: {"made by": own.encode()}, dict)
        store.write(results / "history" / f"{number}-{own}.bin", own.encode())
        partial = partial_path(results / "runs" / f"night-{number}x")
        with atomic_files.create_dir(partial):
            with atomic_files.create_file(partial / "run.json") as file:
                file.write(own.encode())
            run_directory.publish_run_dir(partial, results, f"night-{number}x")
    print(os.getpid())
