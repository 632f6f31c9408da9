"""Embeddings that start from word vectors, and stay as they are if they are frozen."""

from functools import partial

import numpy as np
import pytest

from tasks.models.registry import ARCHITECTURES
from tasks.models.word_vectors import build_with_vectors, embeddings
from tasks.training.trial import train_network
from tests.helpers.encoded_reviews import RECIPE, encoded_reviews

IDS = np.array([5, 2, 9], np.int32)
VECTORS = np.arange(15, dtype=np.float32).reshape(3, 5) / 10


def build(name, *, frozen):
    return partial(build_with_vectors, build=ARCHITECTURES[name], token_ids=IDS, vectors=VECTORS, frozen=frozen)


def embedding_of(weights):
    (name,) = [name for name in weights if name.startswith("embedding")]
    return weights[name]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_starts_from_the_vectors(name):
    import keras

    keras.utils.set_random_seed(3)
    plain = ARCHITECTURES[name](RECIPE)
    keras.utils.set_random_seed(3)
    model = build(name, frozen=True)(RECIPE)
    (layer,) = embeddings(model, RECIPE)
    np.testing.assert_array_equal(layer.embeddings.numpy()[IDS], VECTORS)
    for with_vectors, without in zip(model.weights, plain.weights, strict=True):
        if with_vectors is layer.embeddings:
            others = np.setdiff1d(np.arange(RECIPE.vocabulary_size), IDS)
            np.testing.assert_array_equal(with_vectors.numpy()[others], without.numpy()[others])
        else:
            np.testing.assert_array_equal(with_vectors.numpy(), without.numpy())
    assert model.count_params() == plain.count_params()
    assert len(model.trainable_variables) == len(plain.trainable_variables) - 1


@pytest.mark.parametrize("name", ["simple_rnn", "bidirectional_lstm"])
def test_frozen_vectors_are_unchanged_after_training_and_others_are_trained(name):
    frozen, trained = (
        train_network(name, 4, RECIPE, encoded_reviews(), build=build(name, frozen=frozen)) for frozen in (True, False)
    )
    np.testing.assert_array_equal(embedding_of(frozen.weights)[IDS], VECTORS)
    assert not np.array_equal(embedding_of(trained.weights)[5], VECTORS[0])
    assert frozen.facts.parameters == trained.facts.parameters
    assert frozen.weights.keys() == trained.weights.keys()
    # The other weights are trained with frozen vectors, too.
    start = build(name, frozen=True)(RECIPE)
    dense = next(weight for weight in start.weights if weight.path == "logit/kernel").numpy()
    assert not np.array_equal(frozen.weights["logit/kernel"], dense)


def test_vectors_as_they_are_drawn_change_nothing():
    plain = train_network("lstm", 4, RECIPE, encoded_reviews(), build=ARCHITECTURES["lstm"])
    nothing = partial(
        build_with_vectors, build=ARCHITECTURES["lstm"], token_ids=IDS[:0], vectors=VECTORS[:0], frozen=False
    )
    same = train_network("lstm", 4, RECIPE, encoded_reviews(), build=nothing)
    for name, weights in plain.weights.items():
        np.testing.assert_array_equal(weights, same.weights[name])
