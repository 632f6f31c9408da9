"""Calibration, compared with numbers computed by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.special import expit

from tasks.evaluation.calibration import (  # fmt: skip
    TEMPERATURES,
    apply_temperature,
    best_threshold,
    calibrate,
    fit_temperature,
    fit_threshold,
    temperature_obstacle,
)
from tasks.evaluation.cross_validation import FOLDS, assign_folds
from tasks.evaluation.grouping import make_groups
from tasks.evaluation.metrics import log_loss
from tasks.evaluation.reliability import (  # fmt: skip
    brier_score,
    expected_calibration_error,
    reliability_bins,
    reliability_table,
)
from tests.helpers.examples import examples
from tests.simulations.calibration import draw, simulate


def test_brier_and_calibration_error_by_hand() -> None:
    labels, probabilities = np.array([0, 1, 1, 1], np.int8), np.array([0.2, 0.2, 0.8, 0.8])
    assert brier_score(labels, probabilities) == pytest.approx((0.04 + 0.64 + 0.04 + 0.04) / 4)
    # Two bins: predicted 0.2, observed 0.5; predicted 0.8, observed 1.
    assert expected_calibration_error(labels, probabilities, bins=2) == pytest.approx(0.5 * 0.3 + 0.5 * 0.2)


def test_bins_have_equal_mass_and_contain_every_review() -> None:
    probabilities = np.linspace(0.01, 0.99, 90) ** 3
    found = reliability_bins((probabilities > 0.3).astype(np.int8), probabilities, bins=9)
    assert found["reviews"].sum() == 90
    assert found["reviews"].between(9, 11).all()
    assert ((found["low"] <= found["observed"] + 1e-12) & (found["observed"] <= found["high"] + 1e-12)).all()


def test_temperature_of_an_overconfident_model() -> None:
    rng = np.random.default_rng(0)
    true = rng.uniform(0.05, 0.95, 20_000)
    labels = (rng.random(20_000) < true).astype(np.int8)
    overconfident = apply_temperature(true, 0.5)
    assert fit_temperature(labels, overconfident) == pytest.approx(2, abs=0.1)
    np.testing.assert_allclose(apply_temperature(overconfident, 2), true, atol=1e-6)


def test_threshold_by_hand() -> None:
    labels, probabilities = np.array([0, 0, 1, 1], np.int8), np.array([0.1, 0.6, 0.7, 0.9])
    assert best_threshold(labels, probabilities) == pytest.approx(0.65)
    assert best_threshold(np.array([0, 1], np.int8), np.array([0.2, 0.9])) == 0.5


@examples(40)
@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=40))
def test_no_threshold_has_a_higher_accuracy_than_the_fitted_one(rows: list[tuple[int, float]]) -> None:
    labels, probabilities = np.array([row[0] for row in rows], np.int8), np.array([row[1] for row in rows])
    found = np.mean((probabilities > best_threshold(labels, probabilities)) == labels)
    assert all(found >= np.mean((probabilities > cut) == labels) for cut in [*probabilities, 0.5])


def test_threshold_that_may_be_noise_is_not_used() -> None:
    rng = np.random.default_rng(0)
    small = [draw(40, 1.0, 1.0, rng) for _ in range(60)]
    test_labels, test = draw(20_000, 1.0, 1.0, rng)
    raw, chosen = ([fit(*split) for split in small] for fit in (best_threshold, fit_threshold))
    accuracies = [np.mean([np.mean((test > cut) == test_labels) for cut in cuts]) for cuts in (raw, chosen, [0.5])]
    assert accuracies[0] + 0.005 < accuracies[1] <= accuracies[2] + 0.001
    assert fit_threshold(test_labels, test**3) == pytest.approx(0.125, abs=0.03)  # a large one is found
    assert fit_threshold(np.array([0, 1], np.int8), np.array([0.6, 0.9])) == 0.5  # two reviews determine nothing


def make_case(kind: str, reviews: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make labels and float32 probabilities of a validation split of an unusual kind."""
    rng = np.random.default_rng(seed)
    labels, probabilities = draw(reviews, 1.0, float(rng.choice([0.5, 1, 3])), rng)
    made = {
        "noisy": (labels, probabilities),
        "separable": (labels, 0.5 + (labels - 0.5) * rng.uniform(0.01, 1, reviews)),
        "separable at 0.8": (labels, 0.8 + np.where(labels == 1, 0.2, -0.8) * rng.uniform(0.01, 1, reviews)),
        "constant": (labels, np.full(reviews, rng.random())),
        "one positive": ((np.arange(reviews) == 1).astype(np.int8), probabilities),
        "one class": (np.ones(reviews, np.int8), probabilities),
        "saturated": (labels, expit(np.where(rng.random(reviews) < 0.9, 800, -800) * (2 * labels - 1.0))),
        "certain": (labels, labels.astype(float)),
        "wrong": (labels, 1.0 - labels),
        "unrelated": (labels, rng.random(reviews)),
        "hardly informative": (labels, 0.5 + 1e-6 * (labels - 0.5 + rng.standard_normal(reviews))),
    }
    return made[kind][0], made[kind][1].astype(np.float32)


