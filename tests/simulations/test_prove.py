"""The simulation check of the statistics: its numbers on small simulations, and its exit code."""

import json
from contextlib import nullcontext

import pytest
from statsmodels.stats.proportion import proportion_confint

from tests.simulations import nightly_claims, prove, seed_claims

POWERS = {"reported_power", "detection_rate", "power_interval"}
MEANS = {"reported_power", "expected_best"}
GROUPED = {"group_coverage", "group_differences"}
KEYS = {"family_wise_rate", "coverage", "expected_best", "training_coverage", *POWERS, *GROUPED, *seed_claims.ALLOWED}


@pytest.fixture(scope="module")
def result():
    return prove.run_simulations(equal=2, powers=3, coverages=4, reviews=60, grouped=5, seeds=(5, 6))


def make_result(
    *, rate=0.05, low=0.03, reported=0.6, detected=0.58, coverage=0.95, power=0.95, wins=0.97, best=0.85,
    group_high=0.97, group_low=0.03, samples=0.96,
):  # fmt: skip
    """Make a result of the simulations for one number of seeds, with intervals of ± 0.01."""
    interval = {"low": low, "high": 0.9, "simulations": 200}
    shares = {
        "detection_rate": detected, "coverage": coverage, "power_interval": power, "probability_coverage": wins,
        "score_without_failed": 0.95, "failure_bound": 0.96,
    }  # fmt: skip
    return {
        "family_wise_rate": {"5 seeds, skewed": {"rate": rate, **interval}},
        **{
            name: {"5 seeds": {"mean" if name in MEANS else "rate": value, "low": value - 0.01, "high": value + 0.01}}
            for name, value in {**shares, "reported_power": reported, "expected_best": best}.items()
        },
        "group_coverage": {"f1, groups of 30": {"rate": 0.9, "low": 0.87, "high": group_high}},
        "training_coverage": {"5 resamples": {"rate": samples, "low": samples - 0.01, "high": samples + 0.01}},
        "group_differences": {"groups of 30": {"rate": 0.06, "low": group_low, "high": 0.09}},
    }


def test_result_has_every_number_by_seeds_with_its_interval(result) -> None:
    assert set(result) == KEYS
    cases = {"5 seeds", "6 seeds"}
    assert set(result["family_wise_rate"]) == {case + name for case in cases for name in prove.EQUAL_ARCHITECTURES}
    assert all(set(result[name]) == {c + n for c in cases for n in prove.SEED_STDS} for name in POWERS)
    others = {"family_wise_rate", "training_coverage"}
    assert all(set(result[name]) == cases for name in KEYS - POWERS - GROUPED - others)
    assert set(result["group_differences"]) == {"groups of 1", "groups of 7", "groups of 30"}
    assert {"accuracy, groups of 1", "f1, groups of 7", "log_loss, groups of 30"} < set(result["group_coverage"])
    simulations = {
        "family_wise_rate": 2,
        "expected_best": 40,
        "training_coverage": 4,
        **dict.fromkeys(POWERS, 3),
        **dict.fromkeys(GROUPED, 5),
    }
    for name, by_seeds in result.items():
        for found in by_seeds.values():
            assert found["low"] <= found["mean" if name in MEANS else "rate"] <= found["high"]
            assert found["simulations"] == simulations.get(name, 4)
    assert json.loads(json.dumps(result)) == result


def test_rates_have_wilson_intervals() -> None:
    found = prove.estimate_rate([True, False, False, True, False])
    assert (found["rate"], found["simulations"]) == (0.4, 5)
    assert (found["low"], found["high"]) == pytest.approx(proportion_confint(2, 5, method="wilson"))


