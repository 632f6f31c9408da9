"""Write a stored table and exit with code 9 in place of the rename with this number: FOLDER NUMBER."""

import os
import sys
from pathlib import Path

import pandas as pd

from tasks.storage import store

rename, renames = Path.replace, []


def rename_or_die(self: Path, target: Path) -> Path:
    renames.append(target)
    if len(renames) == int(sys.argv[2]):
        os._exit(9)
    return rename(self, target)


if __name__ == "__main__":
    Path.replace = rename_or_die
    store.write(Path(sys.argv[1]) / "x.parquet", pd.DataFrame({"a": [1]}))
