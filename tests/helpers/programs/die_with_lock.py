"""Take the lock of a stored file and exit with code 9: FOLDER."""

import os
import sys
from pathlib import Path

from tasks.storage import store

if __name__ == "__main__":
    with store.locked(Path(sys.argv[1]) / "x.parquet"):
        os._exit(9)
