"""Errors keep what they were made with, however they are raised."""

from datetime import date

from tasks.config.errors import NightlyRunIncompleteError


def test_incomplete_nightly_run_names_missing_trials_after_summary() -> None:
    error = NightlyRunIncompleteError(date(2026, 1, 2), ["lstm-seed-20260102"], "the table")
    assert isinstance(error, RuntimeError)
    assert str(error).startswith("the table\n")
    assert "2026-01-02" in str(error)
    assert "lstm-seed-20260102" in str(error)
    assert error.args == (str(error),)
