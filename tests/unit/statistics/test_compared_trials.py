"""Selection of the trials that are compared."""

import pytest

from tasks.config.errors import UserError
from tasks.statistics.frames import select_compared_trials
from tests.helpers.trial_records import make_result


def result(architecture: str, status: str, train_fraction: float = 1.0):
    return make_result(architecture=architecture, status=status, train_fraction=train_fraction)


def test_trials_of_the_largest_fraction_are_compared():
    trials = [result("lstm", "finished"), result("lstm", "finished", 0.5)]
    assert select_compared_trials(trials) == trials[:1]


def test_trials_on_resamples_are_not_compared():
    resampled = make_result(architecture="lstm", resample=1)
    trials = [resampled, result("lstm", "finished"), result("nb_svm", "finished")]
    assert select_compared_trials(trials) == trials[1:]
    with pytest.raises(UserError, match="learning rate"):
        select_compared_trials([resampled, result("lstm", "diverged")])


def test_comparison_without_a_finished_network_is_refused():
    trials = [result("lstm", "diverged"), result("nb_svm", "finished"), result("lstm", "finished", 0.5)]
    with pytest.raises(UserError, match="learning rate"):
        select_compared_trials(trials)