KINDS = ["noisy", "separable", "separable at 0.8", "constant", "one positive", "one class", "saturated", "certain",
         "wrong", "unrelated", "hardly informative"]  # fmt: skip
HAVE_NO_TEMPERATURE = {"separable", "constant", "one positive", "one class", "certain"}


def held_out_losses(labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray | None) -> tuple[float, float]:
    """Return the log-loss without and with calibration on folds of which each is calibrated on the others."""
    known = None if groups is None else make_groups(groups)
    folds, scaled = assign_folds(labels, probabilities, known), np.empty(len(labels))
    for fold in range(FOLDS):
        rest, own = folds != fold, folds == fold
        if own.any() and rest.any():
            of_rest = None if groups is None else make_groups(groups[rest])
            scaled[own] = apply_temperature(
                probabilities[own], fit_temperature(labels[rest], probabilities[rest], of_rest)
            )
    return log_loss(labels, probabilities), log_loss(labels, scaled)


@examples(8, thorough=30)
@given(st.sampled_from(KINDS), st.integers(10, 2_000), st.integers(0, 99), st.booleans())
@example("separable", 40, 0, False)
@example("saturated", 2_000, 0, True)
def test_temperature_is_never_at_its_limit_and_never_raises_the_loss(
    kind: str, reviews: int, seed: int, grouped: bool
) -> None:
    check_temperature(kind, reviews, seed, grouped)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "grouped"), [("noisy", False), ("saturated", True)])
def test_temperature_of_a_large_split_is_not_at_its_limit_either(kind: str, grouped: bool) -> None:
    check_temperature(kind, 100_000, 0, grouped)


def check_temperature(kind: str, reviews: int, seed: int, grouped: bool) -> None:
    labels, probabilities = make_case(kind, reviews, seed)
    numbers = np.arange(reviews) // 3 if grouped else None
    groups = None if numbers is None else make_groups(numbers)
    temperature = fit_temperature(labels, probabilities, groups)
    assert 1.01 * TEMPERATURES[0] < temperature < TEMPERATURES[1] / 1.01
    assert (temperature == 1) >= (kind in HAVE_NO_TEMPERATURE)
    scaled = apply_temperature(probabilities, temperature)
    assert log_loss(labels, scaled) <= log_loss(labels, probabilities) + 1e-6
    if temperature != 1:  # it was chosen because this holds for the estimates of the folds
        before, after = held_out_losses(labels, probabilities, numbers)
        assert after <= before + 0.02
    shuffled = np.random.default_rng(0).permutation(reviews)
    of_shuffled = None if numbers is None else make_groups(numbers[shuffled])
    assert fit_temperature(labels[shuffled], probabilities[shuffled], of_shuffled) == pytest.approx(temperature, 1e-3)


def test_separable_validation_reviews_have_no_temperature() -> None:
    rng = np.random.default_rng(0)
    labels, probabilities = draw(40, 6.0, 0.1, rng)
    assert np.all((probabilities > 0.5) == labels)
    assert fit_temperature(labels, probabilities) == 1
    assert temperature_obstacle(labels, probabilities, None)
    assert not temperature_obstacle(*draw(200, 1.0, 1.0, rng), None)


