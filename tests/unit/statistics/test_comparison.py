"""Comparison of simulated models: unusual input, properties that hold for all predictions, and the verdict."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config.errors import UserError
from tasks.evaluation.grouping import make_groups
from tasks.evaluation.predictions import Predictions
from tasks.reporting.verdict import verdict
from tasks.statistics.comparison import compare, compare_splits
from tasks.statistics.options import ComparisonOptions
from tests.helpers.examples import examples
from tests.helpers.simulated_predictions import simulate_predictions, to_frame

P_VALUES = ["p", "p_holm", "p_sign_flip", "smallest_p", "p_equivalent_holm", "mcnemar_p"]


def small(accuracies=(0.8, 0.85), *, seeds=5, reviews=400, **options):
    return simulate_predictions(list(accuracies), seeds=seeds, reviews=reviews, seed=3, **options)


def assert_valid(frames: dict[str, pd.DataFrame]) -> None:
    """Check the properties of every comparison: points in intervals, p-values in [0, 1], no NaN without a note."""
    summary, pairs = frames["summary"], frames["pairs"]
    for frame, low, point, high in (
        (summary[summary["low"].notna()], "low", "mean", "high"),
        (summary, "min", "mean", "max"),
        (pairs, "low", "difference", "high"),
        (pairs, "probability_low", "probability_first_better", "probability_high"),
        (frames["power"], "power_low", "power_one_point", "power_high"),
    ):
        assert (frame[low] <= frame[point] + 1e-12).all(), (low, point)
        assert (frame[point] <= frame[high] + 1e-12).all(), (point, high)
    assert (summary["low"].notna() | summary["metric"].isin(["auc", "balanced_accuracy"])).all()
    scores = summary[summary["metric"].ne("log_loss") & summary["low"].notna()]
    assert (scores["low"].ge(0) & scores["high"].le(1)).all()
    assert pairs[pairs["metric"] != "log_loss"][["low", "high"]].abs().le(1).all(axis=None)
    assert (pairs[P_VALUES].ge(0) & pairs[P_VALUES].le(1)).all(axis=None)
    assert (pairs["p"] <= pairs["p_holm"]).all()
    assert (pairs["smallest_p"] <= pairs["p_sign_flip"]).all()
    for frame in (summary, pairs):
        assert frame[frame["note"].eq("")].notna().all(axis=None)
    assert frames["omnibus"]["p"].between(0, 1).all()
    for name in ("setup", "omnibus", "groups"):
        assert frames[name].notna().all(axis=None), name
    assert frames["power"].drop(columns="minimum_detectable_difference").notna().all(axis=None)
    assert frames["expected"].drop(columns=["train_seconds", "cpu_seconds"]).notna().all(axis=None)
    assert verdict(frames)


def test_a_clearly_worse_architecture_is_significantly_different() -> None:
    trials = pd.DataFrame({"architecture": ["model_0", "model_1"], "seed": 0, "parameters": [10, 20]})
    frames = compare(to_frame(small([0.6, 0.85])), trials, ComparisonOptions(draws=200))
    assert frames["pairs"]["verdict"].iloc[0] == "second better"
    assert frames["groups"]["group"].tolist() == [1, 2]
    assert any("Model 0" in sentence and "significantly worse" in sentence for sentence in verdict(frames))


@pytest.mark.parametrize("seeds", [1, 3])
def test_too_few_seeds_are_inconclusive(seeds) -> None:
    frames = compare_splits(small([0.6, 0.85], seeds=seeds), options=ComparisonOptions(draws=100))
    assert_valid(frames)
    assert set(frames["pairs"]["verdict"]) == {"too few seeds"}
    assert frames["pairs"]["note"].ne("").all()
    assert any("Inconclusive" in sentence for sentence in verdict(frames))
    assert any("Seed variance is unknown" in sentence for sentence in verdict(frames)) == (seeds == 1)


def test_equal_predictions_are_not_significantly_different() -> None:
    splits = small([0.8, 0.8, 0.8], reviews=50)
    for predictions in splits.values():
        predictions.probabilities[:] = predictions.probabilities[:1, :1]
    frames = compare_splits(splits, options=ComparisonOptions(draws=100))
    assert_valid(frames)
    assert set(frames["pairs"]["verdict"]) == {"not separable"}
    assert frames["omnibus"]["note"].ne("").all()
    assert frames["groups"]["group"].eq(1).all()


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_constant_probabilities_are_not_significantly_different(value) -> None:
    splits = small([0.8, 0.8], reviews=50)
    for predictions in splits.values():
        predictions.probabilities[:] = value
    for metric in ("accuracy", "f1", "auc", "balanced_accuracy", "average_precision", "log_loss"):
        frames = compare_splits(splits, options=ComparisonOptions(metric=metric, draws=50))
        assert_valid(frames)
        assert set(frames["pairs"]["verdict"]) == {"not separable"}


def test_different_seeds_and_a_diverged_trial() -> None:
    predictions = to_frame(small([0.8, 0.85, 0.82]))
    predictions.loc[predictions["architecture"].eq("model_1") & predictions["seed"].eq(2), "probability"] = np.nan
    predictions.loc[predictions["architecture"].eq("model_2"), "seed"] += 100
    trials = pd.DataFrame({"architecture": ["model_1"], "seed": [2], "status": ["diverged"]})
    frames = compare(predictions, trials, ComparisonOptions(draws=100))
    assert_valid(frames)
    pairs = frames["pairs"].query("metric == 'accuracy'").set_index(["first", "second"])
    assert pairs["seeds"].tolist() == [4, 0, 0]
    assert (frames["summary"].query("architecture == 'model_1'")["diverged"] == 1).all()
    assert any("Model 1" in sentence and "diverged" in sentence for sentence in verdict(frames))
    without_note = frames["pairs"][frames["pairs"]["note"].eq("")]
    assert without_note.notna().all(axis=None)


def diverge(predictions: pd.DataFrame, architecture: str, seeds: list[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Remove the predictions of some seeds, and return the rest with the table trials."""
    is_lost = predictions["architecture"].eq(architecture) & predictions["seed"].isin(seeds)
    trials = pd.DataFrame({"architecture": architecture, "seed": seeds, "status": "diverged"})
    return predictions[~is_lost], trials