def test_means_have_normal_intervals() -> None:
    found = prove.estimate_mean([0.2, 0.4, 0.6])
    assert (found["mean"], found["simulations"]) == (pytest.approx(0.4), 3)
    assert found["high"] - found["mean"] == pytest.approx(1.96 * 0.2 / 3**0.5)


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({}, []),
        ({"rate": 0.08, "low": 0.049}, []),  # the interval reaches 5%
        ({"rate": 0.1, "low": 0.06}, [("5 seeds, skewed", "10.0%")]),
        ({"reported": 0.51, "detected": 0.35}, [("Power, 5 seeds", "51.0%", "35.0%")]),
        ({"reported": 0.35, "detected": 0.51}, [("Power, 5 seeds",)]),
        ({"reported": 0.645}, [("Power, 5 seeds", "64.5%")]),  # three points and the error of the simulation
        ({"power": 0.90}, [("Power, 5 seeds", "90.0%")]),
        ({"wins": 0.91}, [("probability_coverage, 5 seeds", "91.0%")]),
        ({"wins": 0.995}, []),  # the interval reaches 99%
        ({"best": 0.56}, [("expected_best, 5 seeds", "0.560", "0.846")]),
        ({"coverage": 0.92}, [("Coverage, 5 seeds", "92.0%")]),
        ({"group_high": 0.92}, [("f1, groups of 30", "90.0%")]),
        ({"group_low": 0.051}, [("groups of 30", "6.0%")]),
        ({"samples": 0.91}, [("5 resamples", "91.0%")]),
        ({"coverage": 0.98, "rate": 0.2, "low": 0.1}, [("20.0%",), ("Coverage", "98.0%")]),
    ],
)
def test_each_failed_check_is_reported_once(changes, facts) -> None:
    sentences = prove.failed_checks(make_result(**changes))
    assert len(sentences) == len(facts)
    assert all(fact in sentence for expected, sentence in zip(facts, sentences, strict=True) for fact in expected)


@pytest.mark.parametrize(("changes", "code"), [({}, 0), ({"coverage": 0.9}, 1)])
def test_last_line_is_json_and_a_failed_check_exits_with_1(monkeypatch, capsys, changes, code) -> None:
    received = {}
    monkeypatch.setattr(prove, "process_pool", lambda processes: nullcontext(map))
    monkeypatch.setattr(
        prove, "run_simulations", lambda map_range, **options: received.update(options) or make_result(**changes)
    )
    monkeypatch.setattr(prove, "check_nightly_claims", lambda map_range, short: ({}, []))
    assert prove.main(["--short"]) == code
    *_, last = capsys.readouterr().out.splitlines()
    assert json.loads(last).keys() >= KEYS
    assert bool(json.loads(last)["failures"]) == bool(code)
    assert received == prove.SHORT


def test_five_equal_architectures_are_compared_by_accuracy_only(monkeypatch) -> None:
    seen, compare_splits = {}, prove.compare_splits

    def record(splits, **arguments):
        seen.update(metrics=arguments["options"].metrics, shape=splits["test"].probabilities.shape)
        return compare_splits(splits, **arguments)

    monkeypatch.setattr(prove, "compare_splits", record)
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


def test_groups_are_the_reason_why_equal_models_differ() -> None:
    options = {"group_size": 30, "reviews": 900}
    ignored = [prove.groups.equal_models_differ(number, ignore=True, **options) for number in range(40)]
    by_group = [prove.groups.equal_models_differ(number, **options) for number in range(40)]
    assert sum(ignored) > 12
    assert sum(by_group) <= 4


def test_true_scores_are_those_of_many_reviews() -> None:
    truth = prove.groups.true_scores()
    test = prove.simulate_predictions(
        [prove.groups.ACCURACY], seeds=60, reviews=30_000, seed=0, architecture_std=prove.groups.ARCHITECTURE_STD,
        group_size=3,
    )["test"]  # fmt: skip
    for metric, values in prove.metric_contributions(test).items():
        assert values.mean() == pytest.approx(truth[metric], abs=0.006), metric


def test_claims_about_nightly_runs_have_rates_and_failures(monkeypatch) -> None:
    monkeypatch.setattr(nightly_claims, "RUNS", 20)
    monkeypatch.setattr(nightly_claims, "LOOKS", 3)
    monkeypatch.setattr(nightly_claims, "SHORT", {"histories": 1, "drops": 2, "comparisons": 2})
    result, failures = prove.check_nightly_claims(map, short=True)
    assert set(result) == {"nightly_alarm_rate", "nightly_detection_rate", "false_claim_rate"}
    assert {found["simulations"] for found in result["nightly_alarm_rate"].values()} == {20}
    assert {found["simulations"] for found in result["nightly_detection_rate"].values()} == {2}
    assert failures == []
    bad = {"rate": 0.5, "low": 0.4, "high": 0.6}
    assert len(nightly_claims.failed_claims({name: {"all looks": bad} for name in result})) == 3
