"""Write a stored table, then one that is larger than a file may be: FOLDER. `refused` and the error are printed."""

import resource
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from tasks.storage import store

if __name__ == "__main__":
    path = Path(sys.argv[1]) / "x.parquet"
    store.write(path, pd.DataFrame({"a": [1]}))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    try:
        store.write(path, pd.DataFrame({"a": np.random.default_rng(0).random(100_000)}))
    except OSError as error:
        print("refused", error.errno)  # noqa: T201
