"""The simulation check of the statistics: its numbers on small simulations, and its exit code."""

import json
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from tasks.statistics.comparison import compare_splits
from tasks.statistics.options import ComparisonOptions
from tests.simulations import claims, nightly_claims, prove, seed_claims, training_claims, tuning_claims

POWERS = {"reported_power", "detection_rate", "power_error", "power_interval"}
MEANS = {"reported_power", "power_error", "expected_best", "tuned_power_error"}
GROUPED = {"group_coverage", "group_differences"}
KEYS = {"family_wise_rate", "coverage", *POWERS, *GROUPED, *seed_claims.ALLOWED, *training_claims.ALLOWED}
TUNED = {*tuning_claims.ALLOWED, "tuned_different"}
KEYS |= TUNED
METRICS = ("accuracy", "f1", "auc", "balanced_accuracy", "average_precision", "log_loss")


@pytest.fixture(scope="module")
def result():
    return prove.run_simulations(
        equal=2, powers=3, accuracies=6, coverages=4, reviews=60, grouped=5, seeds=(5, 6)
    )  # fmt: skip


def test_result_has_every_number_by_seeds_with_its_interval(result) -> None:
    assert set(result) == KEYS
    cases = {"5 seeds", "6 seeds"}
    assert set(result["family_wise_rate"]) == {case + name for case in cases for name in prove.EQUAL_ARCHITECTURES}
    assert all(set(result[name]) == {c + n for c in cases for n in prove.SEED_STDS} for name in POWERS)
    others = KEYS - POWERS - GROUPED - {"family_wise_rate", "expected_best", *training_claims.ALLOWED, *TUNED}
    assert all(set(result[name]) == cases for name in others)
    groups = (
        "groups of 1", "groups of 7", "groups of 30", "5% positive", "5% positive, groups of 30", *prove.CLASSES
    )  # fmt: skip
    for name in GROUPED:
        assert set(result[name]) == {f"{metric}, {case}" for metric in METRICS for case in groups}
    simulations = {
        "family_wise_rate": 2, "coverage": 6, "expected_best": 40, **dict.fromkeys(POWERS, 3),
        **dict.fromkeys(GROUPED, 5), **dict.fromkeys(TUNED, 2), "tuned_power_error": 3,
    }  # fmt: skip
    for name, by_seeds in result.items():
        for found in by_seeds.values():
            assert found["low"] <= found["mean" if name in MEANS else "rate"] <= found["high"]
            assert found["simulations"] == simulations.get(name, 4)
    assert json.loads(json.dumps(result)) == result


def test_every_result_but_three_is_a_claim(result) -> None:
    found = claims.make_claims(result, prove.ALLOWED)
    # The difference of the first two is the claim, and the third has no limit.
    plain = {"reported_power", "detection_rate", "tuned_different"}
    assert len(found) == sum(len(cases) for name, cases in result.items() if name not in plain)
    lines = claims.format_claims(found).splitlines()
    assert len(lines) == len(found) + 2
    assert all(line.endswith(("ok     |", "FAILED |")) for line in lines[2:])


def test_rates_have_wilson_intervals() -> None:
    found = claims.estimate_rate([True, False, False, True, False])
    assert (found["rate"], found["simulations"]) == (0.4, 5)
    assert (found["low"], found["high"]) == pytest.approx(proportion_confint(2, 5, method="wilson"))


def test_means_have_normal_intervals() -> None:
    found = claims.estimate_mean([0.2, 0.4, 0.6])
    assert (found["mean"], found["simulations"]) == (pytest.approx(0.4), 3)
    assert found["high"] - found["mean"] == pytest.approx(1.96 * 0.2 / 3**0.5)


