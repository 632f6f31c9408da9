"""Detection of deterioration: hand-worked cases, and simulations with measured seed variance (0.15 to 0.4 points)."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t

from tasks.nightly import alarm_detection
from tasks.nightly.alarm_detection import ALL_ARCHITECTURES
from tasks.nightly.alarm_table import alarm_table, quality_losses
from tasks.nightly.detectability import detectability, examined_drop
from tasks.nightly.loss_comparison import (
    Baseline,
    combine_architectures,
    compare_losses,
    compute_p_values,
    failure_rates,
    median,
    summarize_earlier,
)
from tasks.nightly.losses import LossHistory
from tests.helpers.simulated_nights import ARCHITECTURES, METRICS, STD, alarm_nights, detection_rate, simulate_losses

UNCHANGED = {
    "normal": {}, "failing 2%": {"failure_rate": 0.02}, "failing 10%": {"failure_rate": 0.1},
    "skewed": {"distribution": "skewed"}, "heavy": {"distribution": "heavy"}, "spread 2": {"std": 2 * STD},
    "spread 4": {"std": 4 * STD},
}  # fmt: skip
ONE_POINT = np.full(3, 1.0)
each_number_of_histories = pytest.mark.parametrize("histories", [20, pytest.param(40, marks=pytest.mark.slow)])


@pytest.mark.parametrize("name", ["normal", "failing 2%", "failing 10%", "skewed"])
def test_unchanged_runs_rarely_raise_an_alarm(name: str) -> None:
    assert len(alarm_nights(simulate_losses(1, 200, **UNCHANGED[name]))) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", UNCHANGED)
def test_at_most_ten_of_a_thousand_unchanged_runs_raise_an_alarm(name: str) -> None:
    """With a larger variance, fewer differences are below the practical limit, so the tests must keep alarms rare."""
    numbers = [len(alarm_nights(simulate_losses(seed, 1_000, **UNCHANGED[name]))) for seed in range(3)]
    assert sum(numbers) <= 30


@each_number_of_histories
def test_drop_of_a_point_in_all_architectures_is_detected_in_the_same_run(histories: int) -> None:
    assert detection_rate(1, ONE_POINT[:1], histories=histories) >= 0.95


@each_number_of_histories
def test_drop_two_runs_after_a_failed_seed_is_detected_in_the_same_run(histories: int) -> None:
    assert detection_rate(1, ONE_POINT[:1], histories=histories, failed=True) >= 0.95


@pytest.mark.parametrize(
    ("name", "rate", "histories"),
    [("lstm", 0.95, 20), pytest.param("lstm", 0.95, 40, marks=pytest.mark.slow), ("stacked_lstm", 0.85, 40)],
)
def test_drop_of_a_point_in_one_architecture_is_detected_within_three_runs(
    name: str, rate: float, histories: int
) -> None:
    assert detection_rate(3, ONE_POINT, [ARCHITECTURES.index(name)], histories=histories) >= rate


def test_drop_in_the_noisiest_architecture_is_detected_within_three_runs_if_all_seeds_are_retrained() -> None:
    simple_rnn = [ARCHITECTURES.index("simple_rnn")]
    assert detection_rate(3, ONE_POINT, simple_rnn, histories=40, retrained=True) >= 0.7


@pytest.mark.parametrize("histories", [10, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["all", "simple_rnn", "lstm"])
def test_drift_of_a_tenth_of_a_point_per_run_is_detected_within_fifteen_runs(name: str, histories: int) -> None:
    architectures = slice(None) if name == "all" else [ARCHITECTURES.index(name)]
    assert detection_rate(15, 0.1 * np.arange(1, 16), architectures, histories=histories) >= 0.95


def test_cusum_detects_drift_earlier_than_tests_of_sudden_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    drift, architectures = 0.1 * np.arange(1, 16), [ARCHITECTURES.index("simple_rnn")]
    with_cusum = detection_rate(11, drift, architectures, histories=15)
    monkeypatch.setattr(alarm_detection, "CUSUM_LIMIT", np.inf)
    assert detection_rate(11, drift, architectures, histories=15) < with_cusum


def make_trials(*accuracies: list[float], name: str = "lstm", seconds: float = 10.0) -> pd.DataFrame:
    """Make the new trials of nightly runs with these accuracies."""
    rows = [
        {"night": date(2026, 1, 1) + timedelta(days=day), "architecture": name, "accuracy": value, "f1": value}
        | {"auc": 0.9, "log_loss": 0.3, "cpu_seconds": seconds, "relative_seconds": seconds}
        for day, values in enumerate(accuracies)
        for value in values
    ]
    return pd.DataFrame(rows)


def baseline(mean: float, std: float, count: int, outliers: int = 0, shape: tuple[int, ...] = ()) -> Baseline:
    return Baseline(*(np.full(shape, float(value)) for value in (mean, std, count, outliers)))


def test_p_value_of_a_new_value_matches_hand_computation() -> None:
    # Before: 0.89, 0.90, 0.90, 0.91, so s = 0.01 sqrt(2/3); 0.86 is 0.04 below, and t = 0.04 / (s sqrt(1 + 1/4)).
    history = quality_losses(make_trials([0.89, 0.90, 0.90, 0.91], [0.86]))
    losses = history.array
    earlier = summarize_earlier(losses[0].swapaxes(0, 1), history.min_deterioration)
    compared = compare_losses(losses[1].swapaxes(0, 1)[:1], earlier, np.full((1, 4), 0.1))
    assert compared.deterioration[0, 0] == pytest.approx(0.04)
    t = 0.04 / (0.01 * np.sqrt(2 / 3) * np.sqrt(1.25))
    assert compared.p[0, 0] == pytest.approx(0.1 + 0.9 * student_t.sf(t, 3))
    assert (compared.new_values[0, 0], compared.earlier_values[0, 0]) == (1, 4)
    assert np.isnan(compared.p[1]).all()  # one architecture is not combined


def test_p_value_is_the_average_over_the_number_of_failed_seeds() -> None:
    p = compute_p_values(np.array([3.0, np.nan, 1.0]), baseline(0, 1, 4), np.array(0.1))
    none_failed = student_t.sf(2 / np.sqrt(1 / 4 + 1 / 2), 3)
    worst_failed = student_t.sf(1 / np.sqrt(1 / 4 + 1), 3)
    assert p == pytest.approx(0.1**2 + 2 * 0.1 * 0.9 * worst_failed + 0.9**2 * none_failed)


def test_failed_seed_has_a_bounded_part_in_the_test_of_all() -> None:
    tested = np.ones((5, 1), dtype=bool)
    others = np.full((4, 1), 0.5)  # z of 0
    combined = combine_architectures(np.vstack([[[1e-200]], others]), tested)
    assert combined == pytest.approx(student_t.sf(3 / np.sqrt(5), 1e9))
    assert np.isnan(combine_architectures(np.array([[0.1], [np.nan]]), np.array([[True], [False]]))).all()


def test_failure_rate_of_an_architecture_is_drawn_to_that_of_all() -> None:
    earlier = Baseline(np.zeros((2, 1)), np.ones((2, 1)), np.array([[19.0], [20.0]]), np.array([[1.0], [0.0]]))
    overall = 1.5 / 41
    np.testing.assert_allclose(failure_rates(earlier), [[(1 + 20 * overall) / 40], [20 * overall / 40]])


def test_outliers_are_left_out_of_earlier_losses() -> None:
    values = np.array([0.0, 0.1, -0.1, 0.2, -0.2, 0.1, 9.0, np.nan])
    found = summarize_earlier(np.tile(values[:, None, None], (1, 1, 4)), np.full(4, 0.005))
    assert (found.count == 6).all()
    assert (found.outliers == 1).all()
    np.testing.assert_allclose(found.mean, values[:6].mean())
    np.testing.assert_allclose(found.std, values[:6].std(ddof=1))


def test_median_matches_numpy() -> None:
    values = simulate_losses(3, 7)
    np.testing.assert_array_equal(median(values[:, :, 0]), np.median(values[:, :, 0], axis=0))
    rows = values.reshape(-1, values.shape[-1])
    np.testing.assert_allclose(median(rows), np.nanmedian(rows, axis=0))
    assert np.isnan(median(np.full((3, 2), np.nan))).all()
    assert np.isnan(median(np.zeros((0, 2)))).all()


def test_losses_between_runs_match_slices() -> None:
    losses = LossHistory(simulate_losses(3, 7), ARCHITECTURES, METRICS)
    first = np.full((5, 4), 2)
    first[1, 2] = 4
    found = losses.between(first, np.full((5, 4), 6))
    assert found.shape == (4, 5, 4)  # one trial in each of four runs
    np.testing.assert_array_equal(found[:, 0], losses.array[2:6, 0, 0])
    np.testing.assert_array_equal(found[:, 1, 2], [np.nan, np.nan, *losses.array[4:6, 1, 0, 2]])


def make_all(*accuracies: list[float], failed: tuple[str, int] | None = None, scale: float = 1.0) -> pd.DataFrame:
    """Make trials of five architectures whose seeds spread by 0.2 points; one seed of one of them can fail."""
    rng = np.random.default_rng(5)
    trials = []
    for name in ARCHITECTURES:
        values = [[value + rng.normal(0, 0.002 * scale) for value in night] for night in accuracies]
        if failed and failed[0] == name:
            values[failed[1]] = [0.6]
        trials.append(make_trials(*values, name=name))
    return pd.concat(trials, ignore_index=True)


def test_one_failed_seed_raises_no_alarm_and_does_not_hide_a_drop_two_runs_later() -> None:
    stable = [[0.89] * 4, *[[0.89]] * 12]
    assert alarm_table(make_all(*stable, [0.89], failed=("lstm", 13))).empty
    assert alarm_table(make_all(*stable, *[[0.89]] * 4, failed=("lstm", 13))).empty
    alarms = alarm_table(make_all(*stable, [0.89], [0.89], [0.88], failed=("lstm", 13)))
    assert set(alarms["architecture"]) == {ALL_ARCHITECTURES}
    assert set(alarms["night"]) == {date(2026, 1, 16)}
    assert alarms["deterioration"].max() < 0.02  # of the median architecture, also with a failed seed


def test_only_the_architecture_that_raised_an_alarm_begins_anew() -> None:
    trials = make_all([0.89] * 4, *[[0.89]] * 9)
    lower = make_trials(*[[]] * 10, [0.870, 0.871, 0.869, 0.870], [0.870], name="lstm")
    same = pd.concat(
        [make_trials(*[[]] * 10, [0.89], [0.89, 0.889, 0.891, 0.89], name=name) for name in ARCHITECTURES[2:]]
    )
    others = make_trials(*[[]] * 10, [0.89], [0.870, 0.871, 0.869, 0.870], name="simple_rnn")
    alarms = alarm_table(pd.concat([trials, lower, same, others], ignore_index=True))
    assert list(dict.fromkeys(zip(alarms["architecture"], alarms["night"], strict=True))) == [
        ("lstm", date(2026, 1, 11)), ("simple_rnn", date(2026, 1, 12)),
    ]  # fmt: skip
    assert alarms["earlier_values"].tolist() == [13, 13, 14, 14]


def test_one_bad_seed_raises_no_alarm_and_several_do() -> None:
    stable = [[0.890, 0.891, 0.889, 0.890], [0.891], [0.890], [0.889], [0.890]]
    assert alarm_table(make_trials(*stable, [0.85])).empty
    alarms = alarm_table(make_trials(*stable, [0.85, 0.86, 0.85]))
    assert set(alarms["metric"]) == {"accuracy", "f1"}
    assert set(alarms["detector"]) == {"last nightly run"}
    assert set(alarms["night"]) == {date(2026, 1, 6)}
    assert alarms["deterioration"].iloc[0] == pytest.approx(0.89 - 0.85, abs=1e-3)  # of the median


def test_significant_change_below_the_practical_limit_raises_no_alarm() -> None:
    trials = make_trials(*[[0.8901, 0.8900, 0.8899, 0.8900]] * 6, [0.8860] * 4)
    assert alarm_table(trials).empty


def test_improvement_raises_no_alarm() -> None:
    assert alarm_table(make_trials(*[[0.89, 0.891]] * 6, [0.95, 0.95])).empty


def test_alarm_is_raised_once_and_again_after_the_next_drop() -> None:
    high, low, lowest = [0.900, 0.901, 0.899, 0.9], [0.880, 0.881, 0.879, 0.88], [0.860, 0.861, 0.859, 0.86]
    alarms = alarm_table(make_trials(high, high, low, low, low, lowest, lowest))
    assert sorted(set(alarms["night"])) == [date(2026, 1, 3), date(2026, 1, 6)]


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


@pytest.mark.slow
def test_detection_rate_matches_simulated_drops_for_each_spread() -> None:
    for spread, architecture in [(0.0015, "lstm"), (0.005, "gru"), (0.01, "simple_rnn")]:
        reported, detected = [], 0
        for seed in range(40):
            rng = np.random.default_rng(seed)
            values = rng.normal(0.88, spread, 23)
            stable = [list(values[:4]), *([value] for value in values[4:])]
            lower = [[value] for value in rng.normal(0.87, spread, 3)]
            reported.append(detectability(make_trials(*stable, name=architecture))["detection_rate"].iloc[0])
            detected += (
                alarm_table(make_trials(*stable, *lower, name=architecture))["night"] > date(2026, 1, 20)
            ).any()
        assert np.mean(reported) == pytest.approx(detected / 40, abs=0.15)


def test_detectability_counts_values_and_outliers() -> None:
    found = detectability(make_all([0.89] * 4, *[[0.89]] * 12, failed=("lstm", 5))).set_index("architecture")
    assert (found["tested"] == True).all()  # noqa: E712
    assert found["earlier_values"].to_dict() == dict.fromkeys(ARCHITECTURES, 15) | {"lstm": 14}
    assert found["outliers"].to_dict() == dict.fromkeys(ARCHITECTURES, 0) | {"lstm": 1}
    assert found["spread"].between(0.001, 0.003).all()
    assert (found["detection_rate_all"] > 0.95).all()
    noisy = detectability(make_all([0.89] * 4, *[[0.89]] * 12, scale=5)).set_index("architecture")
    assert (noisy["detection_rate"] < 0.3).all()
    assert (noisy["detection_rate_all"] < 0.5).all()


def test_nothing_is_detectable_without_earlier_values() -> None:
    found = detectability(make_trials([0.9, 0.9], [0.9]))
    assert not found["tested"].any()
    assert found[["detection_rate", "detection_rate_all"]].isna().all(axis=None)
    assert detectability(make_trials([0.9]).head(0)).empty


def with_metric(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Let a metric vary instead of the accuracy: log-loss by four times as much, in the other direction."""
    changed = 0.3 - 4 * (trials["accuracy"] - 0.89) if metric == "log_loss" else trials["accuracy"]
    return trials.assign(**({"accuracy": 0.89, "f1": 0.89} | {metric: changed}))


