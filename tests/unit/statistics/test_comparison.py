"""The comparison on made-up models: odd input, what holds whatever the predictions, and the words of the verdict."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.config.errors import UserError
from tasks.evaluation.predictions import Panel
from tasks.reporting.verdict import verdict
from tasks.statistics.comparison import compare, compare_panels
from tests.helpers.simulated_predictions import as_predictions, simulated_panels

P_VALUES = ["p", "p_holm", "p_sign_flip", "smallest_p", "p_equivalent_holm", "mcnemar_p"]


def small(accuracies=(0.8, 0.85), *, seeds=5, reviews=400, **options):
    return simulated_panels(list(accuracies), seeds=seeds, reviews=reviews, seed=3, **options)


def assert_sound(frames: dict[str, pd.DataFrame]) -> None:
    """Check what holds of any comparison: points in their intervals, p-values in [0, 1], no NaN without a note."""
    summary, pairs = frames["summary"], frames["pairs"]
    for frame, low, point, high in (
        (summary, "low", "mean", "high"),
        (summary, "min", "mean", "max"),
        (pairs, "low", "difference", "high"),
        (pairs, "probability_low", "probability_first_better", "probability_high"),
        (frames["power"], "power_low", "power_one_point", "power_high"),
    ):
        assert (frame[low] <= frame[point] + 1e-12).all(), (low, point)
        assert (frame[point] <= frame[high] + 1e-12).all(), (point, high)
    scores = summary[summary["metric"] != "log_loss"]
    assert (scores["low"].ge(0) & scores["high"].le(1)).all()
    assert (pairs[P_VALUES].ge(0) & pairs[P_VALUES].le(1)).all(axis=None)
    assert (pairs["p"] <= pairs["p_holm"]).all()
    assert (pairs["smallest_p"] <= pairs["p_sign_flip"]).all()
    for frame in (summary, pairs):
        assert frame[frame["note"].eq("")].notna().all(axis=None)
    assert frames["omnibus"]["p"].between(0, 1).all()
    for name in ("setup", "power", "omnibus", "groups"):
        assert frames[name].notna().all(axis=None), name
    assert frames["expected"].drop(columns="seconds").notna().all(axis=None)
    assert verdict(frames)


def test_a_clear_loser_is_found_and_said() -> None:
    trials = pd.DataFrame({"architecture": ["model_0", "model_1"], "seed": 0, "parameters": [10, 20]})
    frames = compare(as_predictions(small([0.6, 0.85])), trials, draws=200)
    assert frames["pairs"]["verdict"].iloc[0] == "second better"
    assert frames["groups"]["group"].tolist() == [1, 2]
    assert any("Model 0" in sentence and "a real difference" in sentence for sentence in verdict(frames))


@pytest.mark.parametrize("seeds", [1, 3])
def test_too_few_seeds_make_no_claim(seeds) -> None:
    frames = compare_panels(small([0.6, 0.85], seeds=seeds), draws=100)
    assert_sound(frames)
    assert set(frames["pairs"]["verdict"]) == {"too few seeds"}
    assert frames["pairs"]["note"].ne("").all()
    assert any("no difference is claimed" in sentence for sentence in verdict(frames))
    assert any("Seed noise is unknown" in sentence for sentence in verdict(frames)) == (seeds == 1)


def test_all_predictions_equal() -> None:
    panels = small([0.8, 0.8, 0.8], reviews=50)
    for data in panels.values():
        data.probabilities[:] = data.probabilities[:1, :1]
    frames = compare_panels(panels, draws=100)
    assert_sound(frames)
    assert set(frames["pairs"]["verdict"]) == {"not separable"}
    assert frames["omnibus"]["note"].ne("").all()
    assert frames["groups"]["group"].eq(1).all()


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_one_probability_for_every_review(value) -> None:
    panels = small([0.8, 0.8], reviews=50)
    for data in panels.values():
        data.probabilities[:] = value
    for metric in ("accuracy", "f1", "auc", "log_loss"):
        frames = compare_panels(panels, metric=metric, draws=50)
        assert_sound(frames)
        assert set(frames["pairs"]["verdict"]) == {"not separable"}


def test_different_seeds_and_a_diverged_trial() -> None:
    predictions = as_predictions(small([0.8, 0.85, 0.82]))
    predictions.loc[predictions["architecture"].eq("model_1") & predictions["seed"].eq(2), "probability"] = np.nan
    predictions.loc[predictions["architecture"].eq("model_2"), "seed"] += 100
    trials = pd.DataFrame({"architecture": ["model_1"], "seed": [2], "status": ["diverged"]})
    frames = compare(predictions, trials, draws=100)
    assert_sound(frames)
    pairs = frames["pairs"].query("metric == 'accuracy'").set_index(["first", "second"])
    assert pairs["seeds"].tolist() == [4, 0, 0]
    assert (frames["summary"].query("architecture == 'model_1'")["diverged"] == 1).all()
    assert any("diverged with 1 seed" in sentence for sentence in verdict(frames))
    without_word = frames["pairs"][frames["pairs"]["note"].eq("")]
    assert without_word.notna().all(axis=None)


def test_a_method_without_randomness_meets_every_seed() -> None:
    predictions = as_predictions(small([0.6, 0.85], seeds=5))
    predictions = predictions[predictions["architecture"].ne("model_0") | predictions["seed"].eq(0)]
    frames = compare(predictions, draws=100, deterministic=("model_0",))
    assert_sound(frames)
    assert frames["pairs"]["seeds"].iloc[0] == 5
    assert frames["pairs"]["verdict"].iloc[0] == "second better"


def test_low_point_high_and_the_order_of_rows() -> None:
    predictions = as_predictions(small())
    frames = compare(predictions, draws=200)
    again = compare(predictions.sample(frac=1, random_state=1).sort_values("architecture", kind="stable"), draws=200)
    pd.testing.assert_frame_equal(frames["pairs"], again["pairs"])
    for frame, point in ((frames["summary"], "mean"), (frames["pairs"], "difference")):
        assert (frame["low"] <= frame[point]).all()
        assert (frame[point] <= frame["high"]).all()


def test_one_architecture_alone() -> None:
    frames = compare_panels(small([0.8]), draws=100)
    assert_sound(frames)
    assert any("nothing to compare" in sentence for sentence in verdict(frames))


def test_a_beaten_baseline_does_not_make_it_harder_for_the_rest() -> None:
    open_pair = compare_panels(small([0.8, 0.805]), draws=50)["power"]
    with_baseline = compare_panels(small([0.8, 0.805, 0.5]), draws=50)["power"]
    assert open_pair["level"].tolist() == [0.05]
    assert with_baseline["level"].tolist() == [0.05] * 3


def test_a_share_of_the_metrics_gives_the_same_numbers() -> None:
    frames, alone = (compare_panels(small(), metrics=metrics, draws=50) for metrics in (None, ["accuracy"]))
    assert set(alone["pairs"]["metric"]) == set(alone["summary"]["metric"]) == {"accuracy"}
    pd.testing.assert_frame_equal(frames["pairs"].query("metric == 'accuracy'"), alone["pairs"])
    pd.testing.assert_frame_equal(frames["groups"], alone["groups"])


def test_what_cannot_be_compared_is_refused() -> None:
    panels = small(reviews=30)
    with pytest.raises(UserError, match=r"'accurcy'.*accuracy, f1, auc, log_loss"):
        compare_panels(panels, metric="accurcy")
    with pytest.raises(UserError, match="allow: accuracy, log_loss"):
        compare_panels({split: data._replace(labels=np.ones_like(data.labels)) for split, data in panels.items()},
                       metric="f1")  # fmt: skip
    predictions = as_predictions(panels)
    with pytest.raises(UserError, match="model_1"):
        compare(predictions[predictions["architecture"].ne("model_1") | predictions["split"].ne("test")])


@st.composite
def odd_panels(draw) -> dict[str, Panel]:
    """Draw panels of one to three architectures, with ties, missing trials, few reviews and one class now and then."""
    architectures, seeds, reviews = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    levels = np.array(draw(st.sampled_from([[0.0, 1.0], [0.5], [0.2, 0.5, 0.8], [0.1, 0.4, 0.6, 0.9]])), np.float32)
    present = rng.random((architectures, seeds)) < draw(st.sampled_from([0.5, 1.0]))
    present[np.arange(architectures), rng.integers(0, seeds, architectures)] = True
    panels = {}
    for split in ("validation", "test"):
        probabilities = rng.choice(levels, (architectures, seeds, reviews))
        probabilities[~present] = np.nan
        ids = np.array([f"{split}-{number:02d}" for number in range(reviews)], object)
        labels = (np.arange(reviews) % draw(st.sampled_from([1, 2, 3])) == 0).astype(np.int8)
        names = ["majority", "b", "c"][:architectures]
        panels[split] = Panel(names, list(range(seeds)), ids, labels, probabilities, present)
    return panels


@settings(max_examples=25, deadline=None)
@given(odd_panels(), st.sampled_from(["accuracy", "log_loss"]))
def test_whatever_the_predictions_the_numbers_are_sound(panels, metric) -> None:
    frames = compare_panels(panels, metric=metric, draws=20)
    assert_sound(frames)
    for name, frame in compare_panels(panels, metric=metric, draws=20).items():
        pd.testing.assert_frame_equal(frame, frames[name])
