"""Variance between training samples: components and intervals compared with hand computation and other code."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tasks.evaluation.grouping import make_groups
from tasks.evaluation.predictions import Predictions, metric_contributions
from tasks.statistics import confidence_intervals
from tasks.statistics.comparison import compare_splits
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.training_sample import (
    COMPONENT_COLUMNS,
    TRAINING_PAIR_COLUMNS,
    TotalVariance,
    compare_training_samples,
    margin_of_error,
    two_sided_p_value,
)
from tests.helpers.mean_squares import mean_squares
from tests.simulations.training_claims import simulate_training_samples

OPTIONS = ComparisonOptions(draws=20)
Frames = dict[str, pd.DataFrame]


def simulate(
    *, seeds: int = 5, resamples: int = 6, ratio: float = 2.0, seed: int = 0, reviews: int = 400
) -> tuple[Frames, Predictions]:
    """Compare two simulated models; return the tables of the comparison and the predictions on the resamples."""
    splits, resampled, _ = simulate_training_samples(
        [seed], seeds=seeds, resamples=resamples, ratio=ratio, reviews=reviews
    )
    return compare_splits(splits, options=OPTIONS) | {"test": splits["test"]}, resampled


def tables_of(frames: Mapping, resampled: Predictions | None, **diverged: int) -> Frames:
    return compare_training_samples(frames["test"], resampled, frames, diverged, OPTIONS)


def test_components_by_hand() -> None:
    frames, resampled = simulate(reviews=80)  # least squares of 400 reviews take a minute
    components = tables_of(frames, resampled, model_1=2)["variance_components"]
    assert list(components) == COMPONENT_COLUMNS
    summary = frames["summary"].query("split == 'test'").set_index(["architecture", "metric"])
    for row in components.to_dict("records"):
        table = metric_contributions(resampled)[row["metric"]][resampled.architectures.index(row["architecture"])]
        ms_runs, _, ms_rest = mean_squares(table)
        own = summary.loc[(row["architecture"], row["metric"])]
        expected = max((ms_runs - ms_rest) / table.shape[1] - own["seed_variance"], 0)
        assert row["training_variance"] == pytest.approx(expected)
        assert (row["seed_variance"], row["item_variance"]) == (own["seed_variance"], own["item_variance"])
        assert (row["resamples"], row["diverged"]) == (6, 2 if row["architecture"] == "model_1" else 0)
    assert (components["training_variance"] > 0).any()


@pytest.mark.parametrize(("simulations", "tolerance"), [(8, 0.25), pytest.param(25, 0.15, marks=pytest.mark.slow)])
def test_components_are_those_that_were_simulated(simulations: int, tolerance: float) -> None:
    found = [
        tables_of(*simulate(seeds=8, resamples=12, seed=seed, reviews=4_000))["variance_components"].query(
            "metric == 'accuracy'"
        )
        for seed in range(simulations)
    ]
    variances = pd.concat(found)[["seed_variance", "training_variance"]].mean()
    # Simulated standard deviations are 0.5 and 1 point.
    assert variances["seed_variance"] ** 0.5 == pytest.approx(0.005, rel=tolerance)
    assert variances["training_variance"] ** 0.5 == pytest.approx(0.01, rel=tolerance)


@pytest.mark.parametrize("test_df", [np.inf, 12.0])
@pytest.mark.parametrize("distance", [0.5, 2.0, 6.0])
def test_without_seed_variance_the_error_is_that_of_two_known_sources(test_df: float, distance: float) -> None:
    variance = TotalVariance(1.3, 5, 0.0, np.inf, 1, 0.4, test_df)
    same = confidence_intervals.VarianceComponents(1.3, 0.4, 1.3, 5, 0.4, 1.3, test_df)
    expected = confidence_intervals.two_sided_p_value(distance, same)
    assert two_sided_p_value(distance, variance) == pytest.approx(expected, rel=2e-3)
    assert margin_of_error(variance) == pytest.approx(confidence_intervals.margin_of_error(same), rel=2e-3)


def test_p_value_is_that_of_simulated_errors() -> None:
    variance = TotalVariance(2.0, 4, 1.0, 2, 3, 0.3, 20.0)
    rng = np.random.default_rng(0)
    run, seed, test = (v * df / rng.chisquare(df, 400_000) for v, df in ((2.0, 4), (1.0, 2), (0.3, 20)))
    errors = rng.standard_normal(400_000) * np.sqrt(np.maximum(run - seed, 0) + seed / 3 + test)
    for distance in (0.5, 2.0, 5.0):
        expected = float((np.abs(errors) > distance).mean())
        assert two_sided_p_value(distance, variance) == pytest.approx(expected, abs=0.004)
    assert two_sided_p_value(margin_of_error(variance), variance) == pytest.approx(0.05, abs=1e-6)


def test_nothing_varies() -> None:
    variance = TotalVariance(0.0, 4, 0.0, 2, 3, 0.0, np.inf)
    assert (two_sided_p_value(0.0, variance), two_sided_p_value(0.1, variance)) == (1, 0)
    assert margin_of_error(variance) == 0


@pytest.mark.parametrize("grouped", [False, True])
def test_interval_is_never_narrower_than_without_training_samples(grouped: bool) -> None:
    for seed in range(3):
        frames, resampled = simulate(ratio=0.0, seed=seed)
        if grouped:
            groups = make_groups(np.arange(400) // 8)
            frames["test"], resampled = (replace(each, groups=groups) for each in (frames["test"], resampled))
        rows = tables_of(frames, resampled)["training_pairs"]
        assert list(rows) == TRAINING_PAIR_COLUMNS
        assert (rows["low"].to_numpy() <= frames["pairs"]["low"].to_numpy()).all()
        assert (rows["high"].to_numpy() >= frames["pairs"]["high"].to_numpy()).all()
        assert (rows["p"].to_numpy() >= frames["pairs"]["p"].to_numpy()).all()


def with_difference(frames: Frames, resampled: Predictions) -> tuple[Frames, Predictions]:
    """Make the first model nearly always right, so that it is significantly better."""

    def better(predictions: Predictions) -> Predictions:
        probabilities = predictions.probabilities.copy()
        probabilities[0, :, ::20] = np.where(predictions.labels[::20] == 1, 0.9, 0.1)
        right = np.where(predictions.labels == 1, 0.9, 0.1)
        probabilities[0] = np.where(np.arange(len(right)) % 20 == 0, probabilities[0], right)
        return replace(predictions, probabilities=probabilities.astype(np.float32))

    test = better(frames["test"])
    return compare_splits({"validation": test, "test": test}, options=OPTIONS) | {"test": test}, better(resampled)


def accuracy_row(frames: Frames, resampled: Predictions | None, **diverged: int) -> dict:
    return tables_of(frames, resampled, **diverged)["training_pairs"].query("metric == 'accuracy'").iloc[0].to_dict()


def test_large_difference_also_holds_for_other_training_reviews() -> None:
    row = accuracy_row(*with_difference(*simulate()))
    assert (row["verdict"], row["claimed"], row["resamples"]) == ("first better", "first better", 6)
    assert row["p_holm"] < 0.05


def test_difference_that_changes_between_resamples_does_not_hold() -> None:
    frames, resampled = with_difference(*simulate())
    probabilities = resampled.probabilities.copy()
    probabilities[0, ::2] = 1 - probabilities[0, ::2]  # every second resample is as bad as possible
    row = accuracy_row(frames, replace(resampled, probabilities=probabilities))
    assert (row["verdict"], row["claimed"]) == ("not separable", "first better")
    assert row["low"] < 0 < row["high"]
    assert row["training_variance"] > 0.1


def test_diverged_training_of_the_better_architecture_is_no_evidence_for_it() -> None:
    frames, resampled = with_difference(*simulate())
    assert accuracy_row(frames, resampled, model_0=1)["verdict"] == "not separable"
    assert accuracy_row(frames, resampled, model_1=1)["verdict"] == "first better"


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_nothing_is_claimed_with_too_few_resamples(count: int) -> None:
    frames, resampled = with_difference(*simulate())
    present = resampled.present.copy()
    present[0, count:] = False
    probabilities = np.where(present[..., None], resampled.probabilities, np.nan).astype(np.float32)
    few = replace(resampled, present=present, probabilities=probabilities)
    row = accuracy_row(frames, few if count else None)
    assert (row["verdict"], row["claimed"]) == ("too few resamples", "first better")
    assert row["resamples"] == (count if count > 1 else 0)
    assert np.isnan([row["low"], row["p"], row["training_variance"]]).all() == (count < 2)


def test_single_seed_has_no_training_component_but_an_interval() -> None:
    frames, resampled = simulate(seeds=1)
    tables = tables_of(frames, resampled)
    assert tables["variance_components"]["training_variance"].isna().all()
    rows = tables["training_pairs"]
    assert rows[["low", "high", "p"]].notna().all(axis=None)
    assert set(rows["verdict"]) == {"too few seeds"}


def test_baselines_vary_with_the_training_reviews() -> None:
    frames, resampled = simulate()
    names, test = ["tfidf_logistic", "nb_svm"], frames["test"]
    alone = replace(
        test, architectures=names, seeds=[0], present=test.present[:, :1], probabilities=test.probabilities[:, :1]
    )
    frames = compare_splits({"validation": alone, "test": alone}, options=OPTIONS) | {"test": alone}
    tables = tables_of(frames, replace(resampled, architectures=names))
    components = tables["variance_components"].query("metric == 'accuracy'")
    assert (components["seed_variance"] == 0).all()
    assert (components["training_variance"] > 0).all()
    row, pair = tables["training_pairs"].iloc[0], frames["pairs"].iloc[0]
    assert row["high"] - row["low"] > pair["high"] - pair["low"]
