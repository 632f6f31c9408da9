"""Pairs of architectures: which seeds meet, their tests by hand and against scipy, and what may be claimed."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tasks.evaluation.predictions import Panel, contributions
from tasks.statistics.comparison import compare_panels, resample
from tasks.statistics.pairs import PAIR_COLUMNS, claims, compare_pairs, p_value, paired
from tasks.statistics.resampling import Noise, noise, tail
from tasks.statistics.summary import summarise_panel
from tests.helpers.simulated_predictions import simulated_panels


def seeds_of(*present: list[bool]) -> Panel:
    """Make a panel of which only the trials that are there matter."""
    there = np.array(present)
    names = list("abc"[: len(there)])
    return Panel(names, list(range(there.shape[1])), np.empty(0, object), np.empty(0, np.int8), np.empty(0), there)


def compared(data: Panel, **options) -> pd.DataFrame:
    given = contributions(data)
    known = {"metric": "accuracy", "margin": 0.005, "alpha": 0.05, "deterministic": ()} | options
    return compare_pairs(data, given, resample(data, given, draws=200, seed=0), **known)[0]


def test_shared_seeds_meet() -> None:
    data = seeds_of([True, True, True], [False, True, True], [True, False, False])
    assert [(pair.ours, pair.theirs) for pair in paired(data, ())] == [([1, 2], [1, 2]), ([0], [0]), ([], [])]


def test_without_randomness_one_run_meets_every_seed() -> None:
    data = seeds_of([True, True, False], [False, False, True], [False, True, False])
    found = paired(data, ("b", "c"))
    assert [(pair.ours, pair.theirs) for pair in found] == [([0, 1], [2, 2]), ([0, 1], [1, 1]), ([2], [1])]
    assert [pair.fixed for pair in found] == [False, False, True]


def test_a_row_by_hand() -> None:
    # Three seeds by two reviews, all positive: the first has 2, 1 and 2 right, the second 1, 1 and 0.
    probabilities = np.array([[[0.9, 0.9], [0.9, 0.1], [0.9, 0.9]], [[0.9, 0.1], [0.1, 0.9], [0.1, 0.1]]], np.float32)
    data = Panel(["a", "b"], [0, 1, 2], np.array(["x", "y"], object), np.ones(2, np.int8), probabilities,
                 np.ones((2, 3), bool))  # fmt: skip
    row = compared(data).set_index("metric").loc["accuracy"]
    differences = np.array([0.5, 0.0, 1.0])
    of = noise(np.array([[0.0, 1], [1, -1], [1, 1]]), bounded=True)
    assert row["difference"] == pytest.approx(0.5)
    assert row["p"] == pytest.approx(tail(0.5, of))
    assert row["d_z"] == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert row["probability_first_better"] == pytest.approx(2.5 / 3)
    assert row["cliffs_delta"] == pytest.approx((7 - 0) / 9)  # of nine, seven above and two level
    # Averaged over seeds, the first has both right; the second neither (0.37, 0.37).
    assert (row["only_first"], row["only_second"], row["mcnemar_p"]) == (2, 0, 0.5)
    assert (row["p_sign_flip"], row["smallest_p"]) == (0.5, 0.25)
    assert (row["seeds"], row["verdict"], row["noise"]) == (3, "too few seeds", "seeds and reviews")


def test_p_values_as_scipy() -> None:
    scores = np.array([0.3, -0.1, 0.4, 0.2, 0.25])
    of = noise(np.tile(scores[:, None], (1, 3)))
    for side, alternative in ((0, "two-sided"), (1, "greater"), (-1, "less")):
        expected = stats.ttest_1samp(scores, 0, alternative=alternative).pvalue
        assert p_value(scores.mean(), of, side=side) == pytest.approx(expected)


def test_p_values_without_any_noise() -> None:
    nothing = Noise(0, 0, 0, 4, 0, 0)
    assert [p_value(each, nothing) for each in (0.0, 0.1, -0.1)] == [1, 0, 0]
    assert [p_value(each, nothing, side=1) for each in (0.0, 0.1, -0.1)] == [1, 0, 1]
    assert [p_value(each, nothing, side=-1) for each in (0.0, 0.1, -0.1)] == [1, 1, 0]


def rows(**changes) -> pd.DataFrame:
    """Make a pair that is clearly apart in the main metric and in F1, then change it."""
    row = {"first": "a", "second": "b", "metric": ["accuracy", "f1"], "difference": 0.02, "low": 0.01, "high": 0.03,
           "p": 0.001, "p_equivalent": 0.9, "seeds": 5, "fixed": False}  # fmt: skip
    return pd.DataFrame({**row, **changes})


@pytest.mark.parametrize(
    ("changes", "verdicts"),
    [
        ({}, ["first better", "first better"]),
        ({"difference": -0.02, "low": -0.03, "high": -0.01}, ["second better", "second better"]),
        ({"seeds": 4}, ["too few seeds", "too few seeds"]),
        ({"seeds": 1, "fixed": True}, ["first better", "first better"]),
        ({"p": [0.06, 0.001], "low": [-0.001, 0.01]}, ["not separable", "not separable"]),  # F1 is gated by accuracy
        ({"p": [0.001, 0.06], "low": [0.01, -0.001]}, ["first better", "not separable"]),
        # Different for sure, and practically nothing.
        ({"difference": 0.002, "low": 0.001, "high": 0.003, "p_equivalent": 0.001}, ["equivalent", "equivalent"]),
        # Practically equal in the main metric: no claim in another.
        ({"low": [0.001, 0.01], "high": [0.003, 0.03], "p_equivalent": [0.001, 0.9]}, ["equivalent", "not separable"]),
        ({"metric": ["accuracy", "log_loss"]}, ["first better", "second better"]),
    ],
)
def test_what_may_be_claimed(changes, verdicts) -> None:
    found = claims(rows(**changes), metric="accuracy", margin=0.005, alpha=0.05)
    assert found["verdict"].tolist() == verdicts


def test_holm_is_over_all_pairs_of_the_main_metric_and_then_over_all_others() -> None:
    pairs = pd.concat([rows(p=[0.02, 0.01]), rows(first="c", p=[0.03, 0.5])], ignore_index=True)
    found = claims(pairs, metric="accuracy", margin=0.005, alpha=0.05)
    assert found.query("metric == 'accuracy'")["p_holm"].tolist() == [0.04, 0.04]
    assert found.query("metric == 'f1'")["p_holm"].tolist() == [0.02, 0.5]
    assert (found["p_equivalent_holm"] == 1).all()


def test_a_lower_log_loss_is_better() -> None:
    rows = compared(simulated_panels([0.6, 0.9], seeds=5, reviews=200, seed=1)["test"]).set_index("metric")
    assert rows.loc["log_loss", "difference"] > 0
    assert (rows["probability_first_better"] == 0).all()
    assert (rows["probability_high"] == 0).all()
    assert (rows["verdict"] == "second better").all()


def test_equivalence_is_two_one_sided_tests() -> None:
    data = simulated_panels([0.8, 0.8], seeds=6, reviews=300, seed=2)["test"]
    row = compared(data, margin=0.1).set_index("metric").loc["accuracy"]
    given = contributions(data)["accuracy"]
    of = noise(given[0] - given[1], bounded=True)
    # The difference is within the margin, so that each test has the tail beyond its end of it.
    assert abs(row["difference"]) < 0.1
    assert row["p_equivalent_holm"] == pytest.approx(
        max(tail(0.1 - row["difference"], of), tail(0.1 + row["difference"], of)) / 2
    )
    assert row["verdict"] == "equivalent"


def test_identical_models_are_level_in_every_metric() -> None:
    panels = simulated_panels([0.8, 0.8], seeds=5, reviews=60, seed=1)
    panels["test"].probabilities[1] = panels["test"].probabilities[0]
    found = compare_panels(panels, draws=50)["pairs"]
    assert (found[["difference", "d_z"]] == 0).all(axis=None)
    assert (found[["probability_low", "probability_first_better", "probability_high"]] == 0.5).all(axis=None)
    assert found[["p", "p_sign_flip", "mcnemar_p"]].to_numpy() == pytest.approx(1)


def test_the_seed_is_heeded() -> None:
    panels = simulated_panels([0.8, 0.82], seeds=5, reviews=60, seed=1)
    first, again, other = (compare_panels(panels, draws=50, seed=seed)["pairs"] for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    drawn = ["bootstrap_low", "bootstrap_high"]
    assert (first[drawn] != other[drawn]).any(axis=None)
    pd.testing.assert_frame_equal(
        first.drop(columns=[*drawn, "probability_low", "probability_high"]),
        other.drop(columns=[*drawn, "probability_low", "probability_high"]),
    )


def test_each_level_of_the_bootstrap_has_its_draws_from_the_seed() -> None:
    data = simulated_panels([0.8, 0.82], seeds=5, reviews=60, seed=1)["test"]
    drawn = ["bootstrap_low", "bootstrap_high"]
    assert (compared(data)[drawn] != compared(data, seed=1)[drawn]).any(axis=None)
    panels = simulated_panels([0.8, 0.82], seeds=5, reviews=60, seed=1)
    given = contributions(panels["test"])
    resampled = resample(panels["test"], given, draws=50, seed=3)
    again = resample(panels["test"], given, draws=50, seed=4)
    assert all((resampled[name] != again[name]).any() for name in given)
    known = {"metric": "accuracy", "margin": 0.005, "alpha": 0.05, "deterministic": (), "seed": 3}
    expected, _ = compare_pairs(panels["test"], given, resampled, **known)
    frames = compare_panels(panels, draws=50, seed=3)
    pd.testing.assert_frame_equal(frames["pairs"], expected)
    alone = summarise_panel(panels["test"], given, resampled, "test", None, (), seed=3)
    pd.testing.assert_frame_equal(frames["summary"].query("split == 'test'").reset_index(drop=True), alone)


def test_one_architecture_has_no_pairs() -> None:
    found = compared(simulated_panels([0.8], seeds=2, reviews=9, seed=0)["test"])
    assert found.empty
    assert list(found) == PAIR_COLUMNS
