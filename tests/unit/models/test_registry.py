"""Builders of the architectures: sizes, shapes, gradients, and padding."""

import numpy as np
import pytest

from tasks.config.parameters import Parameters
from tasks.config.recipe import DEFAULT_ARCHITECTURES, Recipe
from tasks.models.registry import ARCHITECTURES

TINY = Recipe(vocabulary_size=11, embedding_size=5, units=3)
TOKEN_IDS = np.array([[4, 1, 10, 2, 3, 0, 0], [5, 6, 7, 8, 9, 10, 2]], np.int32)  # 2 x 7, the first padded

# Embedding 11 * 5 = 55. An LSTM of 3 units on n features: 4 * (3 * n + 3 * 3 + 3), so 108 on 5 and 84 on 3.
# The head reads mean and maximum of 3 states (6 weights, 1 bias), of 6 states when read both ways (12 and 1).
PARAMETERS = {
    "simple_rnn": 55 + (3 * 5 + 3 * 3 + 3) + 7,
    "cnn": 55 + (3 + 4 + 5) * 5 * 3 + 3 * 3 + 10,  # three maxima of three filters
    "gru": 55 + 3 * (3 * 5 + 3 * 3 + 2 * 3) + 7,
    "lstm": 55 + 108 + 7,
    "lstm_attention": 55 + 108 + (3 * 3 + 3 + 3) + 4,
    "bidirectional_gru": 55 + 2 * 3 * (3 * 5 + 3 * 3 + 2 * 3) + 13,
    "stacked_lstm": 55 + 108 + 84 + 7,
    "bidirectional_lstm": 55 + 2 * 108 + 13,
    "deep_lstm": 55 + 108 + 84 + 84 + 7,
}

every_architecture = pytest.mark.parametrize("name", list(ARCHITECTURES))


def test_five_architectures_are_compared_by_default():
    assert Parameters().architectures == DEFAULT_ARCHITECTURES
    assert [name for name in ARCHITECTURES if name not in DEFAULT_ARCHITECTURES] == [
        "cnn", "gru", "lstm_attention", "bidirectional_gru",
    ]  # fmt: skip


@every_architecture
def test_parameter_counts_match_a_hand_count(name):
    assert ARCHITECTURES[name](TINY).count_params() == PARAMETERS[name]


@every_architecture
def test_model_returns_one_logit_per_review(name):
    assert ARCHITECTURES[name](TINY)(TOKEN_IDS).shape == (2, 1)


@every_architecture
def test_one_training_step_changes_each_weight(name):
    import keras

    keras.utils.set_random_seed(0)
    model = ARCHITECTURES[name](TINY.model_copy(update={"dropout": 0.0, "layer_dropout": 0.0}))
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.1), keras.losses.BinaryCrossentropy(from_logits=True))
    model.train_on_batch(TOKEN_IDS, np.array([[0.0], [1.0]]))
    assert all((new != old).any() for new, old in zip(model.get_weights(), before, strict=True))


@every_architecture
def test_padding_does_not_change_logits(name):
    model = ARCHITECTURES[name](TINY)
    wider = np.pad(TOKEN_IDS, ((0, 0), (0, 4)))
    np.testing.assert_allclose(model(wider), model(TOKEN_IDS), atol=1e-6)
    np.testing.assert_allclose(model(TOKEN_IDS[:1, :5]), model(TOKEN_IDS[:1]), atol=1e-6)


@every_architecture
@pytest.mark.parametrize("tokens", [0, 1, 2, 4])
def test_padding_does_not_change_logits_of_short_reviews(name, tokens):
    """Filters of the CNN are wider than some of these reviews, and weights of padding are not zero."""
    model, rng = ARCHITECTURES[name](TINY), np.random.default_rng(0)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])
    narrow = np.full((1, max(tokens, 1)), 3, np.int32) * (tokens > 0)
    for width in (1, 2, 9):
        np.testing.assert_allclose(model(np.pad(narrow, ((0, 0), (0, width)))), model(narrow), atol=1e-6)
    beside = np.stack([np.pad(narrow[0], (0, 7 - narrow.size)), TOKEN_IDS[1]])
    np.testing.assert_allclose(model(beside)[:1], model(narrow), atol=1e-6)


@every_architecture
def test_review_without_tokens_has_a_finite_logit(name):
    model = ARCHITECTURES[name](TINY)
    assert np.isfinite(model(np.zeros((2, 7), np.int32))).all()


@every_architecture
def test_logits_depend_on_the_order_of_tokens(name):
    model = ARCHITECTURES[name](TINY)
    assert abs(np.asarray(model(TOKEN_IDS[1:]) - model(TOKEN_IDS[1:, ::-1]))).max() > 1e-7


def test_initial_bias_of_the_forget_gate_is_one():
    from tasks.models.layers import FastLSTM

    layer = FastLSTM(3)
    layer.build((7, 2, 5))
    assert np.asarray(layer.bias).tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]
