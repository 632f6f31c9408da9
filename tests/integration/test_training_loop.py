"""Training loop: early stopping, divergence, repeatability, prediction."""

import gc
import hashlib
import random
import subprocess
import sys

import numpy as np
import pytest

from tasks.config.recipe import Recipe
from tasks.models.registry import ARCHITECTURES
from tasks.training.batches import Split
from tasks.training.epoch_scores import HISTORY_METRICS
from tasks.training.loop import fit, learning_rates
from tasks.training.prediction import predict
from tests.helpers.encoded_reviews import split_of

TINY = Recipe(
    vocabulary_size=11, max_tokens=7, embedding_size=5, units=3, dropout=0, learning_rate=0.05, batch_size=8, epochs=12
)
MAGIC = 10  # the token that decides the class


def toy(count, seed):
    """Return reviews of 1 to 9 tokens; every second one has the magic token among its last seven."""
    rng = np.random.default_rng(seed)
    reviews, labels = [rng.integers(1, MAGIC, rng.integers(1, 10)) for _ in range(count)], np.arange(count) % 2
    for review, label in zip(reviews, labels, strict=True):
        if label:
            review[rng.integers(max(0, len(review) - 7), len(review))] = MAGIC
    return split_of(reviews, labels)


@pytest.mark.parametrize(("warmup", "updates"), [(0.5, 10), (0.3, 500), (0.0, 7), (0.9, 1)])
def test_learning_rate_rises_to_its_highest_value_and_then_falls_to_zero(warmup, updates):
    schedule = learning_rates(Recipe(learning_rate=0.02, warmup=warmup), updates)
    rates = np.array([float(schedule(update)) for update in range(updates + 1)])
    highest = round(warmup * updates)
    assert rates.argmax() == highest
    assert rates[highest] == pytest.approx(0.02)
    assert rates[0] == pytest.approx(0.002 if highest else 0.02)
    assert (np.diff(rates[: highest + 1]) > 0).all()
    assert (np.diff(rates[highest:]) < 0).all()
    assert highest == updates or rates[-1] == pytest.approx(0, abs=1e-9)


@pytest.fixture(scope="module")
def trained():
    epochs = []
    fitted = fit(ARCHITECTURES["lstm"], TINY, toy(200, 0), toy(60, 1), 3, lambda epoch, _: epochs.append(epoch))
    return fitted, epochs


@pytest.mark.parametrize(("balanced", "expected"), [(False, 0.1), (True, 0.5)])
def test_balanced_class_weights_shift_probabilities_to_one_half(balanced, expected):
    constant = split_of([[2, 3]] * 200, np.arange(200) % 10 == 0)
    recipe = TINY.model_copy(update={"class_weights": balanced, "patience": 12})
    fitted = fit(ARCHITECTURES["simple_rnn"], recipe, constant, constant, 0)
    assert fitted.facts.status == "finished"
    assert predict(fitted.model, constant, max_tokens=7)[0] == pytest.approx(expected, abs=0.05)


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
        "from tests.integration.test_training_loop import weights_hash; print(weights_hash())"
    )
    fresh = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert fresh.stdout.split()[-1] == weights_hash()
    assert len(weights_hash()) == 64


def count_graphs():
    gc.collect()
    return sum(type(each).__name__ == "FuncGraph" for each in gc.get_objects())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_graphs_of_earlier_models_are_freed(name):
    """They hold the weights. A worker that keeps them runs out of memory after some hundred trials."""
    recipe = TINY.model_copy(update={"epochs": 1})
    counts = []
    for seed in range(4):
        fit(ARCHITECTURES[name], recipe, toy(40, 0), toy(20, 1), seed)
        counts.append(count_graphs())
    assert counts[-1] == counts[-2]


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
