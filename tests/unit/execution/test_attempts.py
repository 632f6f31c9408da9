"""Attempts at trials: retries, outcomes, and the description of failures."""

from collections import deque
from pathlib import Path
from uuid import uuid4

import pytest

from tasks.config.errors import TrialAbortedError
from tasks.config.recipe import Recipe
from tasks.execution.attempts import PROCESS_DIED, Attempt, PendingTrial, describe_failures, ended_outcome, retry
from tasks.storage.trial_records import TrialSpec
from tests.helpers.trial_records import make_result
from tests.helpers.warnings_logged import warnings_logged

SPEC = TrialSpec("lstm", 0, Recipe(), Path("x"), 1.0, "lstm-seed-0", "lstm-seed-0-key", Path("cache"))


def test_failed_attempt_is_queued_again_with_its_reason():
    pending: deque[PendingTrial] = deque()
    with warnings_logged() as warnings:
        assert retry(Attempt(SPEC, "worker", ()), PROCESS_DIED, pending, max_attempts=2) is None
    assert list(pending) == [PendingTrial(SPEC, (PROCESS_DIED,))]
    assert len(warnings) == 1
    assert "lstm-seed-0" in warnings[0]


def test_last_failed_attempt_ends_the_trial():
    pending: deque[PendingTrial] = deque()
    outcome = retry(Attempt(SPEC, "worker", (PROCESS_DIED,)), "it was slow", pending, max_attempts=2)
    assert not pending
    assert isinstance(outcome.error, TrialAbortedError)
    assert outcome.failures == (PROCESS_DIED, "it was slow")
    assert outcome.result is None


def test_outcome_has_the_result_or_the_error():
    task_run, error = uuid4(), ValueError("x")
    assert ended_outcome(Attempt(SPEC, "worker", ()), make_result(), task_run).result == make_result()
    outcome = ended_outcome(Attempt(SPEC, "worker", ()), error, task_run)
    assert (outcome.result, outcome.error, outcome.task_run_id) == (None, error, task_run)


@pytest.mark.parametrize(
    ("failures", "count", "hint"), [((PROCESS_DIED,) * 3, "3 times", True), (("it was slow",), "1 time", False)]
)
def test_failures_are_counted_with_a_hint_for_dead_processes(failures, count, hint):
    text = describe_failures(failures)
    assert count in text
    assert ("--workers" in text) == hint
