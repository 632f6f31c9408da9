"""The architectures: one builder each, all with the same embedding, units, head and regularisation.

A model reads (reviews, width) integers, 0 = padding on the left, 1 = unknown word, and gives one logit
a review, (reviews, 1) float32. The width may differ from call to call, and padding never changes a logit.
Between the layers time runs along the first axis: that saves the recurrent loops a copy of every step.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from tasks.config.recipe import Recipe

if TYPE_CHECKING:
    import keras


def simple_rnn(recipe: Recipe) -> keras.Model:
    """Build one plain recurrent layer (Elman 1990)."""
    from tasks.models.layers import Recurrent

    words, sequence, present = _reader(recipe)
    return _classifier(words, Recurrent(recipe.units)(sequence, present), present, recipe)


def gru(recipe: Recipe) -> keras.Model:
    """Build one layer of gated recurrent units (Cho et al. 2014)."""
    from tasks.models.layers import GatedRecurrentUnit

    words, sequence, present = _reader(recipe)
    return _classifier(words, GatedRecurrentUnit(recipe.units)(sequence, present), present, recipe)


def lstm(recipe: Recipe) -> keras.Model:
    """Build one LSTM layer (Hochreiter and Schmidhuber 1997)."""
    return _lstm_layers(recipe, count=1)


def stacked_lstm(recipe: Recipe) -> keras.Model:
    """Build two LSTM layers with dropout between them."""
    return _lstm_layers(recipe, count=2)


def bidirectional_lstm(recipe: Recipe) -> keras.Model:
    """Build two LSTM layers side by side, one reading from the end (Graves and Schmidhuber 2005)."""
    import keras

    from tasks.models.layers import LongShortTermMemory

    words, sequence, present = _reader(recipe)
    both = [LongShortTermMemory(recipe.units, backwards=backwards)(sequence, present) for backwards in (False, True)]
    return _classifier(words, keras.layers.Concatenate()(both), present, recipe)


def deep_lstm(recipe: Recipe) -> keras.Model:
    """Build three LSTM layers with dropout between them."""
    return _lstm_layers(recipe, count=3)


ARCHITECTURES: dict[str, Callable[[Recipe], keras.Model]] = {
    "simple_rnn": simple_rnn,
    "gru": gru,
    "lstm": lstm,
    "stacked_lstm": stacked_lstm,
    "bidirectional_lstm": bidirectional_lstm,
    "deep_lstm": deep_lstm,
}


class Own:
    """A builder in a module of the user's own, imported when it is called: asking for its code loads nothing."""

    __qualname__: str

    def __init__(self, name: str) -> None:
        """Keep where it stands, as of any function."""
        self.__module__, _, self.__qualname__ = name.partition(":")

    def __call__(self, recipe: Recipe) -> keras.Model:
        """Build the model."""
        return getattr(import_module(self.__module__), self.__qualname__)(recipe)


def builder(name: str) -> Callable[[Recipe], keras.Model]:
    """Find what builds an architecture: a name in `ARCHITECTURES`, or `module:function` of the user's own."""
    return ARCHITECTURES[name] if name in ARCHITECTURES else Own(name)


def _lstm_layers(recipe: Recipe, count: int) -> keras.Model:
    """Build `count` LSTM layers, each reading the states of the one before."""
    from tasks.models.layers import LongShortTermMemory

    words, sequence, present = _reader(recipe)
    for layer in range(count):
        if layer > 0:
            sequence = _channel_dropout(recipe.layer_dropout, recipe.units)(sequence)
        sequence = LongShortTermMemory(recipe.units)(sequence, present)
    return _classifier(words, sequence, present, recipe)


def _reader(recipe: Recipe) -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]:
    """Start a model: its input, the vectors (time, reviews, embedding) and where a word is (time, reviews)."""
    import keras

    words = keras.Input((None,), dtype="int32", name="words")
    over_time = keras.ops.transpose(words)
    present = keras.ops.cast(over_time > 0, "float32")
    vectors = keras.layers.Embedding(recipe.vocabulary_size, recipe.embedding_size)(over_time)
    return words, _channel_dropout(recipe.dropout, recipe.embedding_size)(vectors), present


def _channel_dropout(rate: float, channels: int) -> keras.layers.Layer:
    """Drop whole channels, the same at every step of a review (Gal and Ghahramani 2016; Tompson et al. 2015)."""
    import keras

    return keras.layers.Dropout(rate, noise_shape=(1, None, channels))


def _classifier(
    words: keras.KerasTensor, states: keras.KerasTensor, present: keras.KerasTensor, recipe: Recipe
) -> keras.Model:
    """End a model: the mean and the maximum of the states over a review's words, then one logit."""
    import keras

    from tasks.models.layers import MeanAndMaximum

    pooled = keras.layers.Dropout(recipe.dropout)(MeanAndMaximum()(states, present))
    return keras.Model(words, keras.layers.Dense(1, name="logit")(pooled))
