"""The log of Prefect's server in a terminal."""

import logging
import sqlite3

import pytest

from flows.server.guard import shorten_locked_database


@pytest.mark.parametrize(("text", "shortened"), [("database is locked", True), ("disk I/O error", False)])
def test_only_a_locked_database_is_logged_without_a_traceback(text: str, shortened: bool) -> None:
    error = sqlite3.OperationalError(text)
    failed = (sqlite3.OperationalError, error, None)
    record = logging.LogRecord("prefect.server", logging.ERROR, "", 0, "heartbeat failed: %s", ("local",), failed)
    assert shorten_locked_database(record)
    assert record.getMessage().startswith("heartbeat failed: local")
    assert (record.exc_info is None) == shortened
