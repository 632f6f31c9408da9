"""Errors keep what they were made with, however they are raised."""

from datetime import date

from tasks.config.errors import NightFailedError


def test_a_failed_night_names_its_trials_behind_the_summary() -> None:
    error = NightFailedError(date(2026, 1, 2), ["lstm-seed-20260102"], "the table")
    assert isinstance(error, RuntimeError)
    assert str(error).startswith("the table\n")
    assert "2026-01-02" in str(error)
    assert "lstm-seed-20260102" in str(error)
    assert error.args == (str(error),)
