"""The SQLite file of a Prefect server: wait while it is locked, report when it cannot be used.

Without these checks the reason would be in forty lines of traceback in the log of the server, which nobody sees.
"""

import logging
import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from tasks.config.errors import UserError

WAIT_SECONDS = 60
CHECK_SECONDS = 2
CONTENT = "It contains the history of runs only, no trained models."

logger = logging.getLogger(__name__)


def database_file() -> Path | None:
    """Return the path of the server's SQLite file; None if the environment names another database."""
    if any(name.endswith("_DATABASE_CONNECTION_URL") and name.startswith("PREFECT_") for name in os.environ):
        return None
    return Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser() / "prefect.db"


def make_private() -> None:
    """Restrict Prefect's database, which contains the reports of all runs, to its owner (mode 0600).

    SQLite creates its other files (-wal, -shm) with the mode of the database. An existing folder of Prefect keeps its
    mode; a new one gets 0700. A database that belongs to another user is left as it is.
    """
    file = database_file()
    if file is None:
        return
    with suppress(OSError):  # the server reports what it cannot write
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(OSError):
            file.with_name(file.name + suffix).chmod(0o600)


def check_database(file: Path, seconds: float = WAIT_SECONDS) -> None:
    """Check that a server can use the file, or create it. Wait, with one warning, while another process locks it.

    Args:
        file: Prefect's SQLite file.
        seconds: Longest time to wait.

    Raises:
        UserError: If the file is locked for longer, damaged or not writable; the message says what to do.
    """
    deadline = time.monotonic() + seconds
    warned = False
    while file.exists():
        try:
            _check_once(file)
            return
        except sqlite3.DatabaseError as error:
            if "locked" not in str(error):
                raise UserError(_describe(file, error)) from None
        if time.monotonic() > deadline:
            raise UserError(
                f"Prefect's database {file} is locked for more than {seconds:g} s. End the process that locks it "
                f"(fuser {file} shows which), or set PREFECT_HOME to another folder."
            )
        if not warned:
            logger.warning(
                "Prefect's database %s is locked by another process: waiting for at most %g s …", file, seconds
            )
            warned = True


def _check_once(file: Path) -> None:
    """Begin a write transaction, then check the pages for `CHECK_SECONDS`: a large database must not delay a run."""
    with closing(sqlite3.connect(file, timeout=1, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")
        deadline = time.monotonic() + CHECK_SECONDS
        database.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
        try:
            (result,) = database.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError:  # interrupted at the deadline: no damage in what was read
            return
        if result != "ok":
            raise sqlite3.DatabaseError(result.splitlines()[-1])


def _describe(file: Path, error: sqlite3.DatabaseError) -> str:
    if isinstance(error, sqlite3.OperationalError):
        return (
            f"Prefect's database {file} cannot be written ({error}). Make it and its folder writable, or set "
            "PREFECT_HOME to another folder."
        )
    return (
        f"Prefect's database {file} is damaged ({error}). {CONTENT} Move it away; the next run creates a new one: "
        f"mv {file} {file}.damaged"
    )