@pytest.mark.parametrize(
    ("name", "low", "high", "holds"),
    [
        ("family_wise_rate", 0.049, 0.11, True),  # the interval reaches 5%
        ("family_wise_rate", 0.051, 0.11, False),
        ("coverage", 0.90, 0.929, False),
        ("coverage", 0.971, 0.99, False),
        ("coverage", 0.92, 0.931, False),  # there are enough simulations for what was found to be in the limits
        ("coverage", 0.92, 0.942, True),
        ("coverage", 0.965, 0.98, False),
        ("group_coverage", 0.92, 0.931, True),
        ("group_coverage", 0.87, 0.92, False),
        ("group_differences", 0.051, 0.09, False),
        ("power_error", 0.031, 0.05, False),
        ("power_error", -0.05, -0.031, False),
        ("power_error", 0.02, 0.05, True),
        ("power_interval", 0.90, 0.92, False),
        ("probability_coverage", 0.90, 0.92, False),
        ("probability_coverage", 0.98, 1.0, True),
        ("expected_best", 0.55, 0.57, False),
        ("expected_best", 0.83, 0.86, True),
        ("nightly_alarm_rate", 0.011, 0.02, False),
        ("nightly_detection_rate", 0.9, 0.94, False),
        ("false_claim_rate", 0.051, 0.3, False),
    ],
)
def test_a_claim_fails_if_its_interval_or_its_rate_is_not_allowed(name, low, high, holds) -> None:
    estimate = {"rate": (low + high) / 2, "low": low, "high": high, "simulations": 200}
    (claim,) = claims.make_claims({name: {"5 seeds": estimate}}, prove.ALLOWED)
    assert claim.holds == holds
    assert claim.cells[-1] == ("ok" if holds else "FAILED")
    assert "5 seeds" in claim.text


@pytest.mark.parametrize(("rate", "code"), [(0.95, 0), (0.8, 1)])
def test_table_is_printed_last_line_is_json_and_a_failed_claim_exits_with_1(monkeypatch, capsys, rate, code) -> None:
    received = {}
    found = {"rate": rate, "low": rate - 0.01, "high": rate + 0.01, "simulations": 200}
    monkeypatch.setattr(prove, "process_pool", lambda processes: nullcontext(map))
    monkeypatch.setattr(
        prove,
        "run_simulations",
        lambda map_range, **options: received.update(options) or {"coverage": {"5 seeds": found}},
    )
    monkeypatch.setattr(prove, "run_nightly_claims", lambda map_range, short, scale: {})
    assert prove.main(["--short"]) == code
    printed = capsys.readouterr()
    last = json.loads(printed.out.splitlines()[-1])
    assert last["coverage"] == {"5 seeds": found}
    assert len(last["failures"]) == code
    line = printed.err.splitlines()[-1]
    assert f"{100 * rate:.1f} [" in line
    assert ("FAILED" in line) == bool(code)
    assert received == prove.SHORT
    assert prove.main(["--short", "--scale", "0.001"]) == code
    assert received == {"equal": 1, "powers": 1, "accuracies": 2, "coverages": 1, "reviews": 2_000, "grouped": 1}


def test_five_equal_architectures_are_compared_by_accuracy_only(monkeypatch) -> None:
    seen, compare = {}, prove.compare_test_pairs

    def record(test, options):
        seen.update(metrics=options.metrics, shape=test.probabilities.shape)
        return compare(test, options)

    monkeypatch.setattr(prove, "compare_test_pairs", record)
    assert prove.has_false_positive(0, seeds=6, reviews=40, case=", other errors") in (True, False)
    assert (seen["shape"], seen["metrics"]) == ((5, 6, 40), ["accuracy"])


def test_a_large_difference_is_detected_and_a_wrong_accuracy_is_not_covered(monkeypatch) -> None:
    options = {"seeds": 5, "reviews": 2_000}
    assert prove.covers_true_accuracy(0, **options)
    monkeypatch.setattr(prove, "ONE_POINT", 0.12)
    assert prove.detects_one_point(0, **options)[1] is True
    simulate_predictions = prove.simulate_predictions
    monkeypatch.setattr(prove, "simulate_predictions", lambda _, **options: simulate_predictions([0.7], **options))
    assert not prove.covers_true_accuracy(0, **options)


@pytest.mark.parametrize("seeds", [5, 10])
def test_claims_about_failed_seeds_fail_if_failed_seeds_are_not_found(seeds, monkeypatch) -> None:
    def rates():
        options = {"simulations": 40, "reviews": 400, "seeds": seeds}
        result = {}
        seed_claims.run_seed_claims(
            map, lambda name, case, found: result.update({name: {case: found}}), claims.estimate_rate,
            claims.estimate_mean, **options,
        )  # fmt: skip
        allowed = {name: prove.ALLOWED[name] for name in ("score_without_failed", "failure_bound")}
        return [claim.holds for claim in claims.make_claims(result, allowed)]

    assert rates() == [True, True]
    monkeypatch.setattr(
        "tasks.statistics.summary.find_failed_seeds", lambda predictions, *_: np.zeros(predictions.present.shape, bool)
    )
    assert rates() == [False, False]


