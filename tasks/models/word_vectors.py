"""Embeddings that start from word vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from tasks.config.recipe import Recipe

if TYPE_CHECKING:
    import keras


def build_with_vectors(
    recipe: Recipe,
    *,
    build: Callable[[Recipe], keras.Model],
    token_ids: np.ndarray,
    vectors: np.ndarray,
    frozen: bool,
) -> keras.Model:
    """Build a model whose embeddings start from word vectors.

    Tokens without a vector start at random, as without vectors. The random numbers of all weights are the same, too.

    Args:
        recipe: Hyperparameters.
        build: Builds the model.
        token_ids: (words,) integers.
        vectors: (words, embedding size) float32.
        frozen: Whether training leaves the embeddings as they are, also those of tokens without a vector.
    """
    model = build(recipe)
    for layer in embeddings(model, recipe):
        weights = np.array(layer.embeddings.numpy())
        weights[token_ids] = vectors
        layer.embeddings.assign(weights)
        if frozen:
            layer.trainable = False
    return model


def embeddings(model: keras.Model, recipe: Recipe) -> Iterator[keras.layers.Embedding]:
    """Yield the embedding layers of all tokens in a model and the models inside it."""
    import keras

    shape = (recipe.vocabulary_size, recipe.embedding_size)
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from embeddings(layer, recipe)
        elif isinstance(layer, keras.layers.Embedding) and (layer.input_dim, layer.output_dim) == shape:
            yield layer