@pytest.mark.parametrize("simulations", [4, pytest.param(10, marks=pytest.mark.slow)])
def test_calibration_does_not_raise_the_loss_on_other_reviews(simulations: int) -> None:
    rows = pd.DataFrame(simulate(simulations, seed=1))
    assert (rows["after"] <= rows["before"] + 0.005).all()
    assert (rows["worst"] < 0.1).all()
    large = rows.query("reviews == 4_000 and accuracy != '100%' and overconfidence != 1")
    assert (large["after"] < large["before"] - 0.02).all()


@pytest.mark.parametrize("copies", [1, 30])
def test_copies_of_a_text_are_in_one_fold_and_count_once(copies: int) -> None:
    labels, probabilities = draw(12 * copies, 1.0, 0.5, np.random.default_rng(3))
    numbers = np.arange(12).repeat(copies)
    groups = make_groups(numbers)
    folds = assign_folds(labels, probabilities, groups)
    assert all(len(set(folds[numbers == number])) == 1 for number in range(12))
    labels = (numbers % 2).astype(np.int8)  # six texts of each class, however often they are repeated
    assert fit_temperature(labels, probabilities, groups) == 1


def test_folds_contain_both_classes_and_are_of_equal_size() -> None:
    labels, probabilities = draw(205, 1.0, 1.0, np.random.default_rng(4))
    labels[:] = np.arange(205) < 10
    folds = assign_folds(labels, probabilities, None)
    assert set(folds[labels == 1]) == set(range(FOLDS))
    assert set(np.bincount(folds)) == {20, 21}


def test_note_says_why_the_temperature_is_1() -> None:
    labels, probabilities = draw(40, 6.0, 1.0, np.random.default_rng(0))
    rows = pd.DataFrame({"architecture": "a", "seed": 0, "label": labels, "probability": probabilities})
    both = pd.concat([rows.assign(split=split) for split in ("validation", "test")])
    (found,) = calibrate(both).to_dict("records")
    assert (found["temperature"], found["threshold"], found["note"] != "") == (1, 0.5, True)
    assert (found["log_loss"], found["brier"]) == (found["log_loss_scaled"], found["brier_scaled"])
    labels, probabilities = draw(400, 1.0, 3.0, np.random.default_rng(0))
    rows = pd.DataFrame({"architecture": "a", "seed": 0, "label": labels, "probability": probabilities})
    (found,) = calibrate(pd.concat([rows.assign(split=split) for split in ("validation", "test")])).to_dict("records")
    assert (found["temperature"] > 2, found["note"]) == (True, "")


def test_trials_are_fitted_on_validation_and_scored_on_test() -> None:
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"split": np.repeat(["validation", "test"], 300), "label": rng.integers(0, 2, 600)})
    rows["probability"] = np.clip(0.5 + 0.3 * (rows["label"] - 0.5) + rng.normal(0, 0.2, 600), 0.01, 0.99)
    both = pd.concat([rows.assign(architecture="a", seed=0), rows.assign(architecture="b", seed=1)])
    changed = both.assign(label=both["label"].where(both["split"] == "validation", 1 - both["label"]))
    found, other = calibrate(both), calibrate(changed)
    assert found[["architecture", "seed"]].to_numpy().tolist() == [["a", 0], ["b", 1]]
    assert (found[["temperature", "threshold"]] == other[["temperature", "threshold"]]).all().all()
    assert (found["log_loss"] < other["log_loss"]).all()


def test_bands_are_wider_for_groups() -> None:
    rng = np.random.default_rng(0)
    ids, numbers = [f"t{number:03d}" for number in range(600)], np.arange(600) // 20
    rates = np.repeat(rng.beta(1, 1, 30), 20)
    rows = {"architecture": "a", "seed": 0, "split": "test", "review_id": ids}
    predictions = pd.DataFrame(rows).assign(label=rng.random(600) < rates, probability=rng.random(600))
    predictions = predictions.astype({"label": "int8"})
    alone, grouped = (reliability_table(table) for table in (predictions, predictions.assign(cluster=numbers)))
    pd.testing.assert_frame_equal(alone.drop(columns=["low", "high"]), grouped.drop(columns=["low", "high"]))
    wider = (grouped["high"] - grouped["low"]) / (alone["high"] - alone["low"])
    assert wider.median() > 1.1
    assert ((grouped["low"] <= grouped["observed"]) & (grouped["observed"] <= grouped["high"])).all()
