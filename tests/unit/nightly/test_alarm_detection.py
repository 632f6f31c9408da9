"""Detection of deterioration: hand-worked cases, and simulations with measured seed variance (0.15 to 0.4 points)."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t

from tasks.nightly import alarm_detection
from tasks.nightly.alarm_detection import ALL_ARCHITECTURES, compare_losses, detect_alarms
from tasks.nightly.alarm_table import alarm_table
from tasks.nightly.losses import MONITORED_METRICS, CumulativeLosses, loss_array

ARCHITECTURES = ["simple_rnn", "lstm", "stacked_lstm", "bidirectional_lstm", "deep_lstm"]
STD = np.array([0.40, 0.15, 0.30, 0.15, 0.25]) / 100  # of the accuracy over seeds
FIRST_SEEDS = 3


def simulate_losses(seed: int, runs: int, df: int | None = None) -> np.ndarray:
    """Draw losses (runs, architectures, trials, metrics): four trials in the first nightly run, then one.

    Accuracy, F1, AUC and log-loss of a trial are correlated; the training time is independent. With `df` the losses
    have a t distribution with that many degrees of freedom and the same variance.
    """
    rng = np.random.default_rng(seed)
    shape = (runs, len(ARCHITECTURES), FIRST_SEEDS + 1, len(MONITORED_METRICS))
    noise = rng.standard_normal(shape) if df is None else rng.standard_t(df, shape) * np.sqrt((df - 2) / df)
    noise[..., :4] = np.sqrt(0.7) * noise[..., :1] + np.sqrt(0.3) * noise[..., :4]
    std = np.stack([STD, STD, 0.6 * STD, 3 * STD, np.full(len(ARCHITECTURES), 0.05)], axis=-1)
    noise[1:, :, 1:] = np.nan
    return noise * std[None, :, None]


def cumulative(losses: np.ndarray) -> CumulativeLosses:
    return CumulativeLosses.from_losses(losses, ARCHITECTURES)


def detection_rate(
    within: int, drop_points: np.ndarray, architectures: slice | list[int], histories: int = 40, retrained: bool = False
) -> float:
    """Return the share of histories whose first alarm is within `within` runs of a drop that begins in the 20th run."""
    detected = 0
    for history in range(histories):
        losses = simulate_losses(history, 20 + len(drop_points))
        if retrained:
            losses[20] = simulate_losses(1_000 + history, 1)[0]
        for step, points in enumerate(drop_points):
            losses[20 + step, architectures, :, :2] += points / 100
        first = next((alarm.run for alarm in detect_alarms(cumulative(losses)) if alarm.run >= 20), 1_000)
        detected += first - 20 < within
    return detected / histories


@pytest.mark.parametrize(("df", "scale"), [(None, 1), (4, 1), (None, 2)])
def test_at_most_2_percent_of_unchanged_runs_raise_an_alarm(df: int | None, scale: float) -> None:
    """With a larger variance, fewer differences are below the practical limit, so the tests must keep alarms rare."""
    alarms = detect_alarms(cumulative(simulate_losses(0, 1_000, df) * scale))
    assert len({alarm.run for alarm in alarms}) <= 20


def test_drop_of_a_point_in_all_architectures_is_detected_in_the_same_run() -> None:
    assert detection_rate(1, np.full(3, 1.0), slice(None)) >= 0.95


@pytest.mark.parametrize(("name", "rate"), [("lstm", 0.95), ("stacked_lstm", 0.9)])
def test_drop_of_a_point_in_one_architecture_is_detected_within_three_runs(name: str, rate: float) -> None:
    assert detection_rate(3, np.full(3, 1.0), [ARCHITECTURES.index(name)]) >= rate


def test_drop_in_the_noisiest_architecture_is_detected_within_three_runs_if_all_seeds_are_retrained() -> None:
    assert detection_rate(3, np.full(3, 1.0), [ARCHITECTURES.index("simple_rnn")], retrained=True) >= 0.85


@pytest.mark.parametrize("name", ["all", "simple_rnn", "lstm"])
def test_drift_of_a_tenth_of_a_point_per_run_is_detected_within_fifteen_runs(name: str) -> None:
    architectures = slice(None) if name == "all" else [ARCHITECTURES.index(name)]
    assert detection_rate(15, 0.1 * np.arange(1, 16), architectures, histories=20) >= 0.95


def test_cusum_detects_drift_earlier_than_t_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    drift, architectures = 0.1 * np.arange(1, 16), [ARCHITECTURES.index("simple_rnn")]
    with_cusum = detection_rate(9, drift, architectures, histories=15)
    monkeypatch.setattr(alarm_detection, "CUSUM_LIMIT", np.inf)
    assert detection_rate(9, drift, architectures, histories=15) < with_cusum


def make_trials(*accuracies: list[float], name: str = "lstm", seconds: float = 10.0) -> pd.DataFrame:
    """Make the new trials of nightly runs with these accuracies."""
    rows = [
        {"night": date(2026, 1, 1) + timedelta(days=day), "architecture": name, "accuracy": value, "f1": value}
        | {"auc": 0.9, "log_loss": 0.3, "relative_seconds": seconds}
        for day, values in enumerate(accuracies)
        for value in values
    ]
    return pd.DataFrame(rows)


def test_t_test_of_a_new_value_matches_hand_computation() -> None:
    # Before: 0.89, 0.90, 0.90, 0.91, so s = 0.01 sqrt(2/3); 0.86 is 0.04 below, and t = 0.04 / (s sqrt(1 + 1/4)).
    losses = CumulativeLosses.from_losses(loss_array(make_trials([0.89, 0.90, 0.90, 0.91], [0.86])), ["lstm"])
    first = np.ones((1, len(MONITORED_METRICS)), dtype=int)
    compared = compare_losses(losses, first - 1, first, run=1)
    assert compared.deterioration[0, 0] == pytest.approx(0.04)
    t = 0.04 / (0.01 * np.sqrt(2 / 3) * np.sqrt(1.25))
    assert compared.p[0, 0] == pytest.approx(student_t.sf(t, 3))
    assert (compared.new_values[0, 0], compared.earlier_values[0, 0]) == (1, 4)
    assert np.isnan(compared.p[1]).all()  # one architecture is not combined


def test_moments_match_numpy() -> None:
    losses = simulate_losses(3, 7)
    shape = losses.shape[1], losses.shape[3]
    n, mean, squares = cumulative(losses).moments(np.full(shape, 2), np.full(shape, 6))
    centered = losses - np.nanmean(losses, axis=(0, 2), keepdims=True)
    selected = centered[2:6]
    np.testing.assert_array_equal(n, np.isfinite(selected).sum((0, 2)))
    np.testing.assert_allclose(mean, np.nanmean(selected, axis=(0, 2)), atol=1e-12)
    np.testing.assert_allclose(squares, n * np.nanvar(selected, axis=(0, 2)), atol=1e-12)


def test_one_bad_seed_raises_no_alarm_and_several_do() -> None:
    stable = [[0.890, 0.891, 0.889, 0.890], [0.891], [0.890], [0.889], [0.890]]
    assert alarm_table(make_trials(*stable, [0.85])).empty
    alarms = alarm_table(make_trials(*stable, [0.85, 0.86, 0.85]))
    assert set(alarms["metric"]) == {"accuracy", "f1"}
    assert set(alarms["detector"]) == {"last nightly run"}
    assert set(alarms["night"]) == {date(2026, 1, 6)}
    assert alarms["deterioration"].iloc[0] == pytest.approx(0.89 - 0.86 / 3 - 2 * 0.85 / 3, abs=1e-3)


def test_significant_change_below_the_practical_limit_raises_no_alarm() -> None:
    trials = make_trials(*[[0.8901, 0.8900, 0.8899, 0.8900]] * 6, [0.8860] * 4)
    assert alarm_table(trials).empty


def test_improvement_raises_no_alarm() -> None:
    assert alarm_table(make_trials(*[[0.89, 0.891]] * 6, [0.95, 0.95])).empty


def test_alarm_is_raised_once_and_again_after_the_next_drop() -> None:
    high, low, lowest = [0.900, 0.901, 0.899, 0.9], [0.880, 0.881, 0.879, 0.88], [0.860, 0.861, 0.859, 0.86]
    alarms = alarm_table(make_trials(high, high, low, low, low, lowest, lowest))
    assert sorted(set(alarms["night"])) == [date(2026, 1, 3), date(2026, 1, 6)]


def test_slow_machine_raises_no_alarm_and_slower_code_does() -> None:
    def trials_with(factor: float) -> pd.DataFrame:
        trials = make_trials(*[[0.89, 0.9]] * 6)
        last = trials["night"] == date(2026, 1, 6)
        probe = np.where(last, 2.0, 1.0)  # the machine is half as fast in the last run
        seconds = np.where(last, 2.0 * factor, 1.0) * np.tile([60, 61], 6)
        return trials.assign(relative_seconds=seconds / probe)

    assert alarm_table(trials_with(1.0)).empty
    alarms = alarm_table(trials_with(1.3))
    assert list(alarms["metric"]) == ["relative_seconds"]
    assert np.exp(alarms["deterioration"].iloc[0]) == pytest.approx(1.3)


def test_unknown_times_raise_no_alarm() -> None:
    assert alarm_table(make_trials(*[[0.89, 0.9]] * 6, seconds=np.nan)).empty


def test_all_architectures_together_detect_what_none_detects_alone() -> None:
    rng = np.random.default_rng(5)
    runs = [make_trials(*[[v] for v in rng.normal(0.89, 0.002, 8)], [0.884], name=name) for name in ARCHITECTURES]
    alarms = alarm_table(pd.concat(runs))
    assert set(alarms["architecture"]) == {ALL_ARCHITECTURES}
    assert set(alarms["night"]) == {date(2026, 1, 9)}


def test_baseline_raises_an_alarm_at_the_practical_limit() -> None:
    assert alarm_table(make_trials([0.9], [0.896], name="nb_svm")).empty
    alarms = alarm_table(make_trials([0.9], [0.89], [0.89], name="nb_svm"))
    assert list(alarms["metric"]) == ["accuracy", "f1"]
    assert set(alarms["night"]) == {date(2026, 1, 2)}


def test_empty_history_has_no_alarm() -> None:
    assert alarm_table(make_trials([0.9]).head(0)).empty