@pytest.mark.parametrize(
    ("accuracies", "lost", "verdict"),
    [
        # With seven equal seeds and a lost one at 50%, a difference of five points is not significant.
        ([0.85, 0.80], "model_0", "not separable"),
        # The lost seed belongs to the worse architecture, or the difference is large enough even with a seed at 50%.
        ([0.85, 0.80], "model_1", "first better"),
        ([0.95, 0.60], "model_0", "first better"),
    ],
)
@pytest.mark.parametrize("deterministic", [False, True])
def test_no_claim_ignores_diverged_seeds(accuracies, lost, verdict, deterministic) -> None:
    predictions, trials = diverge(to_frame(small(accuracies, seeds=8, reviews=3_000)), lost, [3])
    fixed = ()
    if deterministic:
        other = "model_1" if lost == "model_0" else "model_0"
        predictions = predictions[predictions["architecture"].ne(other) | predictions["seed"].eq(0)]
        fixed = (other,)
    pairs = compare(predictions, trials, ComparisonOptions(draws=50, deterministic=fixed))["pairs"]
    row = pairs[pairs["metric"] == "accuracy"].iloc[0]
    assert row["verdict"] == verdict
    assert (row["first_failed"], row["second_failed"]) == ((1, 0) if lost == "model_0" else (0, 1))
    assert row["p_holm"] < 0.001  # of the seeds with predictions
    assert "diverged" in row["note"]


def test_no_claim_ignores_a_diverged_seed_that_the_other_architecture_does_not_have() -> None:
    predictions, trials = diverge(to_frame(small([0.85, 0.80], seeds=8, reviews=3_000)), "model_0", [3])
    predictions = predictions[predictions["architecture"].ne("model_1") | predictions["seed"].ne(3)]
    frames = compare(predictions, trials, ComparisonOptions(draws=50))
    assert frames["pairs"]["verdict"].iloc[0] == "not separable"
    trials = pd.concat([trials, trials.assign(architecture="model_1")])  # with both, it says nothing about either
    frames = compare(predictions, trials, ComparisonOptions(draws=50))
    assert frames["pairs"]["verdict"].iloc[0] == "first better"


def test_no_pair_with_diverged_seeds_is_equivalent() -> None:
    data = to_frame(small([0.85, 0.85], seeds=8, reviews=3_000, seed_std=0.0005))
    options = ComparisonOptions(draws=50, margin=0.05)
    assert compare(data, options=options)["pairs"]["verdict"].iloc[0] == "equivalent"
    predictions, trials = diverge(data, "model_0", [3])
    assert compare(predictions, trials, options)["pairs"]["verdict"].iloc[0] == "not separable"


