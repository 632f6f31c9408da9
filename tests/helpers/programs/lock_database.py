"""Lock an SQLite file for some seconds: FILE SECONDS. `locked` is printed when it is locked."""

import sqlite3
import sys
import time

if __name__ == "__main__":
    database = sqlite3.connect(sys.argv[1], isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    print("locked", flush=True)  # noqa: T201
    time.sleep(float(sys.argv[2]))