def test_pairs_are_those_of_a_comparison() -> None:
    splits = prove.simulate_predictions([0.8, 0.85, 0.8], seeds=5, reviews=90, seed=0, group_size=3)
    options = ComparisonOptions(draws=2)
    whole = compare_splits(splits, options=options)["pairs"]
    pairs, variances = prove.compare_test_pairs(splits["test"], options)
    bootstrap = ["bootstrap_low", "bootstrap_high"]
    pd.testing.assert_frame_equal(pairs.drop(columns=bootstrap), whole.drop(columns=bootstrap))
    assert len(variances) == 3


def test_groups_are_the_reason_why_equal_models_differ() -> None:
    options = {"group_size": 30, "reviews": 900}
    ignored = [prove.groups.equal_models_differ(number, ignore=True, **options)["accuracy"] for number in range(40)]
    by_group = [prove.groups.equal_models_differ(number, **options)["accuracy"] for number in range(40)]
    assert sum(ignored) > 12
    assert sum(by_group) <= 4


@pytest.mark.parametrize("positive_share", [0.5, 0.05])
def test_true_scores_are_those_of_many_reviews(positive_share) -> None:
    truth = prove.groups.true_scores(positive_share)
    test = prove.simulate_predictions(
        [prove.groups.ACCURACY], seeds=60, reviews=30_000, seed=0, group_size=3, positive_share=positive_share,
        **prove.groups.MODEL,
    )["test"]  # fmt: skip
    assert test.labels.mean() == pytest.approx(positive_share, abs=0.02)
    found = prove.metric_contributions(test)
    assert set(found) == set(truth)
    for metric, values in found.items():
        assert values.mean() == pytest.approx(truth[metric], abs=0.006 if positive_share == 0.5 else 0.015), metric


def test_simulated_baselines_have_one_run_and_other_seed_variances_keep_the_accuracy() -> None:
    options = {"seeds": 40, "reviews": 4_000, "seed": 1}
    test = prove.simulate_predictions([0.87] * 4, baselines=2, seed_std=[0.005, 0.04, 0.005, 0.005], **options)["test"]
    assert test.present.sum(axis=1).tolist() == [40, 40, 1, 1]
    accuracies = prove.metric_contributions(test, ["accuracy"])["accuracy"].mean(axis=2)
    assert accuracies[1].std() > 3 * accuracies[0].std()
    assert [row[0] for row in accuracies] == pytest.approx([0.87] * 4, abs=0.1)
    assert accuracies[:2].mean(axis=1) == pytest.approx([0.87] * 2, abs=0.03)


def test_claims_about_nightly_runs_have_rates_and_means(monkeypatch) -> None:
    monkeypatch.setattr(nightly_claims, "RUNS", 20)
    monkeypatch.setattr(nightly_claims, "LOOKS", 3)
    monkeypatch.setattr(nightly_claims, "SHORT", {"histories": 1, "drops": 2, "comparisons": 2})
    result = prove.run_nightly_claims(map, short=True)
    assert set(result) - set(nightly_claims.ALLOWED) == {"false_claim_rate_of_single_looks"}
    assert {found["simulations"] for found in result["nightly_alarm_rate"].values()} == {20}
    assert {found["simulations"] for found in result["nightly_detection_rate"].values()} == {2}
    assert {"mean" in found for found in result["promised_minus_detected"].values()} == {True}


def test_more_classes_have_the_scores_of_their_strength() -> None:
    truth = {classes: prove.classes.true_scores(classes) for classes in (3, 10)}
    assert truth[3]["accuracy"] > truth[10]["accuracy"] > 0.6
    strengths = np.full((1, 1), prove.classes.STRENGTH)
    test = prove.classes.simulate(strengths, classes=10, reviews=40_000, seed=0, group_size=3)
    assert np.bincount(test.labels) / 40_000 == pytest.approx(prove.classes.class_shares(10), abs=0.01)
    for metric, values in prove.metric_contributions(test).items():
        assert values.mean() == pytest.approx(truth[10][metric], abs=0.02), metric
