"""The file in which a temporary server keeps its history: waited for while locked, told of where it is of no use.

The server's own log says the same in forty lines of traceback, and nobody sees it.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from tasks.config.errors import UserError

WAIT_SECONDS = 60
CHECK_SECONDS = 2
HARMLESS = "It holds the history of runs only; trained models lie elsewhere."


def database_file() -> Path | None:
    """Return where the server's SQLite file lies or will lie; None if the environment names another database."""
    if any(name.endswith("_DATABASE_CONNECTION_URL") and name.startswith("PREFECT_") for name in os.environ):
        return None
    return Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser() / "prefect.db"


def make_private() -> None:
    """Let only the owner read Prefect's database, which holds the reports of all runs.

    SQLite gives its further files (-wal, -shm) the permissions of the database. Prefect's folder keeps its own, but is
    made for the owner only if it is not there yet. A database that belongs to somebody else is left as it is.
    """
    file = database_file()
    if file is None:
        return
    with suppress(OSError):  # the server itself says what it cannot write
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(OSError):
            file.with_name(file.name + suffix).chmod(0o600)


def check_database(file: Path, say: Callable[[str], None], seconds: float = WAIT_SECONDS) -> None:
    """Make sure that a server can use the file, or make it where there is none; wait while another process locks it.

    Args:
        file: Prefect's SQLite file.
        say: Told once if there is something to wait for.
        seconds: How long to wait.

    Raises:
        UserError: If the file is locked for longer, damaged or not writable, with what to do.
    """
    deadline = time.monotonic() + seconds
    told = False
    while file.exists():
        try:
            _try(file)
            return
        except sqlite3.DatabaseError as error:
            if "locked" not in str(error):
                raise UserError(_mend(file, error)) from None
        if time.monotonic() > deadline:
            raise UserError(
                f"Prefect's database {file} is locked, for more than {seconds:g} s. End the process that holds it "
                f"(fuser {file} names it), or set PREFECT_HOME to another folder."
            )
        if not told:
            say(f"Prefect's database {file} is locked by another process: waiting for at most {seconds:g} s …")
            told = True


def _try(file: Path) -> None:
    """Begin to write, then read as much as there is time for: a large history need not delay a run."""
    with closing(sqlite3.connect(file, timeout=1, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")
        enough = time.monotonic() + CHECK_SECONDS
        database.set_progress_handler(lambda: time.monotonic() > enough, 100_000)
        try:
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError:  # interrupted: enough was seen
            return
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict.splitlines()[-1])


def _mend(file: Path, error: sqlite3.DatabaseError) -> str:
    if isinstance(error, sqlite3.OperationalError):
        return (
            f"Prefect's database {file} cannot be written ({error}). Make it and its folder writable, or set "
            "PREFECT_HOME to another folder."
        )
    return (
        f"Prefect's database {file} is damaged ({error}). {HARMLESS} Move it away, and the next run makes a new one: "
        f"mv {file} {file}.damaged"
    )
