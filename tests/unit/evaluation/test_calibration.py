"""Calibration against hand-worked numbers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.calibration import (  # fmt: skip
    best_threshold,
    brier_score,
    calibrate,
    expected_calibration_error,
    fitted_temperature,
    reliability,
    scaled,
)


def test_brier_and_calibration_error_by_hand() -> None:
    labels, probabilities = np.array([0, 1, 1, 1], np.int8), np.array([0.2, 0.2, 0.8, 0.8])
    assert brier_score(labels, probabilities) == pytest.approx((0.04 + 0.64 + 0.04 + 0.04) / 4)
    # Two bins: 0.2 said, 0.5 true; 0.8 said, 1 true.
    assert expected_calibration_error(labels, probabilities, bins=2) == pytest.approx(0.5 * 0.3 + 0.5 * 0.2)


def test_bins_hold_equal_mass_and_every_review() -> None:
    probabilities = np.linspace(0.01, 0.99, 90) ** 3
    found = reliability((probabilities > 0.3).astype(np.int8), probabilities, bins=9)
    assert found["reviews"].sum() == 90
    assert found["reviews"].between(9, 11).all()
    assert ((found["low"] <= found["observed"] + 1e-12) & (found["observed"] <= found["high"] + 1e-12)).all()


def test_the_temperature_of_an_overconfident_model_is_found() -> None:
    rng = np.random.default_rng(0)
    true = rng.uniform(0.05, 0.95, 20_000)
    labels = (rng.random(20_000) < true).astype(np.int8)
    overconfident = scaled(true, 0.5)
    assert fitted_temperature(labels, overconfident) == pytest.approx(2, abs=0.1)
    np.testing.assert_allclose(scaled(overconfident, 2), true, atol=1e-6)


def test_the_threshold_by_hand() -> None:
    labels, probabilities = np.array([0, 0, 1, 1], np.int8), np.array([0.1, 0.6, 0.7, 0.9])
    assert best_threshold(labels, probabilities) == pytest.approx(0.65)
    assert best_threshold(np.array([0, 1], np.int8), np.array([0.2, 0.9])) == 0.5


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=40))
def test_no_threshold_is_better_than_the_best(rows: list[tuple[int, float]]) -> None:
    labels, probabilities = np.array([row[0] for row in rows], np.int8), np.array([row[1] for row in rows])
    found = np.mean((probabilities > best_threshold(labels, probabilities)) == labels)
    assert all(found >= np.mean((probabilities > cut) == labels) for cut in [*probabilities, 0.5])


def test_each_trial_is_fitted_on_validation_and_reported_on_test() -> None:
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"split": np.repeat(["validation", "test"], 300), "label": rng.integers(0, 2, 600)})
    rows["probability"] = np.clip(0.5 + 0.3 * (rows["label"] - 0.5) + rng.normal(0, 0.2, 600), 0.01, 0.99)
    both = pd.concat([rows.assign(architecture="a", seed=0), rows.assign(architecture="b", seed=1)])
    changed = both.assign(label=both["label"].where(both["split"] == "validation", 1 - both["label"]))
    found, other = calibrate(both), calibrate(changed)
    assert found[["architecture", "seed"]].to_numpy().tolist() == [["a", 0], ["b", 1]]
    assert (found[["temperature", "threshold"]] == other[["temperature", "threshold"]]).all().all()
    assert (found["log_loss"] < other["log_loss"]).all()