@pytest.mark.parametrize("metric", ["balanced_accuracy", "average_precision", "log_loss"])
def test_main_metric_is_checked_in_its_direction(metric: str) -> None:
    stable = [[0.89] * 4, *[[0.89]] * 12]
    worse, better = (with_metric(make_all(*stable, [value]), metric) for value in (0.875, 0.905))
    assert set(alarm_table(worse, metric)["metric"]) == {metric}
    assert alarm_table(better, metric).empty


def test_changed_main_metric_raises_no_alarm() -> None:
    trials = make_all([0.89] * 4, *[[0.89]] * 12).assign(balanced_accuracy=0.7, average_precision=0.4)
    for metric in ("accuracy", "balanced_accuracy", "average_precision", "auc", "log_loss"):
        assert alarm_table(trials, metric).empty


def test_a_deterioration_of_the_main_metric_has_its_own_detection_rate() -> None:
    trials = make_all([0.89] * 4, *[[0.89]] * 12)
    changed = with_metric(trials, "log_loss")
    assert (examined_drop("accuracy"), examined_drop("log_loss")) == (0.01, 0.04)
    found = detectability(changed, "log_loss")
    assert (found["detection_rate"] > 0.9).all()
    assert found["spread"].mean() == pytest.approx(4 * detectability(trials)["spread"].mean(), rel=1e-6)
