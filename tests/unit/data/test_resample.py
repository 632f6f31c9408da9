"""Bootstrap resamples of the training reviews: whole groups, both classes, and the same draw for any order of rows."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config.errors import UserError
from tasks.data.resample import draw_rows, resample_training
from tests.helpers.examples import examples


def make_reviews(groups: list[int], labels: list[int] | None = None) -> pa.Table:
    """Make one training review for each group number and two test reviews; without labels, every second one is 1."""
    count = len(groups)
    labels = [number % 2 for number in range(count)] if labels is None else labels
    return pa.table(
        {
            "review_id": pa.array([*(f"r{number:03d}" for number in range(count)), "t0", "t1"], pa.large_string()),
            "split": ["train"] * count + ["test"] * 2,
            "label": pa.array([*labels, 0, 1], pa.int8()),
            "tokens": pa.array([[number] for number in range(count + 2)], pa.large_list(pa.uint16())),
            "cluster": [*groups, 1_000, 1_001],
        }
    )


def training_ids(table: pa.Table) -> list[str]:
    return [row["review_id"] for row in table.to_pylist() if row["split"] == "train"]


@examples(40)
@given(
    groups=st.lists(st.integers(0, 8), min_size=2, max_size=40).filter(lambda numbers: len(set(numbers)) > 1),
    number=st.integers(1, 100),
    seed=st.integers(0, 99),
)
def test_groups_are_drawn_whole_in_any_order_of_rows(groups: list[int], number: int, seed: int) -> None:
    reviews = make_reviews(groups)
    drawn = training_ids(resample_training(reviews, reviews, number))
    times = {group: {drawn.count(f"r{row:03d}") for row in np.flatnonzero(np.equal(groups, group))} for group in groups}
    assert all(len(counts) == 1 for counts in times.values())  # all reviews of a group equally often
    assert sum(max(counts) for counts in times.values()) == len(times)  # as many groups as there are
    rng = np.random.default_rng(seed)
    shuffled = reviews.take(rng.permutation(len(reviews)))
    renumbered = rng.permutation(1_002)[shuffled["cluster"].to_numpy()]
    others = shuffled.set_column(4, "cluster", pa.array(renumbered)).take(rng.permutation(len(reviews)))
    assert training_ids(resample_training(shuffled, others, number)) == drawn


def test_other_splits_and_columns_are_kept() -> None:
    reviews = make_reviews([0, 0, 1, 2, 3])
    resampled = resample_training(reviews, reviews, 1)
    assert resampled.schema == reviews.schema
    rows = resampled.to_pylist()
    assert [row for row in rows if row["split"] == "test"] == reviews.to_pylist()[-2:]
    assert all(row in reviews.to_pylist() for row in rows)


def test_resamples_differ_and_contain_63_percent_of_the_reviews() -> None:
    reviews = make_reviews(list(range(900)))
    resamples = [training_ids(resample_training(reviews, reviews, number)) for number in (1, 2)]
    assert resamples[0] != resamples[1]
    assert [len(set(ids)) / 900 for ids in resamples] == pytest.approx([0.632, 0.632], abs=0.04)


def test_reviews_without_known_groups_are_drawn_one_by_one() -> None:
    reviews = make_reviews([0, 0, 0, 1, 1, 1])
    unknown = reviews.drop_columns("cluster")
    alone = reviews.set_column(4, "cluster", pa.array(range(8)))
    assert training_ids(resample_training(unknown, unknown, 3)) == training_ids(resample_training(alone, alone, 3))


def test_both_classes_remain() -> None:
    ids, labels = np.array([f"r{row}" for row in range(6)], object), np.array([1, 0, 0, 0, 0, 0], np.int8)
    for number in range(1, 60):  # a third of all draws misses the first review
        assert set(labels[draw_rows(ids, np.arange(6), labels, number)]) == {0, 1}


@pytest.mark.parametrize(("groups", "labels"), [([5, 5, 5], [0, 1, 1]), ([0, 1, 2], [1, 1, 1])])
def test_what_cannot_be_resampled_is_a_user_error(groups: list[int], labels: list[int]) -> None:
    reviews = make_reviews(groups, labels)
    with pytest.raises(UserError, match="resample_training"):
        resample_training(reviews, reviews, 1)
