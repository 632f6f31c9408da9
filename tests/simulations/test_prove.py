"""The proof by simulation: its numbers on tiny runs, and that it fails where a claim does."""

import json
from contextlib import nullcontext

import pytest
from statsmodels.stats.proportion import proportion_confint

from tests.simulations import prove

KEYS = {"family_wise_rate", "power_printed", "power_found", "coverage"}


@pytest.fixture(scope="module")
def result():
    return prove.prove(copies=2, powers=3, coverages=4, reviews=60, seeds=(5, 6))


def numbers(*, rate=0.05, low=0.03, printed=0.6, found=0.55, coverage=0.95):
    """Make a result of the proof."""
    counted = {"low": low, "high": 0.9, "simulations": 200}
    return {
        "family_wise_rate": {"5 seeds, skewed": {"rate": rate, **counted}},
        "power_printed": {"5 seeds": {"mean": printed, **counted}},
        "power_found": {"5 seeds": {"rate": found, **counted}},
        "coverage": {"5 seeds": {"rate": coverage, **counted}},
    }


def test_each_number_comes_by_seeds_and_with_its_interval(result) -> None:
    assert set(result) == KEYS
    cases = {"5 seeds", "6 seeds"}
    assert set(result["family_wise_rate"]) == {case + kind for case in cases for kind in prove.KINDS}
    assert all(set(result[name]) == cases for name in KEYS - {"family_wise_rate"})
    for name, by_seeds in result.items():
        for found in by_seeds.values():
            assert found["low"] <= found["mean" if name == "power_printed" else "rate"] <= found["high"]
            assert found["simulations"] == {"family_wise_rate": 2, "coverage": 4}.get(name, 3)
    assert json.loads(json.dumps(result)) == result


def test_rates_have_wilson_intervals() -> None:
    found = prove.rate([True, False, False, True, False])
    assert (found["rate"], found["simulations"]) == (0.4, 5)
    assert (found["low"], found["high"]) == pytest.approx(proportion_confint(2, 5, method="wilson"))


def test_means_have_normal_intervals() -> None:
    found = prove.average([0.2, 0.4, 0.6])
    assert (found["mean"], found["simulations"]) == (pytest.approx(0.4), 3)
    assert found["high"] - found["mean"] == pytest.approx(1.96 * 0.2 / 3**0.5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"rate": 0.08, "low": 0.049}, []),  # the interval reaches 5%
        ({"rate": 0.1, "low": 0.06}, ["5 seeds, skewed: told apart in 10.0%"]),
        ({"printed": 0.51, "found": 0.35}, ["Power, 5 seeds: printed 51.0%, found 35.0%"]),
        ({"printed": 0.35, "found": 0.51}, ["Power, 5 seeds"]),
        ({"coverage": 0.92}, ["Coverage, 5 seeds: 92.0%"]),
        ({"coverage": 0.98, "rate": 0.2, "low": 0.1}, ["told apart", "Coverage"]),
    ],
)
def test_a_claim_that_fails_is_named(changes, words) -> None:
    said = prove.failures(numbers(**changes))
    assert len(said) == len(words)
    assert all(word in sentence for word, sentence in zip(words, said, strict=True))


@pytest.mark.parametrize(("changes", "code"), [({}, 0), ({"coverage": 0.9}, 1)])
def test_the_last_line_is_json_and_the_exit_code_tells(monkeypatch, capsys, changes, code) -> None:
    asked = {}
    monkeypatch.setattr(prove, "pool", lambda processes: nullcontext(map))
    monkeypatch.setattr(prove, "prove", lambda each, **options: asked.update(options) or numbers(**changes))
    assert prove.main(["--short"]) == code
    *_, last = capsys.readouterr().out.splitlines()
    assert json.loads(last).keys() >= KEYS
    assert bool(json.loads(last)["failures"]) == bool(code)
    assert asked == prove.SHORT


def test_copies_are_compared_under_five_names(monkeypatch) -> None:
    seen, compare_panels = {}, prove.compare_panels

    def watched(panels, **options):
        seen.update(options, shape=panels["test"].probabilities.shape)
        return compare_panels(panels, **options)

    monkeypatch.setattr(prove, "compare_panels", watched)
    assert prove.claims_a_difference(0, seeds=6, reviews=40, kind=", other errors") in (True, False)
    assert (seen["shape"], seen["metrics"]) == ((5, 6, 40), ["accuracy"])


def test_a_large_difference_is_found_and_a_wrong_truth_is_not_covered(monkeypatch) -> None:
    known = {"seeds": 5, "reviews": 2_000}
    assert prove.covers_the_truth(0, **known)
    monkeypatch.setattr(prove, "POINT", 0.12)
    assert prove.finds_a_point(0, **known)[1] is True
    simulated_panels = prove.simulated_panels
    monkeypatch.setattr(prove, "simulated_panels", lambda _, **options: simulated_panels([0.7], **options))
    assert not prove.covers_the_truth(0, **known)
