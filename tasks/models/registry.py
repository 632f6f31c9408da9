"""Registry of architectures: one builder each, all with the same embedding, units, classifier and regularization.

A model reads (reviews, width) int32 token ids, 0 = padding on the right, 1 = unknown token. It returns float32 logits:
(reviews, 1) of class 1 for two classes, otherwise (reviews, classes). The width may differ from call to call, and
padding never changes a logit. Between the layers, sequences are time-major, which saves the recurrent loops a copy of
each step. On a GPU, the recurrent layers are those of Keras (`tasks.models.keras_layers`); they have the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from tasks.config.recipe import Recipe
from tasks.models.gpus import on_gpu

if TYPE_CHECKING:
    import keras

# Names of the layers. The weights are stored under these names, so they must never change.
SIMPLE_RNN_NAME, GRU_NAME, LSTM_NAME = "recurrent", "gated_recurrent_unit", "long_short_term_memory"
ATTENTION_NAME, CONVOLUTION_NAME = "attention", "convolution"
FILTER_WIDTHS = (3, 4, 5)  # tokens that a filter of the CNN reads, as in Kim 2014


def simple_rnn(recipe: Recipe, classes: int = 2) -> keras.Model:
    """Build one simple recurrent layer (Elman 1990)."""
    from tasks.models.keras_layers import KerasSimpleRNN
    from tasks.models.layers import FastSimpleRNN

    token_ids, sequence, mask = _embedding(recipe)
    states = _for_device(FastSimpleRNN, KerasSimpleRNN)(recipe.units, name=SIMPLE_RNN_NAME)(sequence, mask)
    return _classifier(token_ids, states, mask, recipe, classes)


def gru(recipe: Recipe, classes: int = 2) -> keras.Model:
    """Build one layer of gated recurrent units (Cho et al. 2014)."""
    token_ids, sequence, mask = _embedding(recipe)
    return _classifier(token_ids, _gru(recipe, 0)(sequence, mask), mask, recipe, classes)


def lstm(recipe: Recipe, classes: int = 2) -> keras.Model:
    """Build one LSTM layer (Hochreiter and Schmidhuber 1997)."""
    return _stacked_lstms(recipe, classes, layers=1)


def stacked_lstm(recipe: Recipe, classes: int = 2) -> keras.Model:
    """Build two LSTM layers with dropout between them."""
    return _stacked_lstms(recipe, classes, layers=2)


def bidirectional_lstm(recipe: Recipe, classes: int = 2) -> keras.Model:
    """Build two LSTM layers that read in opposite directions (Graves and Schmidhuber 2005)."""
    return _both_directions(recipe, classes, _lstm)


def bidirectional_gru(recipe: Recipe, classes: int = 2) -> keras.Model:
    """Build two layers of gated recurrent units that read in opposite directions (Schuster and Paliwal 1997)."""
    return _both_directions(recipe, classes, _gru)


def lstm_attention(recipe: Recipe, classes: int = 2) -> keras.Model:
    """Build one LSTM layer whose states are averaged with learned weights (Yang et al. 2016)."""
    from tasks.models.portable_layers import AttentionPooling

    token_ids, sequence, mask = _embedding(recipe)
    pooled = AttentionPooling(name=ATTENTION_NAME)(_lstm(recipe, 0)(sequence, mask), mask)
    return _model(token_ids, pooled, recipe, classes)


def cnn(recipe: Recipe, classes: int = 2) -> keras.Model:
    """Build one convolution with filters of several widths and their maxima over time (Kim 2014)."""
    import keras

    from tasks.models.portable_layers import MaxConvolution

    token_ids, sequence, mask = _embedding(recipe)
    maxima = [
        MaxConvolution(recipe.units, width, name=f"{CONVOLUTION_NAME}{width}")(sequence, mask)
        for width in FILTER_WIDTHS
    ]
    return _model(token_ids, keras.layers.Concatenate()(maxima), recipe, classes)


def deep_lstm(recipe: Recipe, classes: int = 2) -> keras.Model:
    """Build three LSTM layers with dropout between them."""
    return _stacked_lstms(recipe, classes, layers=3)


ARCHITECTURES: dict[str, Callable[..., keras.Model]] = {
    "simple_rnn": simple_rnn,
    "cnn": cnn,
    "gru": gru,
    "lstm": lstm,
    "lstm_attention": lstm_attention,
    "bidirectional_gru": bidirectional_gru,
    "stacked_lstm": stacked_lstm,
    "bidirectional_lstm": bidirectional_lstm,
    "deep_lstm": deep_lstm,
}


class UserArchitecture:
    """Builder of a user-defined architecture.

    It has the module and qualified name of the user's function, so that the function's code can be fingerprinted
    without importing the module. The module is imported when the model is built.
    """

    __qualname__: str

    def __init__(self, name: str) -> None:
        """Create the builder of `module:function`."""
        self.__module__, _, self.__qualname__ = name.partition(":")

    def __call__(self, recipe: Recipe, classes: int = 2) -> keras.Model:
        """Build the model. The user's function gets the number of classes only if there are more than two."""
        function = getattr(import_module(self.__module__), self.__qualname__)
        return function(recipe) if classes == 2 else function(recipe, classes)


