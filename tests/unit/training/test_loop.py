"""Training loop: batches of similar length, early stopping, divergence, repeatability, prediction."""

import hashlib
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config.recipe import Recipe
from tasks.models.registry import ARCHITECTURES
from tasks.training.batches import Split, make_batches, pad_left, padded_widths
from tasks.training.epoch_scores import HISTORY_METRICS, class_weights, epoch_scores
from tasks.training.loop import fit
from tasks.training.prediction import predict

TINY = Recipe(
    vocabulary_size=11, max_tokens=7, embedding_size=5, units=3, dropout=0, learning_rate=0.05, batch_size=8, epochs=12
)
MAGIC = 10  # the token that decides the class


def split_of(reviews, labels=None):
    lengths = [len(review) for review in reviews]
    labels = np.zeros(len(reviews), np.int8) if labels is None else np.asarray(labels, np.int8)
    return Split(np.array([w for review in reviews for w in review], np.uint16), np.cumsum([0, *lengths]), labels)


def toy(count, seed):
    """Return reviews of 1 to 9 tokens; every second one has the magic token among its last seven."""
    rng = np.random.default_rng(seed)
    reviews, labels = [rng.integers(1, MAGIC, rng.integers(1, 10)) for _ in range(count)], np.arange(count) % 2
    for review, label in zip(reviews, labels, strict=True):
        if label:
            review[rng.integers(max(0, len(review) - 7), len(review))] = MAGIC
    return split_of(reviews, labels)


@pytest.fixture(scope="module")
def trained():
    epochs = []
    fitted = fit(ARCHITECTURES["lstm"], TINY, toy(200, 0), toy(60, 1), 3, lambda epoch, _: epochs.append(epoch))
    return fitted, epochs


reviews_of_any_length = st.lists(st.lists(st.integers(1, 10), max_size=40), min_size=1, max_size=60)


def test_last_tokens_are_kept_and_padded_on_the_left():
    token_ids = pad_left(split_of([[1, 2, 3, 4, 5], [6], []]), np.arange(3), 3)
    assert token_ids.dtype == np.int32
    assert token_ids.tolist() == [[3, 4, 5], [0, 0, 6], [0, 0, 0]]
    assert pad_left(split_of([[1, 2], [6]]), np.array([1, 0, 1]), 2).tolist() == [[0, 6], [1, 2], [0, 6]]
    assert pad_left(split_of([[], []]), np.array([1]), 2).tolist() == [[0, 0]]


def test_balanced_class_weights_give_both_classes_the_same_total_weight():
    labels = np.array([1, 0, 0, 0], np.int8)
    assert class_weights(labels, balanced=True).tolist() == pytest.approx([4 / 6, 2])
    assert class_weights(labels, balanced=False).tolist() == [1, 1]
    weighted = epoch_scores(labels, np.full(4, 0.25), np.array([4 / 6, 2]))
    assert weighted["loss"] == pytest.approx(-(2 * np.log(0.25) + 2 * np.log(0.75)) / 4)
    assert epoch_scores(labels, np.full(4, 0.25))["accuracy"] == weighted["accuracy"] == 0.75


@pytest.mark.parametrize(("balanced", "expected"), [(False, 0.1), (True, 0.5)])
def test_balanced_class_weights_shift_probabilities_to_one_half(balanced, expected):
    constant = split_of([[2, 3]] * 200, np.arange(200) % 10 == 0)
    recipe = TINY.model_copy(update={"class_weights": balanced, "ema_momentum": 0.9, "patience": 12})
    fitted = fit(ARCHITECTURES["simple_rnn"], recipe, constant, constant, 0)
    assert fitted.facts.status == "finished"
    assert predict(fitted.model, constant, max_tokens=7)[0] == pytest.approx(expected, abs=0.05)


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


def test_model_learns_whether_a_token_occurs(trained):
    model = trained[0].model
    unseen = toy(100, 2)
    assert ((predict(model, unseen, max_tokens=7) > 0.5) == unseen.labels).mean() >= 0.95


def test_history_has_each_epoch_and_split(trained):
    fitted, epochs = trained
    history = fitted.history
    assert list(history.columns) == ["epoch", "split", *HISTORY_METRICS, "seconds"]
    assert epochs == list(range(1, fitted.facts.epochs + 1))
    assert history.groupby("split", sort=False)["epoch"].apply(list).to_dict() == {
        "train": epochs,
        "validation": epochs,
    }
    assert history["seconds"].is_monotonic_increasing
    assert fitted.facts.parameters == 55 + 108 + 7
    assert fitted.facts.status == "finished"


def test_model_has_the_weights_of_the_epoch_with_the_lowest_validation_loss():
    train, validation = toy(64, 0), toy(60, 1)
    wrong = Split(validation.tokens, validation.offsets, 1 - validation.labels)  # learning makes it worse
    fitted = fit(ARCHITECTURES["simple_rnn"], TINY, train, wrong, 0)
    losses = fitted.history[fitted.history["split"] == "validation"].set_index("epoch")["loss"]
    best = fitted.facts.best_epoch
    assert best == losses.idxmin() < fitted.facts.epochs == best + TINY.patience
    probability = predict(fitted.model, wrong, max_tokens=7).astype(float)
    np.testing.assert_array_equal(fitted.validation_probabilities, probability)
    loss = -np.log(np.where(wrong.labels == 1, probability, 1 - probability)).mean()
    assert loss == pytest.approx(losses.min(), abs=1e-5)


def test_diverged_training_has_finite_weights_and_history():
    recipe = TINY.model_copy(update={"learning_rate": 1e38})
    fitted = fit(ARCHITECTURES["lstm"], recipe, toy(64, 0), toy(20, 1), 0)
    assert fitted.facts.status == "diverged"
    assert np.isfinite(fitted.history[list(HISTORY_METRICS)].to_numpy(float)).all()
    assert all(np.isfinite(weight).all() for weight in fitted.model.get_weights())


def test_predictions_are_in_row_order_and_do_not_depend_on_the_batch(trained):
    split = toy(30, 5)
    together = predict(trained[0].model, split, batch_size=7, max_tokens=7)
    rows = [split.tokens[a:b] for a, b in zip(split.offsets[:-1], split.offsets[1:], strict=True)]
    alone = [predict(trained[0].model, split_of([row]), max_tokens=7)[0] for row in rows]
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-6)


def weights_hash():
    recipe = TINY.model_copy(update={"dropout": 0.3, "epochs": 2})
    model = fit(ARCHITECTURES["stacked_lstm"], recipe, toy(40, 0), toy(20, 1), 7).model
    return hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest()


def test_same_seed_gives_same_weights_in_a_fresh_and_in_a_used_process(trained):
    program = (
        "import sys; import tensorflow as tf; "
        "tf.config.threading.set_intra_op_parallelism_threads(1); "
        "from tests.unit.training.test_loop import weights_hash; print(weights_hash())"
    )
    fresh = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert fresh.stdout.split()[-1] == weights_hash()
    assert len(weights_hash()) == 64


@pytest.mark.failure_mode("same-seed-twice")
def test_random_numbers_of_other_threads_do_not_change_weights():
    """Keras draws seeds from Python's global generator, and threads of other libraries do so at any time."""

    def disturbed(recipe):
        random.random()
        model = ARCHITECTURES["lstm"](recipe)
        random.random()
        return model

    models = [fit(build, TINY, toy(60, 0), toy(20, 1), 3).model for build in (ARCHITECTURES["lstm"], disturbed)]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)