def test_failed_seed_is_not_hidden_from_a_difference() -> None:
    splits = small([0.85, 0.80], seeds=8, reviews=3_000)
    for predictions in splits.values():
        predictions.probabilities[0, 3] = 0.5
    row = compare_splits(splits, options=ComparisonOptions(draws=50))["pairs"].iloc[0]
    assert (row["verdict"], row["first_failed"]) == ("not separable", 1)
    assert row["note"].startswith("seeds failed")


def test_deterministic_architecture_is_paired_with_every_seed() -> None:
    predictions = to_frame(small([0.6, 0.85], seeds=5))
    predictions = predictions[predictions["architecture"].ne("model_0") | predictions["seed"].eq(0)]
    frames = compare(predictions, options=ComparisonOptions(draws=100, deterministic=("model_0",)))
    assert_valid(frames)
    assert frames["pairs"]["seeds"].iloc[0] == 5
    assert frames["pairs"]["verdict"].iloc[0] == "second better"


def test_order_of_rows_changes_nothing_and_points_are_in_their_intervals() -> None:
    predictions = to_frame(small())
    options = ComparisonOptions(draws=200)
    shuffled = predictions.sample(frac=1, random_state=1).sort_values("architecture", kind="stable")
    frames, again = (compare(rows, options=options) for rows in (predictions, shuffled))
    pd.testing.assert_frame_equal(frames["pairs"], again["pairs"])
    for frame, point in ((frames["summary"], "mean"), (frames["pairs"], "difference")):
        assert (frame["low"] <= frame[point]).all()
        assert (frame[point] <= frame["high"]).all()


def test_single_architecture_has_nothing_to_compare() -> None:
    frames = compare_splits(small([0.8]), options=ComparisonOptions(draws=100))
    assert_valid(frames)
    assert not any("significant" in sentence or "Inconclusive" in sentence for sentence in verdict(frames))


def test_a_clearly_worse_baseline_does_not_lower_the_level_of_other_pairs() -> None:
    options = ComparisonOptions(draws=50)
    without_baseline = compare_splits(small([0.8, 0.805]), options=options)["power"]
    with_baseline = compare_splits(small([0.8, 0.805, 0.5]), options=options)["power"]
    assert without_baseline["level"].tolist() == [0.05]
    assert with_baseline["level"].tolist() == [0.05] * 3


def test_fewer_metrics_give_the_same_numbers() -> None:
    frames, alone = (
        compare_splits(small(), options=ComparisonOptions(metrics=metrics, draws=50))
        for metrics in (None, ["accuracy"])
    )
    assert set(alone["pairs"]["metric"]) == set(alone["summary"]["metric"]) == {"accuracy"}
    pd.testing.assert_frame_equal(frames["pairs"].query("metric == 'accuracy'"), alone["pairs"])
    pd.testing.assert_frame_equal(frames["groups"], alone["groups"])


def test_incomparable_predictions_raise() -> None:
    splits = small(reviews=30)
    with pytest.raises(
        UserError, match=r"'accurcy'.*accuracy, f1, auc, balanced_accuracy, average_precision, log_loss"
    ):
        compare_splits(splits, options=ComparisonOptions(metric="accurcy"))
    one_class = {
        split: replace(predictions, labels=np.ones_like(predictions.labels)) for split, predictions in splits.items()
    }
    with pytest.raises(UserError, match="accuracy, log_loss"):
        compare_splits(one_class, options=ComparisonOptions(metric="f1"))
    predictions = to_frame(splits)
    with pytest.raises(UserError, match="model_1"):
        compare(predictions[predictions["architecture"].ne("model_1") | predictions["split"].ne("test")])


