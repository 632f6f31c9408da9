"""The main metric: the default by the balance of the classes, and the ranking by any metric."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.config.errors import UserError
from tasks.config.metric_names import METRIC_NAMES
from tasks.data.balance import is_imbalanced
from tasks.evaluation.metrics import METRICS
from tasks.evaluation.predictions import Predictions
from tasks.statistics.comparison import compare_splits
from tasks.statistics.learning_curve import learning_curve
from tasks.statistics.main_metric import main_metric, select_metric
from tasks.statistics.options import ComparisonOptions
from tasks.statistics.planning import measure_pairs
from tests.helpers.simulated_predictions import simulate_predictions, to_frame

SIZES = {"seeds": 6, "reviews": 1_500, "seed": 2, "validation_reviews": 800}


@pytest.mark.parametrize(
    ("counts", "classes", "expected"),
    [
        ([40, 60], 2, False), ([39, 61], 2, True), ([61, 39], 2, True), ([100, 0], 2, True),
        ([27, 36, 37], 3, False), ([26, 37, 37], 3, True), ([50, 50], 3, True),
        ([10] * 9 + [8], 10, False), ([10] * 9 + [7], 10, True),
    ],
)  # fmt: skip
def test_reviews_are_imbalanced_if_the_rarest_class_has_less_than_80_percent_of_its_share(
    counts: list[int], classes: int, expected: bool
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    assert is_imbalanced(labels, classes) == expected


@pytest.mark.parametrize(
    ("positive_share", "chosen", "expected"),
    [(0.5, "auto", "accuracy"), (0.1, "auto", "balanced_accuracy"), (0.1, "accuracy", "accuracy"), (0.1, "f1", "f1")],
)
def test_default_is_balanced_accuracy_for_imbalanced_reviews(positive_share: float, chosen: str, expected: str) -> None:
    splits = simulate_predictions([0.8, 0.7], **SIZES, positive_share=positive_share)
    setup = compare_splits(splits, options=ComparisonOptions(metric=chosen, draws=20))["setup"]
    assert main_metric(setup).name == expected
    assert bool(setup["metric_is_default"].iloc[0]) == (chosen == "auto")


def test_default_is_accuracy_where_balanced_accuracy_is_not_defined() -> None:
    splits = simulate_predictions([0.8], **SIZES, positive_share=0.1)
    validation = replace(splits["validation"], labels=np.zeros_like(splits["validation"].labels))
    assert select_metric("auto", splits) == "balanced_accuracy"
    assert select_metric("auto", splits | {"validation": validation}) == "accuracy"
    with pytest.raises(UserError, match="balanced_accuracy"):
        compare_splits(splits | {"validation": validation}, options=ComparisonOptions(metric="balanced_accuracy"))


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_the_better_architecture_is_ranked_first_and_called_better_in_every_metric(metric: str) -> None:
    splits = simulate_predictions([0.7, 0.85], **SIZES)
    frames = compare_splits(splits, options=ComparisonOptions(metric=metric, draws=20))
    best, other = frames["groups"].to_dict("records")
    assert (best["architecture"], other["verdict"]) == ("model_1", "worse")
    assert (best["validation_mean"] > other["validation_mean"]) == METRICS[metric].greater_is_better
    (power,) = frames["power"].to_dict("records")
    assert power["target_difference"] == pytest.approx(abs(best["test_mean"] - other["test_mean"]))
    expected = frames["expected"].query("architecture == 'model_1'")["expected"]
    assert expected.is_monotonic_increasing if METRICS[metric].greater_is_better else expected.is_monotonic_decreasing
    (pair,) = measure_pairs(splits["test"], metric)
    assert abs(pair.difference) == pytest.approx(power["target_difference"])
    frame = to_frame(splits)
    trials = frame[["architecture", "seed"]].drop_duplicates().assign(train_fraction=1.0, train_reviews=100)
    curve = learning_curve({1.0: frame}, trials, (), metric).set_index("architecture")
    assert curve.loc["model_1", "mean"] == pytest.approx(best["test_mean"])
    assert curve.loc["model_1", "low"] < best["test_mean"] < curve.loc["model_1", "high"]


@pytest.mark.parametrize("classes", [3, 10])
@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_architectures_are_compared_with_more_classes(metric: str, classes: int) -> None:
    frames = compare_splits(
        {
            split: classified([0.5, 2.0], classes=classes, seed=number)
            for number, split in enumerate(("validation", "test"))
        },
        options=ComparisonOptions(metric=metric, draws=20),
    )
    best, other = frames["groups"].to_dict("records")
    assert (best["architecture"], other["verdict"]) == ("model_1", "worse")
    assert set(frames["summary"]["metric"]) == set(METRIC_NAMES)


def test_seed_at_chance_with_more_classes_failed() -> None:
    found = classified([2.0], classes=4, seed=0)
    found.probabilities[0, 2] = np.random.default_rng(0).dirichlet(np.ones(4), len(found.labels))
    summary = compare_splits({"validation": found, "test": found}, options=ComparisonOptions(draws=20))["summary"]
    assert set(summary["failed_seeds"]) == {"2"}


def classified(strengths: list[float], *, classes: int, seed: int, reviews: int = 400, seeds: int = 5) -> Predictions:
    """Simulate models by the mean logit of the true class; all other logits are standard normal."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, reviews).astype(np.int8)
    logits = rng.standard_normal((len(strengths), seeds, reviews, classes))
    logits += np.array(strengths)[:, None, None, None] * np.eye(classes)[labels]
    probabilities = np.exp(logits)
    probabilities = (probabilities / probabilities.sum(axis=-1, keepdims=True)).astype(np.float32)
    ids = np.array([f"r{number:04d}" for number in range(reviews)], dtype=object)
    present = np.ones((len(strengths), seeds), dtype=bool)
    names = [f"model_{number}" for number in range(len(strengths))]
    return Predictions(names, list(range(seeds)), ids, labels, probabilities, present)
