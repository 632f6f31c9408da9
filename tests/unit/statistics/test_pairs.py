"""Pairs of architectures: matched seeds, and differences and tests compared with hand computation and scipy."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tasks.evaluation.predictions import Predictions, metric_contributions
from tasks.statistics.comparison import compare_splits, resample_trials
from tasks.statistics.confidence_intervals import VarianceComponents, estimate_variance, two_sided_p_value
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.paired_tests import win_interval
from tasks.statistics.pairs import PAIR_COLUMNS, compare_pairs, match_seeds, p_value
from tasks.statistics.summary import summarize
from tests.helpers.simulated_predictions import simulate_predictions


def seeds_of(*present: list[bool]) -> Predictions:
    """Make predictions of which only the present trials matter."""
    trials = np.array(present)
    names, seeds = list("abc"[: len(trials)]), list(range(trials.shape[1]))
    return Predictions(names, seeds, np.empty(0, object), np.empty(0, np.int8), np.empty(0), trials)


def compare_test(predictions: Predictions, **options) -> pd.DataFrame:
    """Compare the pairs of test predictions; the reviews are always resampled with the seed 0."""
    contributions = metric_contributions(predictions)
    means = resample_trials(predictions, contributions, ComparisonOptions(draws=200))
    return compare_pairs(predictions, contributions, means, ComparisonOptions(**options))[0]


def test_shared_seeds_are_matched() -> None:
    data = seeds_of([True, True, True], [False, True, True], [True, False, False])
    assert [(pair.first_seeds, pair.second_seeds) for pair in match_seeds(data, ())] == [
        ([1, 2], [1, 2]),
        ([0], [0]),
        ([], []),
    ]


def test_single_run_of_a_deterministic_architecture_is_matched_with_every_seed() -> None:
    data = seeds_of([True, True, False], [False, False, True], [False, True, False])
    found = match_seeds(data, ("b", "c"))
    assert [(pair.first_seeds, pair.second_seeds) for pair in found] == [([0, 1], [2, 2]), ([0, 1], [1, 1]), ([2], [1])]
    assert [pair.deterministic for pair in found] == [False, False, True]


def test_a_row_by_hand() -> None:
    # Three seeds, two positive reviews: the first predicts 2, 1 and 2 correctly, the second 1, 1 and 0.
    probabilities = np.array([[[0.9, 0.9], [0.9, 0.1], [0.9, 0.9]], [[0.9, 0.1], [0.1, 0.9], [0.1, 0.1]]], np.float32)
    data = Predictions(["a", "b"], [0, 1, 2], np.array(["x", "y"], object), np.ones(2, np.int8), probabilities,
                 np.ones((2, 3), bool))  # fmt: skip
    row = compare_test(data).set_index("metric").loc["accuracy"]
    differences = np.array([0.5, 0.0, 1.0])
    variance = estimate_variance(np.array([[0.0, 1], [1, -1], [1, 1]]), bounded=True)
    assert row["difference"] == pytest.approx(0.5)
    assert row["p"] == pytest.approx(two_sided_p_value(0.5, variance))
    assert row["d_z"] == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert row["probability_first_better"] == pytest.approx(2.5 / 3)
    assert row["cliffs_delta"] == pytest.approx((7 - 0) / 9)  # of nine comparisons, seven are greater and two are ties
    # With the mean over seeds, the first predicts both correctly, the second none (0.37, 0.37).
    assert (row["only_first"], row["only_second"], row["mcnemar_p"]) == (2, 0, 0.5)
    assert (row["p_sign_flip"], row["smallest_p"]) == (0.5, 0.25)
    assert (row["seeds"], row["verdict"], row["noise"]) == (3, "too few seeds", "seeds and reviews")


def test_p_values_as_scipy() -> None:
    scores = np.array([0.3, -0.1, 0.4, 0.2, 0.25])
    variance = estimate_variance(np.tile(scores[:, None], (1, 3)))
    for alternative in ("two-sided", "greater", "less"):
        expected = stats.ttest_1samp(scores, 0, alternative=alternative).pvalue
        assert p_value(scores.mean(), variance, alternative) == pytest.approx(expected)


def test_p_values_without_variance() -> None:
    no_variance = VarianceComponents(0, 0, 0, 4, 0, 0)
    assert [p_value(difference, no_variance) for difference in (0.0, 0.1, -0.1)] == [1, 0, 0]
    assert [p_value(difference, no_variance, "greater") for difference in (0.0, 0.1, -0.1)] == [1, 0, 1]
    assert [p_value(difference, no_variance, "less") for difference in (0.0, 0.1, -0.1)] == [1, 1, 0]


def test_lower_log_loss_is_better() -> None:
    rows = compare_test(simulate_predictions([0.6, 0.9], seeds=5, reviews=200, seed=1)["test"]).set_index("metric")
    assert rows.loc["log_loss", "difference"] > 0
    assert (rows["probability_first_better"] == 0).all()
    assert rows["probability_high"].between(0.52, 0.56).all()  # 0 of 5 seeds
    assert (rows["verdict"] == "second better").all()


def test_few_groups_widen_the_interval_of_the_probability() -> None:
    test = simulate_predictions([0.85, 0.86], seeds=8, reviews=240, seed=2, group_size=30, architecture_std=0.5)["test"]
    assert test.groups is not None
    row = compare_test(test).iloc[0]
    contributions = metric_contributions(test, ["accuracy"])["accuracy"]
    table = contributions[0] - contributions[1]
    variance = estimate_variance(table, groups=test.groups)
    known = variance.known_variance
    scale = stats.t.ppf(0.975, variance.known_df) / stats.norm.ppf(0.975)
    assert scale > 1.1
    low, high = win_interval(table.mean(axis=1), shared_variance=known * scale**2)
    assert (row["probability_low"], row["probability_high"]) == pytest.approx((low, high))


def test_probability_that_the_first_is_better_counts_the_seeds() -> None:
    row = compare_test(simulate_predictions([0.9, 0.6], seeds=5, reviews=2_000, seed=1)["test"]).iloc[0]
    assert row["probability_first_better"] == 1
    assert row["probability_low"] == pytest.approx(0.025**0.2)  # Clopper-Pearson, 5 of 5
    assert row["probability_high"] == 1
    without_shared_seeds = simulate_predictions([0.9, 0.6], seeds=2, reviews=200, seed=1)["test"]
    present = np.array([[True, False], [False, True]])
    row = compare_test(replace(without_shared_seeds, present=present)).iloc[0]
    assert tuple(row[["probability_low", "probability_first_better", "probability_high"]]) == (0, 1, 1)


def test_equivalence_is_two_one_sided_tests() -> None:
    data = simulate_predictions([0.8, 0.8], seeds=6, reviews=300, seed=2)["test"]
    row = compare_test(data, margin=0.1).set_index("metric").loc["accuracy"]
    contributions = metric_contributions(data)["accuracy"]
    variance = estimate_variance(contributions[0] - contributions[1], bounded=True)
    # The difference is within the margin, so each one-sided test uses the distance to its end of the margin.
    assert abs(row["difference"]) < 0.1
    assert row["p_equivalent_holm"] == pytest.approx(
        max(two_sided_p_value(0.1 - row["difference"], variance), two_sided_p_value(0.1 + row["difference"], variance))
        / 2
    )
    assert row["verdict"] == "equivalent"


def test_interval_of_a_difference_is_within_its_possible_range() -> None:
    labels = np.ones(2_000, np.int8)
    probabilities = np.repeat(np.array([0.9, 0.1], np.float32)[:, None, None], 5, axis=1).repeat(2_000, axis=2)
    ids = np.array([f"{number:04d}" for number in range(2_000)], object)
    data = Predictions(["a", "b"], list(range(5)), ids, labels, probabilities, np.ones((2, 5), bool))
    row = compare_test(data).set_index("metric").loc["accuracy"]
    assert (row["difference"], row["high"]) == (1, 1)
    assert 0.99 < row["low"] < 1


def test_identical_models_have_no_difference_in_any_metric() -> None:
    splits = simulate_predictions([0.8, 0.8], seeds=5, reviews=60, seed=1)
    splits["test"].probabilities[1] = splits["test"].probabilities[0]
    found = compare_splits(splits, options=ComparisonOptions(draws=50))["pairs"]
    assert (found[["difference", "d_z"]] == 0).all(axis=None)
    assert (found["probability_first_better"] == 0.5).all()  # five ties
    assert found["probability_low"].to_numpy() == pytest.approx(stats.beta.ppf(0.025, 2.5, 3.5))
    assert found["probability_high"].to_numpy() == pytest.approx(stats.beta.ppf(0.975, 3.5, 2.5))
    assert found[["p", "p_sign_flip", "mcnemar_p"]].to_numpy() == pytest.approx(1)


def test_bootstrap_depends_on_the_seed_only() -> None:
    splits = simulate_predictions([0.8, 0.82], seeds=5, reviews=60, seed=1)
    first, again, other = (
        compare_splits(splits, options=ComparisonOptions(draws=50, seed=seed))["pairs"] for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, again)
    bootstrap = ["bootstrap_low", "bootstrap_high"]
    assert (first[bootstrap] != other[bootstrap]).any(axis=None)
    pd.testing.assert_frame_equal(first.drop(columns=bootstrap), other.drop(columns=bootstrap))


def test_both_levels_of_the_bootstrap_use_the_seed() -> None:
    data = simulate_predictions([0.8, 0.82], seeds=5, reviews=60, seed=1)["test"]
    bootstrap = ["bootstrap_low", "bootstrap_high"]
    assert (compare_test(data)[bootstrap] != compare_test(data, seed=1)[bootstrap]).any(axis=None)
    splits, options = (
        simulate_predictions([0.8, 0.82], seeds=5, reviews=60, seed=1),
        ComparisonOptions(draws=50, seed=3),
    )
    contributions = metric_contributions(splits["test"])
    means = resample_trials(splits["test"], contributions, options)
    other = resample_trials(splits["test"], contributions, replace(options, seed=4))
    assert all((means[metric] != other[metric]).any() for metric in contributions)
    frames = compare_splits(splits, options=options)
    expected, _ = compare_pairs(splits["test"], contributions, means, options)
    pd.testing.assert_frame_equal(frames["pairs"], expected)
    expected = summarize(splits["test"], contributions, means, "test", None, options)
    found = frames["summary"].query("split == 'test'").reset_index(drop=True)
    pd.testing.assert_frame_equal(found.drop(columns="design_effect"), expected)


def test_single_architecture_has_no_pairs() -> None:
    found = compare_test(simulate_predictions([0.8], seeds=2, reviews=9, seed=0)["test"])
    assert found.empty
    assert list(found) == PAIR_COLUMNS
