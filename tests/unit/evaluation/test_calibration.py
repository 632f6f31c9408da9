"""Calibration, compared with numbers computed by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.calibration import (  # fmt: skip
    apply_temperature,
    brier_score,
    calibrate,
    expected_calibration_error,
    fit_temperature,
    fit_threshold,
    reliability_bins,
    reliability_table,
)


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
    assert fit_threshold(labels, probabilities) == pytest.approx(0.65)
    assert fit_threshold(np.array([0, 1], np.int8), np.array([0.2, 0.9])) == 0.5


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=40))
def test_no_threshold_has_a_higher_accuracy_than_the_fitted_one(rows: list[tuple[int, float]]) -> None:
    labels, probabilities = np.array([row[0] for row in rows], np.int8), np.array([row[1] for row in rows])
    found = np.mean((probabilities > fit_threshold(labels, probabilities)) == labels)
    assert all(found >= np.mean((probabilities > cut) == labels) for cut in [*probabilities, 0.5])


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
