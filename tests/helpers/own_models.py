"""User-defined architectures, valid and invalid: `--architectures lstm,tests.helpers.own_models:gru`."""

import keras

from tasks.config.recipe import Recipe


def _embedded(recipe: Recipe) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    words = keras.Input((None,), dtype="int32")
    return words, keras.layers.Embedding(recipe.vocabulary_size, recipe.embedding_size, mask_zero=True)(words)


def gru(recipe: Recipe) -> keras.Model:
    """Build a gated recurrent unit (Cho et al. 2014); its last state decides."""
    words, vectors = _embedded(recipe)
    state = keras.layers.GRU(recipe.units)(vectors)
    return keras.Model(words, keras.layers.Dense(1)(keras.layers.Dropout(recipe.dropout)(state)))


def attention_lstm(recipe: Recipe) -> keras.Model:
    """Build an LSTM whose states are averaged by weights that it learns (Yang et al. 2016)."""
    words, vectors = _embedded(recipe)
    states = keras.layers.LSTM(recipe.units, return_sequences=True)(vectors)
    scores = keras.layers.Dense(1)(keras.layers.Dense(recipe.units, activation="tanh")(states))
    padding = keras.ops.expand_dims(keras.ops.cast(words == 0, "float32"), -1)
    weights = keras.ops.softmax(scores - 1e9 * padding, axis=1)
    return keras.Model(words, keras.layers.Dense(1)(keras.ops.sum(weights * states, axis=1)))


def cnn(recipe: Recipe) -> keras.Model:
    """Build a convolution over five words, and the maximum over the review (Kim 2014)."""
    words = keras.Input((None,), dtype="int32")
    vectors = keras.layers.Embedding(recipe.vocabulary_size, recipe.embedding_size)(words)
    found = keras.layers.Conv1D(recipe.units, 5, padding="same", activation="relu")(vectors)
    pooled = keras.layers.GlobalMaxPooling1D()(found)
    return keras.Model(words, keras.layers.Dense(1)(keras.layers.Dropout(recipe.dropout)(pooled)))


def two_answers(recipe: Recipe) -> keras.Model:
    """Build a model of two outputs, which is wrong."""
    words, vectors = _embedded(recipe)
    return keras.Model(words, keras.layers.Dense(2)(keras.layers.GRU(recipe.units)(vectors)))


def breaks(recipe: Recipe) -> keras.Model:
    """Raise an error."""
    return keras.layers.LSTM(recipe.no_such_field)


def no_model(recipe: Recipe) -> int:
    """Give what is no model."""
    return recipe.units


def forgotten_layer(recipe: Recipe) -> keras.Model:
    """Build a model with weights that no answer depends on."""
    words, vectors = _embedded(recipe)
    states = keras.layers.GRU(recipe.units)(vectors)
    return keras.Model(words, keras.layers.Dense(1)(states) + 0 * keras.layers.Dense(1)(states))
