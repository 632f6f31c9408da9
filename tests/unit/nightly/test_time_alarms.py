"""Alarms about training times: hand-worked cases, and machines whose pace wanders."""

import numpy as np
import pytest

from tasks.nightly.alarm_detection import ALL_ARCHITECTURES
from tasks.nightly.time_alarms import MIN_EARLIER_RUNS, SPAN, TimeCheck, check_times
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
    assert check_times(np.zeros((0, 0, 0)), [], np.zeros((0, 0, 0))).alarms == []


def test_cpu_time_is_compared_and_the_duration_ignored_where_both_are_known() -> None:
    slow, steady = times_of(*STEADY, 60, 80, 82, 81), times_of(*STEADY, 60, 61, 60, 62)
    assert check_times(slow, ["lstm"], steady) == TimeCheck([], [True], [True])
    (alarm,) = check_times(steady, ["lstm"], slow).alarms
    assert (alarm.run, alarm.metric, alarm.earlier_values) == (13, "cpu_seconds", 11)


def test_relative_time_is_compared_while_few_runs_have_a_cpu_time() -> None:
    relative = times_of(*STEADY, *STEADY, 60, 80, 82, 81)
    cpu = relative.copy()
    cpu[: len(relative) - MIN_EARLIER_RUNS - SPAN + 1] = np.nan  # one too few have it
    found = check_times(relative, ["lstm"], cpu)
    assert [(alarm.run, alarm.metric) for alarm in found.alarms] == [(23, "relative_seconds")]
    assert check_times(relative[:-1], ["lstm"], cpu[:-1]).by_cpu_time == [False]
    cpu[len(relative) - MIN_EARLIER_RUNS - SPAN] = np.log(60)
    assert [(alarm.run, alarm.metric) for alarm in check_times(relative, ["lstm"], cpu).alarms] == [(23, "cpu_seconds")]
    cpu[-1] = np.nan
    assert check_times(relative, ["lstm"], cpu).by_cpu_time == [False]


def test_load_on_the_machine_raises_no_alarm_if_cpu_time_does_not_depend_on_it() -> None:
    cpu = simulate_times(0, 60, pace_std=0.0, correlation=0.0)
    relative = cpu.copy()
    relative[40:] += np.log(4)  # four programs share a core
    assert check_times(relative, ARCHITECTURES).alarms
    assert not check_times(relative, ARCHITECTURES, cpu).alarms


@pytest.mark.parametrize("pace_std", [0.0, 0.1, 0.2])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8, 0.95])
def test_at_most_ten_of_a_thousand_runs_on_a_wandering_machine_raise_an_alarm(
    pace_std: float, correlation: float
) -> None:
    times = simulate_times(0, 1_000, pace_std=pace_std, correlation=correlation)
    assert len({alarm.run for alarm in check_times(times, ARCHITECTURES).alarms}) <= 10
