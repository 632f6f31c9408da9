"""Small encoded reviews, and a recipe of a small network for them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from tasks.config.recipe import Recipe
from tasks.training.batches import Split

RECIPE = Recipe(vocabulary_size=11, max_tokens=7, embedding_size=5, units=3, batch_size=8, epochs=2, learning_rate=0.01)


def encoded_reviews(seed: int = 0) -> pa.Table:
    """Return 60 encoded reviews of 1 to 9 tokens, 30 of them for training; token 5 occurs in one class only."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([0, 1], 30)).astype(np.int8)
    tokens = [[*rng.integers(6, 11, rng.integers(1, 9)), 5 - label] for label in labels]
    return pa.table(
        {
            "review_id": [f"r{number}" for number in range(60)],
            "split": ["train"] * 30 + ["validation"] * 17 + ["test"] * 13,
            "label": labels,
            "tokens": pa.array(tokens, pa.large_list(pa.uint16())),
            "length": [len(each) for each in tokens],
        }
    )


def split_of(reviews: Sequence[Sequence[int]], labels: ArrayLike | None = None) -> Split:
    """Return a split of reviews given as token ids; without labels all are 0."""
    lengths = [len(review) for review in reviews]
    labels = np.zeros(len(reviews), np.int8) if labels is None else np.asarray(labels, np.int8)
    return Split(np.array([w for review in reviews for w in review], np.uint16), np.cumsum([0, *lengths]), labels)