def builder(name: str) -> Callable[..., keras.Model]:
    """Return the builder (recipe, classes) of an architecture: a name in `ARCHITECTURES`, or `module:function`."""
    return ARCHITECTURES[name] if name in ARCHITECTURES else UserArchitecture(name)


def _stacked_lstms(recipe: Recipe, classes: int, layers: int) -> keras.Model:
    """Build LSTM layers, each of which reads the states of the one before."""
    token_ids, sequence, mask = _embedding(recipe)
    for number in range(layers):
        if number > 0:
            sequence = _channel_dropout(recipe.layer_dropout, recipe.units)(sequence)
        sequence = _lstm(recipe, number)(sequence, mask)
    return _classifier(token_ids, sequence, mask, recipe, classes)


def _both_directions(recipe: Recipe, classes: int, layer: Callable[..., keras.layers.Layer]) -> keras.Model:
    """Build two recurrent layers, `_lstm` or `_gru`, that read in opposite directions."""
    import keras

    token_ids, sequence, mask = _embedding(recipe)
    states = [layer(recipe, number, go_backwards=bool(number))(sequence, mask) for number in range(2)]
    return _classifier(token_ids, keras.layers.Concatenate()(states), mask, recipe, classes)


def _gru(recipe: Recipe, number: int, go_backwards: bool = False) -> keras.layers.Layer:
    """Return the layer of gated recurrent units of a number, counted from 0."""
    from tasks.models.keras_layers import KerasGRU
    from tasks.models.layers import FastGRU

    name = f"{GRU_NAME}_{number}" if number else GRU_NAME
    return _for_device(FastGRU, KerasGRU)(recipe.units, go_backwards=go_backwards, name=name)


def _lstm(recipe: Recipe, number: int, go_backwards: bool = False) -> keras.layers.Layer:
    """Return the LSTM layer of a number, counted from 0."""
    from tasks.models.keras_layers import KerasLSTM
    from tasks.models.layers import FastLSTM

    name = f"{LSTM_NAME}_{number}" if number else LSTM_NAME
    return _for_device(FastLSTM, KerasLSTM)(recipe.units, go_backwards=go_backwards, name=name)


def _for_device(fast: type[keras.layers.Layer], keras_layer: type[keras.layers.Layer]) -> type[keras.layers.Layer]:
    """Return the layer of Keras if this process trains on a GPU, on which compiled loops cannot run."""
    return keras_layer if on_gpu() else fast


def _embedding(recipe: Recipe) -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]:
    """Return the first tensors of a model.

    Returns:
        Token ids (reviews, width) int32; embedded tokens (width, reviews, embedding size) float32 with channel dropout;
        and the mask (width, reviews) float32, 1 at a token and 0 at padding.
    """
    import keras

    token_ids = keras.Input((None,), dtype="int32", name="words")
    time_major = keras.ops.transpose(token_ids)
    mask = keras.ops.cast(time_major > 0, "float32")
    vectors = keras.layers.Embedding(recipe.vocabulary_size, recipe.embedding_size)(time_major)
    return token_ids, _channel_dropout(recipe.dropout, recipe.embedding_size)(vectors), mask


def _channel_dropout(rate: float, channels: int) -> keras.layers.Layer:
    """Return a dropout of whole channels, the same at each step (Gal and Ghahramani 2016; Tompson et al. 2015)."""
    import keras

    return keras.layers.Dropout(rate, noise_shape=(1, None, channels))


def _classifier(
    token_ids: keras.KerasTensor, states: keras.KerasTensor, mask: keras.KerasTensor, recipe: Recipe, classes: int
) -> keras.Model:
    """Return the model that maps mean and maximum of the states over the tokens of a review to its logits."""
    from tasks.models.keras_layers import KerasMeanMaxPooling
    from tasks.models.layers import FastMeanMaxPooling

    pooled = _for_device(FastMeanMaxPooling, KerasMeanMaxPooling)()(states, mask)
    return _model(token_ids, pooled, recipe, classes)


def _model(token_ids: keras.KerasTensor, pooled: keras.KerasTensor, recipe: Recipe, classes: int) -> keras.Model:
    """Return the model that maps the pooled features of a review, (reviews, features), to its logits."""
    import keras

    pooled = keras.layers.Dropout(recipe.dropout)(pooled)
    return keras.Model(token_ids, keras.layers.Dense(output_width(classes), name="logit")(pooled))


def output_width(classes: int) -> int:
    """Return the number of logits of a model."""
    return 1 if classes == 2 else classes