@st.composite
def unusual_splits(draw) -> dict[str, Predictions]:
    """Draw predictions of one to three architectures, with ties, missing trials, few reviews or one class."""
    architectures, seeds, reviews = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    levels = np.array(draw(st.sampled_from([[0.0, 1.0], [0.5], [0.2, 0.5, 0.8], [0.1, 0.4, 0.6, 0.9]])), np.float32)
    present = rng.random((architectures, seeds)) < draw(st.sampled_from([0.5, 1.0]))
    present[np.arange(architectures), rng.integers(0, seeds, architectures)] = True
    splits = {}
    for split in ("validation", "test"):
        probabilities = rng.choice(levels, (architectures, seeds, reviews))
        probabilities[~present] = np.nan
        ids = np.array([f"{split}-{number:02d}" for number in range(reviews)], object)
        labels = (np.arange(reviews) % draw(st.sampled_from([1, 2, 3])) == 0).astype(np.int8)
        names = ["majority", "b", "c"][:architectures]
        splits[split] = Predictions(names, list(range(seeds)), ids, labels, probabilities, present)
    return splits


@examples(8, thorough=25)
@given(unusual_splits(), st.sampled_from(["accuracy", "log_loss"]))
def test_tables_are_valid_for_arbitrary_predictions(splits, metric) -> None:
    options = ComparisonOptions(metric=metric, draws=20)
    frames = compare_splits(splits, options=options)
    assert_valid(frames)
    for name, frame in compare_splits(splits, options=options).items():
        pd.testing.assert_frame_equal(frame, frames[name])


def test_groups_of_reviews_are_counted_and_widen_every_interval() -> None:
    grouped = small([0.8, 0.85], reviews=900, architecture_std=0.7, group_size=30)
    alone = {name: replace(predictions, groups=None) for name, predictions in grouped.items()}
    options = ComparisonOptions(draws=400, groups_known=True)
    by_group, ignored = compare_splits(grouped, options=options), compare_splits(alone, options=options)
    assert_valid(by_group)
    setup = by_group["setup"].iloc[0]
    assert (setup["test_reviews"], setup["test_groups"], setup["validation_groups"]) == (900, 30, 7)
    assert (setup["groups_known"], setup["design_effect"] > 2) == (True, True)
    assert setup["effective_test_groups"] == pytest.approx(30)
    assert ignored["setup"]["effective_test_groups"].item() == 900
    assert (ignored["setup"]["test_groups"].item(), ignored["setup"]["design_effect"].item()) == (900, 1)
    for table, value in (("summary", "mean"), ("pairs", "difference")):
        test = by_group[table].get("split", pd.Series("test", by_group[table].index)) == "test"
        wide, narrow = by_group[table][test], ignored[table][test]
        assert wide[value].tolist() == narrow[value].tolist()
        assert (wide["high"] - wide["low"] > narrow["high"] - narrow["low"]).all()
        assert (
            wide["bootstrap_high"] - wide["bootstrap_low"] > narrow["bootstrap_high"] - narrow["bootstrap_low"]
        ).all()
        assert (wide["item_variance"] > narrow["item_variance"]).all()
    assert (by_group["pairs"]["mcnemar_p"] > ignored["pairs"]["mcnemar_p"]).all()
    for name in ("minimum_detectable_difference", "power_one_point"):
        assert (by_group["power"][name].item() > ignored["power"][name].item()) == name.startswith("minimum")
    assert by_group["omnibus"]["p"].iloc[0] > ignored["omnibus"]["p"].iloc[0]


@examples(8, thorough=25)
@given(unusual_splits(), st.sampled_from(["accuracy", "log_loss"]), st.integers(0, 9))
def test_tables_are_valid_for_arbitrary_groups(splits, metric, seed) -> None:
    rng = np.random.default_rng(seed)
    splits = {
        name: replace(predictions, groups=make_groups(rng.integers(0, rng.integers(1, 9), len(predictions.labels))))
        for name, predictions in splits.items()
    }
    assert_valid(compare_splits(splits, options=ComparisonOptions(metric=metric, draws=20)))


def test_groups_of_a_table_are_those_of_its_reviews() -> None:
    splits = small(reviews=300, architecture_std=0.7, group_size=30)
    clusters = {id_: number // 30 for split in splits.values() for number, id_ in enumerate(split.review_ids)}
    predictions = to_frame(splits)
    predictions = predictions.assign(cluster=predictions["review_id"].map(clusters)).sample(frac=1, random_state=1)
    predictions = predictions.sort_values("architecture", kind="stable")
    options = ComparisonOptions(draws=50)
    found, expected = compare(predictions, options=options), compare_splits(splits, options=options)
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(found[name], frame, check_exact=True, obj=name)
    unknown = compare(
        predictions.assign(cluster=predictions["cluster"].where(predictions["seed"] > 0)), options=options
    )
    assert unknown["setup"]["test_groups"].item() == 300
