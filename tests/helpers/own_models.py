"""User-defined architectures, valid and invalid: `--architectures lstm,tests.helpers.own_models:gru`."""

import keras

from tasks.config.recipe import Recipe


def _embedded(recipe: Recipe) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    token_ids = keras.Input((None,), dtype="int32")
    return token_ids, keras.layers.Embedding(recipe.vocabulary_size, recipe.embedding_size, mask_zero=True)(token_ids)


def gru(recipe: Recipe) -> keras.Model:
    """Return a gated recurrent unit with a dense layer on its last state (Cho et al. 2014)."""
    token_ids, vectors = _embedded(recipe)
    state = keras.layers.GRU(recipe.units)(vectors)
    return keras.Model(token_ids, keras.layers.Dense(1)(keras.layers.Dropout(recipe.dropout)(state)))


def any_classes(recipe: Recipe, classes: int = 2) -> keras.Model:
    """Return a gated recurrent unit with one logit for two classes, otherwise one for each class."""
    token_ids, vectors = _embedded(recipe)
    width = 1 if classes == 2 else classes
    return keras.Model(token_ids, keras.layers.Dense(width)(keras.layers.GRU(recipe.units)(vectors)))


def attention_lstm(recipe: Recipe) -> keras.Model:
    """Return an LSTM with attention over its states (Yang et al. 2016)."""
    token_ids, vectors = _embedded(recipe)
    states = keras.layers.LSTM(recipe.units, return_sequences=True)(vectors)
    scores = keras.layers.Dense(1)(keras.layers.Dense(recipe.units, activation="tanh")(states))
    padding = keras.ops.expand_dims(keras.ops.cast(token_ids == 0, "float32"), -1)
    weights = keras.ops.softmax(scores - 1e9 * padding, axis=1)
    return keras.Model(token_ids, keras.layers.Dense(1)(keras.ops.sum(weights * states, axis=1)))


def cnn(recipe: Recipe) -> keras.Model:
    """Return a convolution over five tokens with maximum pooling (Kim 2014)."""
    token_ids = keras.Input((None,), dtype="int32")
    vectors = keras.layers.Embedding(recipe.vocabulary_size, recipe.embedding_size)(token_ids)
    found = keras.layers.Conv1D(recipe.units, 5, padding="same", activation="relu")(vectors)
    pooled = keras.layers.GlobalMaxPooling1D()(found)
    return keras.Model(token_ids, keras.layers.Dense(1)(keras.layers.Dropout(recipe.dropout)(pooled)))


def two_answers(recipe: Recipe) -> keras.Model:
    """Return a model with two outputs, which is invalid."""
    token_ids, vectors = _embedded(recipe)
    return keras.Model(token_ids, keras.layers.Dense(2)(keras.layers.GRU(recipe.units)(vectors)))


def breaks(recipe: Recipe) -> keras.Model:
    """Raise an error."""
    return keras.layers.LSTM(recipe.no_such_field)


def no_model(recipe: Recipe) -> int:
    """Return an integer instead of a model."""
    return recipe.units


def forgotten_layer(recipe: Recipe) -> keras.Model:
    """Return a model with weights that do not influence its output."""
    token_ids, vectors = _embedded(recipe)
    states = keras.layers.GRU(recipe.units)(vectors)
    return keras.Model(token_ids, keras.layers.Dense(1)(states) + 0 * keras.layers.Dense(1)(states))
