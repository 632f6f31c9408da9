"""Batches of similar length, class weights, and the scores of an epoch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.training.batches import make_batches, pad_right, padded_widths
from tasks.training.epoch_scores import class_weights, epoch_scores
from tests.helpers.encoded_reviews import split_of

reviews_of_any_length = st.lists(st.lists(st.integers(1, 10), max_size=40), min_size=1, max_size=60)


def test_last_tokens_are_kept_and_padded_on_the_right():
    token_ids = pad_right(split_of([[1, 2, 3, 4, 5], [6], []]), np.arange(3), 3)
    assert token_ids.dtype == np.int32
    assert token_ids.tolist() == [[3, 4, 5], [6, 0, 0], [0, 0, 0]]
    assert pad_right(split_of([[1, 2], [6]]), np.array([1, 0, 1]), 2).tolist() == [[6, 0], [1, 2], [6, 0]]
    assert pad_right(split_of([[], []]), np.array([1]), 2).tolist() == [[0, 0]]


def test_balanced_class_weights_give_both_classes_the_same_total_weight():
    labels = np.array([1, 0, 0, 0], np.int8)
    assert class_weights(labels, balanced=True).tolist() == pytest.approx([4 / 6, 2])
    assert class_weights(labels, balanced=False).tolist() == [1, 1]
    weighted = epoch_scores(labels, np.full(4, 0.25), np.array([4 / 6, 2]))
    assert weighted["loss"] == pytest.approx(-(2 * np.log(0.25) + 2 * np.log(0.75)) / 4)
    assert epoch_scores(labels, np.full(4, 0.25))["accuracy"] == weighted["accuracy"] == 0.75


@given(reviews_of_any_length, st.integers(1, 30))
def test_width_fits_the_kept_tokens_and_depends_only_on_the_length(reviews, max_tokens):
    together = padded_widths(split_of(reviews), max_tokens)
    assert [padded_widths(split_of([review]), max_tokens)[0] for review in reviews] == together.tolist()
    assert all(min(len(r), max_tokens) <= w <= max_tokens and w >= 1 for r, w in zip(reviews, together, strict=True))


@given(st.lists(st.sampled_from([2, 4, 7]), min_size=1, max_size=80), st.integers(1, 9), st.integers(0, 99))
def test_epoch_contains_each_row_once_in_the_smallest_number_of_batches(row_widths, batch_size, seed):
    row_widths = np.array(row_widths)
    made = make_batches(row_widths, batch_size, np.random.default_rng(seed))
    assert sorted(np.concatenate([rows for _, rows in made]).tolist()) == list(range(len(row_widths)))
    assert len(made) == -(-len(row_widths) // batch_size)
    assert all((row_widths[rows] <= width).all() for width, rows in made)


def test_epochs_differ_and_a_seed_repeats_them():
    row_widths, rng = np.repeat([2, 4, 7], 20), np.random.default_rng(0)
    first, second = make_batches(row_widths, 8, rng), make_batches(row_widths, 8, rng)
    again = make_batches(row_widths, 8, np.random.default_rng(0))
    assert [(w, r.tolist()) for w, r in first] == [(w, r.tolist()) for w, r in again]
    assert [(w, r.tolist()) for w, r in first] != [(w, r.tolist()) for w, r in second]
