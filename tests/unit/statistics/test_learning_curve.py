"""Fractions of the training reviews, and the scores after training on them."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config.errors import UserError
from tasks.data.subsample import keep_training_fraction
from tasks.statistics.learning_curve import learning_curve
from tests.helpers.examples import examples


def table(training: int = 100) -> pa.Table:
    """Make reviews in random order; a third of the training reviews is positive."""
    rng = np.random.default_rng(0)
    ids = [f"{number:016x}-0" for number in rng.permutation(training + 30)]
    splits = ["train"] * training + ["validation"] * 20 + ["test"] * 10
    labels = (np.arange(training + 30) % 3 == 0).astype(np.int8)
    rows = pd.DataFrame({"review_id": ids, "split": splits, "label": labels})
    return pa.Table.from_pandas(rows.sample(frac=1, random_state=1), preserve_index=False)


def ids(reviews: pa.Table, split: str = "train") -> set[str]:
    frame = reviews.to_pandas()
    return set(frame.loc[frame["split"] == split, "review_id"])


@examples(30)
@given(st.floats(0.35, 1), st.floats(0.35, 1))
def test_smaller_fraction_is_a_subset_of_a_larger_one(one, other):
    small, large = (keep_training_fraction(table(), fraction) for fraction in sorted((one, other)))
    assert ids(small) <= ids(large)
    assert ids(small, "test") == ids(table(), "test")
    assert ids(small, "validation") == ids(table(), "validation")


def test_classes_keep_their_shares():
    kept = keep_training_fraction(table(300), 0.4).to_pandas().query("split == 'train'")
    assert kept["label"].value_counts().to_dict() == {0: 80, 1: 40}


def test_order_of_rows_does_not_change_the_fraction():
    shuffled = table().take(pa.array(np.random.default_rng(5).permutation(130)))
    assert ids(keep_training_fraction(shuffled, 0.5)) == ids(keep_training_fraction(table(), 0.5))


def test_fraction_with_too_few_reviews_raises_with_counts():
    with pytest.raises(UserError, match=r"0\.1.* 3 reviews of a class.* 100 training reviews"):
        keep_training_fraction(table(), 0.1)


def predictions(correct: dict[str, list[list[int]]]) -> pd.DataFrame:
    """Make predictions from which reviews each seed of each architecture predicts correctly."""
    rows = [
        {"architecture": name, "seed": seed, "split": "test", "review_id": f"r{review}", "label": review % 2}
        | {"probability": float(value == review % 2)}
        for name, seeds in correct.items()
        for seed, row in enumerate(seeds)
        for review, value in enumerate(row)
    ]
    return pd.DataFrame(rows)


def test_scores_and_gains_by_hand():
    small = predictions({"lstm": [[1, 0, 0, 0], [1, 1, 0, 0]], "nb_svm": [[1, 1, 1, 0]]})
    large = predictions({"lstm": [[1, 1, 1, 0], [1, 1, 1, 1]], "nb_svm": [[1, 1, 1, 0]]})
    trials = pd.DataFrame({"train_fraction": [0.5, 1.0], "train_reviews": [30, 60]})
    found = learning_curve({1.0: large, 0.5: small}, trials, deterministic=("nb_svm",)).set_index(
        ["architecture", "fraction"]
    )
    assert found["mean"].to_dict() == {
        ("lstm", 0.5): 0.375, ("lstm", 1.0): 0.875, ("nb_svm", 0.5): 0.75, ("nb_svm", 1.0): 0.75,
    }  # fmt: skip
    assert found.loc[("lstm", 1.0), "gain"] == 0.5
    assert found.loc[("nb_svm", 1.0), "gain"] == 0
    assert np.isnan(found.loc[("lstm", 0.5), "gain"])
    assert found["train_reviews"].tolist() == [30, 60, 30, 60]
    assert ((found["low"] <= found["mean"]) & (found["mean"] <= found["high"])).all()
    assert found["seeds"].tolist() == [2, 2, 1, 1]
