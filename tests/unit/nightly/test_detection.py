"""The regression check: hand-worked cases, and simulations with seed noise as measured (0.15 to 0.4 points)."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from tasks.nightly import detection
from tasks.nightly.detection import ALL, WATCHED, Evidence, alarms, alarms_of, look, losses

NAMES = ["simple_rnn", "lstm", "stacked_lstm", "bidirectional_lstm", "deep_lstm"]
SPREAD = np.array([0.40, 0.15, 0.30, 0.15, 0.25]) / 100  # of the accuracy of seeds
BASE = 3


def made_up(seed: int, nights: int, tails: int | None = None) -> np.ndarray:
    """Draw losses (nights, architectures, values, watched): three seeds and one more on the first night, then one.

    Accuracy, F1, AUC and log-loss of a seed go together; the time does not. With `tails` they come from a t
    distribution of so many degrees of freedom, of the same variance.
    """
    rng = np.random.default_rng(seed)
    shape = (nights, len(NAMES), BASE + 1, len(WATCHED))
    noise = rng.standard_normal(shape) if tails is None else rng.standard_t(tails, shape) * np.sqrt((tails - 2) / tails)
    noise[..., :4] = np.sqrt(0.7) * noise[..., :1] + np.sqrt(0.3) * noise[..., :4]
    of_measures = np.stack([SPREAD, SPREAD, 0.6 * SPREAD, 3 * SPREAD, np.full(len(NAMES), 0.05)], axis=-1)
    noise[1:, :, 1:] = np.nan
    return noise * of_measures[None, :, None]


def found_within(
    nights: int, worse: np.ndarray, names: slice | list[int], runs: int = 40, retrained: bool = False
) -> float:
    """Return the share of histories in which what begins on the 20th night is found within `nights`, and not before."""
    found = 0
    for run in range(runs):
        given = made_up(run, 20 + len(worse))
        if retrained:
            given[20] = made_up(1_000 + run, 1)[0]
        for step, points in enumerate(worse):
            given[20 + step, names, :, :2] += points / 100
        first = next((alarm["night"] for alarm in alarms(Evidence.of(given, NAMES)) if alarm["night"] >= 20), 1_000)
        found += first - 20 < nights
    return found / runs


@pytest.mark.parametrize(("tails", "louder"), [(None, 1), (4, 1), (None, 2)])
def test_of_a_thousand_unchanged_nights_at_most_twenty_raise_an_alarm(tails: int | None, louder: float) -> None:
    """Where seeds vary more, few differences are below the floor, and the tests themselves must keep alarms rare."""
    raised = alarms(Evidence.of(made_up(0, 1_000, tails) * louder, NAMES))
    assert len({alarm["night"] for alarm in raised}) <= 20


def test_a_drop_of_a_point_in_all_is_found_the_same_night() -> None:
    assert found_within(1, np.full(3, 1.0), slice(None)) >= 0.95


@pytest.mark.parametrize(("name", "least"), [("lstm", 0.95), ("stacked_lstm", 0.9)])
def test_a_drop_of_a_point_in_one_is_found_within_three_nights(name: str, least: float) -> None:
    assert found_within(3, np.full(3, 1.0), [NAMES.index(name)]) >= least


def test_where_a_change_retrains_all_seeds_a_drop_in_the_noisiest_is_found_within_three_nights() -> None:
    assert found_within(3, np.full(3, 1.0), [NAMES.index("simple_rnn")], retrained=True) >= 0.85


@pytest.mark.parametrize("name", ["all", "simple_rnn", "lstm"])
def test_a_drift_of_a_tenth_of_a_point_a_night_is_found_within_fifteen(name: str) -> None:
    names = slice(None) if name == "all" else [NAMES.index(name)]
    assert found_within(15, 0.1 * np.arange(1, 16), names, runs=20) >= 0.95


def test_without_cusum_the_drift_would_be_found_later(monkeypatch: pytest.MonkeyPatch) -> None:
    drift, names = 0.1 * np.arange(1, 16), [NAMES.index("simple_rnn")]
    with_cusum = found_within(9, drift, names, runs=15)
    monkeypatch.setattr(detection, "LIMIT", np.inf)
    assert found_within(9, drift, names, runs=15) < with_cusum


def history(*accuracies: list[float], name: str = "lstm", seconds: float = 10.0) -> pd.DataFrame:
    """Make up the new trials of nights, given their accuracies."""
    rows = [
        {"night": date(2026, 1, 1) + timedelta(days=place), "architecture": name, "accuracy": value, "f1": value}
        | {"auc": 0.9, "log_loss": 0.3, "relative_seconds": seconds}
        for place, values in enumerate(accuracies)
        for value in values
    ]
    return pd.DataFrame(rows)


def test_a_new_value_is_tested_as_by_hand() -> None:
    # Before: 0.89, 0.90, 0.90, 0.91, so s = 0.01 sqrt(2/3); 0.86 is 0.04 below, and t = 0.04 / (s sqrt(1 + 1/4)).
    found = Evidence.of(losses(history([0.89, 0.90, 0.90, 0.91], [0.86])), ["lstm"])
    first = np.ones((1, len(WATCHED)), dtype=int)
    seen = look(found, first - 1, first, night=1)
    assert seen.worse[0, 0] == pytest.approx(0.04)
    t = 0.04 / (0.01 * np.sqrt(2 / 3) * np.sqrt(1.25))
    assert seen.p[0, 0] == pytest.approx(detection.student.sf(t, 3))
    assert (seen.new[0, 0], seen.before[0, 0]) == (1, 4)
    assert np.isnan(seen.p[1]).all()  # one architecture is not all together


def test_one_bad_seed_is_no_regression_and_several_are() -> None:
    quiet = [[0.890, 0.891, 0.889, 0.890], [0.891], [0.890], [0.889], [0.890]]
    assert alarms_of(history(*quiet, [0.85])).empty
    raised = alarms_of(history(*quiet, [0.85, 0.86, 0.85]))
    assert set(raised["measure"]) == {"accuracy", "f1"}
    assert set(raised["sign"]) == {"tonight"}
    assert set(raised["night"]) == {date(2026, 1, 6)}
    assert raised["worse"].iloc[0] == pytest.approx(0.89 - 0.86 / 3 - 2 * 0.85 / 3, abs=1e-3)


def test_what_is_below_the_floor_is_no_alarm_however_sure() -> None:
    sure = history(*[[0.8901, 0.8900, 0.8899, 0.8900]] * 6, [0.8860] * 4)
    assert alarms_of(sure).empty


def test_better_is_no_alarm() -> None:
    assert alarms_of(history(*[[0.89, 0.891]] * 6, [0.95, 0.95])).empty


def test_an_alarm_is_raised_once_and_the_next_fall_again() -> None:
    high, low, lowest = [0.900, 0.901, 0.899, 0.9], [0.880, 0.881, 0.879, 0.88], [0.860, 0.861, 0.859, 0.86]
    raised = alarms_of(history(high, high, low, low, low, lowest, lowest))
    assert sorted(set(raised["night"])) == [date(2026, 1, 3), date(2026, 1, 6)]


def test_a_slow_machine_is_no_regression_and_slower_code_is() -> None:
    def nights(factor: float) -> pd.DataFrame:
        given = history(*[[0.89, 0.9]] * 6)
        probe = np.where(given["night"] == date(2026, 1, 6), 2.0, 1.0)  # the machine is half as fast that night
        seconds = np.where(given["night"] == date(2026, 1, 6), 2.0 * factor, 1.0) * np.tile([60, 61], 6)
        return given.assign(relative_seconds=seconds / probe)

    assert alarms_of(nights(1.0)).empty
    raised = alarms_of(nights(1.3))
    assert list(raised["measure"]) == ["relative_seconds"]
    assert np.exp(raised["worse"].iloc[0]) == pytest.approx(1.3)


def test_times_that_are_not_known_are_no_evidence() -> None:
    assert alarms_of(history(*[[0.89, 0.9]] * 6, seconds=np.nan)).empty


def test_all_together_find_what_none_finds_alone() -> None:
    rng = np.random.default_rng(5)
    nights = [history(*[[v] for v in rng.normal(0.89, 0.002, 8)], [0.884], name=name) for name in NAMES]
    raised = alarms_of(pd.concat(nights))
    assert set(raised["architecture"]) == {ALL}
    assert set(raised["night"]) == {date(2026, 1, 9)}


def test_a_baseline_has_no_noise_so_its_floor_decides() -> None:
    assert alarms_of(history([0.9], [0.896], name="nb_svm")).empty
    raised = alarms_of(history([0.9], [0.89], [0.89], name="nb_svm"))
    assert list(raised["measure"]) == ["accuracy", "f1"]
    assert set(raised["night"]) == {date(2026, 1, 2)}


def test_an_empty_history_has_no_alarm() -> None:
    assert alarms_of(history([0.9]).head(0)).empty
