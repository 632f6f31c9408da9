"""Summary of architectures, compared with hand computation and with the intervals of the library."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tasks.evaluation.predictions import Predictions, metric_contributions
from tasks.statistics.confidence_intervals import confidence_interval, estimate_variance, wilson_interval
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.summary import SUMMARY_COLUMNS, count_diverged, summarize
from tests.helpers.simulated_predictions import simulate_predictions

TRIALS = pd.DataFrame(
    {"architecture": ["a", "a", "b"], "seed": [0, 1, 0], "status": ["finished", "diverged", "diverged"]}
)


def unequal_seeds() -> Predictions:
    """Return architecture a with two of three seeds and b with one, for four positive reviews."""
    missing = [np.nan] * 4
    probabilities = np.array(
        [[[0.9, 0.9, 0.9, 0.1], missing, [0.9, 0.9, 0.1, 0.1]], [[0.9, 0.1, 0.1, 0.1], missing, missing]], np.float32
    )
    ids = np.array(list("wxyz"), object)
    return Predictions(["a", "b"], [0, 1, 2], ids, np.ones(4, np.int8), probabilities, ~np.isnan(probabilities[..., 0]))


def summary(predictions: Predictions, **options) -> pd.DataFrame:
    contributions = metric_contributions(predictions)
    resampled = {metric: values[..., :3] for metric, values in contributions.items()}
    return summarize(predictions, contributions, resampled, "test", TRIALS, ComparisonOptions(**options))


def test_a_row_by_hand() -> None:
    found = summary(unequal_seeds()).set_index(["architecture", "metric"]).loc[("a", "accuracy")]
    # Scores 3/4 and 2/4.
    assert (found["mean"], found["min"], found["max"], found["seeds"]) == (0.625, 0.5, 0.75, 2)
    assert found["std"] == pytest.approx(np.sqrt(2 * 0.125**2))
    variance = estimate_variance(np.array([[1.0, 1, 1, 0], [1, 1, 0, 0]]))
    assert (found["seed_variance"], found["item_variance"]) == (variance.seed_variance, variance.review_variance)
    assert (found["low"], found["high"]) == wilson_interval(0.625, variance, reviews=4)
    assert (found["diverged"], found["note"]) == (1, "")


def test_log_loss_has_a_symmetric_interval() -> None:
    data = simulate_predictions([0.8], seeds=3, reviews=50, seed=0)["test"]
    contributions = metric_contributions(data)["log_loss"][0]
    found = summary(data).set_index("metric").loc["log_loss"]
    assert (found["low"], found["high"]) == confidence_interval(
        contributions.mean(axis=1).mean(), estimate_variance(contributions)
    )


def test_constant_predictions_have_no_interval_where_their_score_is_fixed() -> None:
    data = simulate_predictions([0.8, 0.8], seeds=2, reviews=50, seed=0)["test"]
    data.probabilities[0] = [[0.3], [0.6]]
    found = summary(data).set_index(["architecture", "metric"])
    limits = ["low", "high", "bootstrap_low", "bootstrap_high"]
    fixed = [("model_0", "auc"), ("model_0", "balanced_accuracy")]
    assert (found.loc[fixed, "mean"] == 0.5).all()
    assert found.loc[fixed, limits].isna().all(axis=None)
    assert found.loc[fixed, "note"].str.startswith("constant predictions").all()
    assert found.drop(index=fixed)[limits].notna().all(axis=None)
    # The average precision of a constant is the share of positive reviews, which differs between samples of reviews.
    assert found.loc[("model_0", "average_precision"), "mean"] == pytest.approx(data.labels.mean())


def test_log_loss_interval_is_not_negative() -> None:
    data = simulate_predictions([0.95], seeds=2, reviews=12, seed=0)["test"]
    data.probabilities[:] = np.where(data.labels == 1, 0.99, 0.01)
    data.probabilities[0, 0, :2] = 0.5
    assert summary(data).set_index("metric").loc["log_loss", "low"] == 0


def test_failed_seed_is_flagged_and_the_mean_contains_it() -> None:
    data = simulate_predictions([0.85], seeds=5, reviews=2_000, seed=0)["test"]
    data.probabilities[0, 3] = np.random.default_rng(0).random(2_000)
    found = summary(data).set_index("metric").loc["accuracy"]
    scores = metric_contributions(data)["accuracy"][0].mean(axis=1)
    assert found["mean"] == pytest.approx(scores.mean())
    assert (found["median"], found["iqm"]) == pytest.approx((np.median(scores), np.sort(scores)[1:4].mean()))
    assert (found["failed"], found["failed_seeds"]) == (1, "3")
    assert found["mean_without_failed"] == pytest.approx(np.delete(scores, 3).mean())
    assert found["low_without_failed"] < 0.85 < found["high_without_failed"]
    assert found["high_without_failed"] - found["low_without_failed"] < 0.1 < found["high"] - found["low"]
    assert found["note"] == "1 of 5 seeds failed: the mean contains them"


def test_bound_of_the_failure_rate_counts_failed_and_diverged_seeds() -> None:
    data = simulate_predictions([0.85], seeds=5, reviews=2_000, seed=0)["test"]
    found = summary(data)
    assert (found["failed"] == 0).all()
    assert (found["failed_seeds"] == "").all()
    assert found["failure_rate_high"].to_numpy() == pytest.approx(1 - 0.05**0.2)  # 0 of 5: up to 45%
    data.architectures[0] = "a"  # one more seed diverged
    assert summary(data)["failure_rate_high"].to_numpy() == pytest.approx(stats.beta.ppf(0.95, 2, 5))
    single = replace(data, seeds=[0], probabilities=data.probabilities[:, :1], present=data.present[:, :1])
    assert summary(single, deterministic=("a",))["failure_rate_high"].isna().all()


def test_score_without_failed_seeds_is_covered_if_one_seed_in_ten_fails() -> None:
    covered = []
    for number in range(200):
        data = simulate_predictions([0.85], seeds=5, reviews=500, seed=number, seed_std=0.01)["test"]
        rng = np.random.default_rng(number)
        for seed in np.flatnonzero(rng.random(5) < 0.1):
            data.probabilities[0, seed] = rng.random(500)
        contributions = metric_contributions(data, ["accuracy"])
        resampled = {"accuracy": contributions["accuracy"][..., :2]}
        row = summarize(data, contributions, resampled, "test", None, ComparisonOptions()).iloc[0]
        covered.append(row["low_without_failed"] <= 0.85 <= row["high_without_failed"])
    assert 0.91 <= np.mean(covered) <= 0.99


def test_draws_of_seeds_depend_on_the_seed() -> None:
    data = simulate_predictions([0.8], seeds=5, reviews=50, seed=0)["test"]
    first, again, other = (summary(data, seed=seed)["bootstrap_low"] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_restrictions_of_a_single_seed_are_noted() -> None:
    rows = summary(unequal_seeds()).query("metric == 'accuracy'").set_index("architecture")
    assert rows.loc["b", "note"].startswith("one seed")
    assert rows.loc["b", ["std", "seed_variance"]].isna().all()
    deterministic = (
        summary(unequal_seeds(), deterministic=("a", "b")).query("metric == 'accuracy'").set_index("architecture")
    )
    assert deterministic.loc["b", "note"].startswith("no randomness")
    assert deterministic.loc["b", "seed_variance"] == 0
    # An architecture with two different models is not deterministic.
    assert deterministic.loc["a", "note"] == ""


def test_diverged_trials_are_counted() -> None:
    assert [count_diverged(TRIALS, name) for name in "abc"] == [1, 1, 0]
    assert count_diverged(None, "a") == count_diverged(TRIALS.drop(columns="status"), "a") == 0


def test_rows_and_columns() -> None:
    found = summary(simulate_predictions([0.8, 0.7], seeds=2, reviews=30, seed=0)["test"])
    assert list(found) == SUMMARY_COLUMNS
    assert found[["architecture", "metric"]].to_numpy().tolist() == [
        [name, metric]
        for name in ("model_0", "model_1")
        for metric in ("accuracy", "f1", "auc", "balanced_accuracy", "average_precision", "log_loss")
    ]
