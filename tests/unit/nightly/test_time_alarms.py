"""Alarms about training times: hand-worked cases, and machines whose pace wanders."""

import numpy as np
import pytest

from tasks.nightly.alarm_detection import ALL_ARCHITECTURES
from tasks.nightly.time_alarms import MIN_EARLIER_RUNS, SPAN, check_times
from tests.helpers.simulated_nights import ARCHITECTURES, simulate_times


def times_of(*seconds: float) -> np.ndarray:
    """Return the logarithms of the times of one architecture with one trial per nightly run."""
    return np.log(np.array(seconds, dtype=float))[:, None, None]


STEADY = [60, 61, 60, 62, 60, 61, 60, 61, 62, 60]


def test_three_slower_runs_raise_one_alarm_and_one_or_two_raise_none() -> None:
    assert len(STEADY) == MIN_EARLIER_RUNS
    for slow in (1, 2):
        assert not check_times(times_of(*STEADY, *[60] * 3, *[80] * slow), ["lstm"]).alarms
    (alarm,) = check_times(times_of(*STEADY, 60, 80, 82, 81, 80, 81, 80), ["lstm"]).alarms
    assert (alarm.run, alarm.architecture, alarm.metric) == (13, "lstm", "relative_seconds")
    assert np.exp(alarm.deterioration) == pytest.approx(81 / 60)  # medians
    assert (alarm.new_values, alarm.earlier_values) == (SPAN, 11)


def test_times_within_the_margins_raise_no_alarm() -> None:
    assert not check_times(times_of(*STEADY, 68, 68, 68), ["lstm"]).alarms  # less than 10% above 62
    wandering = [60, 90, *STEADY]  # a range of 50%, so 10% above the slowest is not enough
    assert not check_times(times_of(*wandering, 105, 105, 105), ["lstm"]).alarms
    assert check_times(times_of(*wandering, 120, 120, 120), ["lstm"]).alarms


def test_slower_machine_raises_one_alarm_for_all() -> None:
    times = simulate_times(0, 20, pace_std=0.0, correlation=0.0)
    times[15:] += np.log(1.5)
    alarms = check_times(times, ARCHITECTURES).alarms
    assert [(alarm.run, alarm.architecture) for alarm in alarms] == [(17, ALL_ARCHITECTURES)]


def test_missing_times_are_not_tested() -> None:
    assert not check_times(times_of(*[np.nan] * 20), ["lstm"]).tested[0]
    assert not check_times(times_of(*STEADY, 60, 60), ["lstm"]).tested[0]
    assert check_times(times_of(*STEADY, 60, 60, 60), ["lstm"]).tested == [True]
    assert check_times(times_of(*STEADY, 60, 60, 60, np.nan), ["lstm"]).tested == [False]
    assert check_times(times_of(*STEADY, np.nan, 80, np.nan, 80, 80), ["lstm"]).alarms
    assert check_times(np.zeros((0, 0, 0)), []).alarms == []


@pytest.mark.parametrize("pace_std", [0.0, 0.1, 0.2])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8, 0.95])
def test_at_most_ten_of_a_thousand_runs_on_a_wandering_machine_raise_an_alarm(
    pace_std: float, correlation: float
) -> None:
    times = simulate_times(0, 1_000, pace_std=pace_std, correlation=correlation)
    assert len({alarm.run for alarm in check_times(times, ARCHITECTURES).alarms}) <= 10
