"""The layers for GPUs compute, on the CPU, what the compiled layers compute, with the same weights.

cuDNN itself needs a GPU. Its conditions are checked: TensorFlow is told that there is a GPU, and the graph must contain
its operation, with padding that it accepts.
"""

from importlib import import_module

import numpy as np
import pytest
import tensorflow as tf

from tasks.config.recipe import Recipe
from tasks.models import keras_layers, layers, registry
from tasks.models.registry import ARCHITECTURES
from tasks.storage.trials import canonical_weight_names
from tasks.training.costs import flops
from tasks.training.loop import fit
from tasks.training.prediction import predict
from tests.helpers.encoded_reviews import split_of

TINY = Recipe(vocabulary_size=11, embedding_size=5, units=3, max_tokens=9, batch_size=4, epochs=2)
# One token, all, none, and numbers between.
LENGTHS = {"several": [1, 7, 0, 3, 5], "one token": [1], "full width": [7], "equal": [7, 7]}
LOOPS = {
    "simple_rnn": 0, "cnn": 0, "gru": 1, "lstm": 1, "lstm_attention": 1, "bidirectional_gru": 2, "stacked_lstm": 2,
    "bidirectional_lstm": 2, "deep_lstm": 3,
}  # by cuDNN  # fmt: skip

every_architecture = pytest.mark.parametrize("name", list(ARCHITECTURES))
every_length = pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)


def normal(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def token_ids_of(lengths, width=7):
    token_ids = np.random.default_rng(width).integers(1, TINY.vocabulary_size, (len(lengths), width))
    return np.where(np.arange(width) < np.array(lengths)[:, None], token_ids, 0).astype(np.int32)


@pytest.fixture
def on_gpu(monkeypatch):
    """Return a function that tells the builders whether there is a GPU."""
    return lambda there: monkeypatch.setattr(registry, "on_gpu", lambda: there)


def build_both(name, on_gpu, recipe=TINY):
    """Build the compiled and the Keras model, with the same random weights."""
    built = []
    for there in (False, True):
        on_gpu(there)
        built.append(ARCHITECTURES[name](recipe))
        built[-1].set_weights([normal(*weight.shape) for weight in built[-1].weights])
    return built


@every_length
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_states_and_gradients_are_equal(kind, go_backwards, lengths):
    mask = tf.constant((token_ids_of(lengths).T > 0).astype(np.float32))
    sequence, upstream = tf.constant(normal(7, len(lengths), 5)), normal(7, len(lengths), 3)
    found = []
    for layer_class in (getattr(layers, f"Fast{kind}"), getattr(keras_layers, f"Keras{kind}")):
        layer = layer_class(3, go_backwards=go_backwards)
        layer(sequence, mask)
        layer.set_weights([normal(*weight.shape) for weight in layer.weights])  # biases of zero would hide an exchange
        with tf.GradientTape() as tape:
            tape.watch(sequence)
            states = layer(sequence, mask, training=True) * mask[..., None]
            total = tf.reduce_sum(states * upstream)
        found.append([states, *tape.gradient(total, [sequence, *(weight.value for weight in layer.weights)])])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


@every_length
def test_pooling_and_its_gradient_are_equal(lengths):
    mask = tf.constant((token_ids_of(lengths).T > 0).astype(np.float32))
    states = tf.constant(np.tanh(normal(7, len(lengths), 4)))
    found = []
    for layer in (layers.FastMeanMaxPooling(), keras_layers.KerasMeanMaxPooling()):
        with tf.GradientTape() as tape:
            tape.watch(states)
            pooled = layer(states, mask)
            total = tf.reduce_sum(pooled * (np.array(lengths) > 0)[:, None] * normal(len(lengths), 8))
        found.append([pooled, tape.gradient(total, states)])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


@every_length
@every_architecture
def test_probabilities_and_gradients_of_models_are_equal(name, lengths, on_gpu):
    found = []
    for model in build_both(name, on_gpu):
        with tf.GradientTape() as tape:
            probabilities = tf.sigmoid(model(token_ids_of(lengths)))
            loss = tf.reduce_mean(probabilities)
        gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
        found.append([probabilities, *map(tf.convert_to_tensor, gradients)])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


@every_architecture
def test_weights_have_the_same_names_when_stored(name, on_gpu):
    compiled, other = (canonical_weight_names({w.path: w.shape for w in m.weights}) for m in build_both(name, on_gpu))
    assert compiled == other
    assert len(compiled) == len(ARCHITECTURES[name](TINY).weights)


@every_architecture
def test_costs_are_counted_alike(name, on_gpu):
    compiled, other = build_both(name, on_gpu)
    assert flops(compiled) == flops(other)
    assert compiled.count_params() == other.count_params()


def test_network_is_trained_with_keras_layers(on_gpu):
    on_gpu(True)
    reviews = split_of([[2, 3, 4], [5, 6], [2, 3], [5, 6, 7, 8]] * 10, [1, 0, 1, 0] * 10)
    recipe = TINY.model_copy(update={"epochs": 8, "patience": 8, "learning_rate": 0.05, "dropout": 0.0})
    fitted = fit(ARCHITECTURES["bidirectional_lstm"], recipe, reviews, reviews, seed=0)
    assert fitted.facts.status == "finished"
    assert fitted.facts.train_flops > 0
    assert ((fitted.validation_probabilities > 0.5) == reviews.labels).all()
    again = predict(fitted.model, reviews, max_tokens=recipe.max_tokens)
    np.testing.assert_array_equal(again, fitted.validation_probabilities)


@pytest.fixture
def cudnn_calls(monkeypatch):
    """Make Keras use cuDNN, replace its operation by zeros, and return the list of its calls."""
    rnn = import_module("keras.src.backend.tensorflow.rnn")  # Keras hides the module by a function of its name
    calls = []

    def return_zeros(input, input_h, input_c, **options):
        calls.append(options)
        outputs = tf.repeat(tf.zeros_like(input[:, :, :1]), TINY.units, 2)
        return outputs, input_h, tf.zeros_like(input_h), None, None

    monkeypatch.setattr(rnn, "_is_gpu_available", lambda: True)
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", return_zeros)
    return calls


@every_architecture
def test_layers_meet_the_conditions_of_cudnn(name, on_gpu, cudnn_calls):
    on_gpu(True)
    model = ARCHITECTURES[name](TINY)
    forward = tf.function(lambda token_ids: model(token_ids, training=True), autograph=False)
    assert np.isfinite(forward(token_ids_of(LENGTHS["several"]))).all()
    assert len(cudnn_calls) == LOOPS[name]
    assert all(call["rnn_mode"] == ("gru" if "gru" in name else "lstm") for call in cudnn_calls)


def test_cudnn_would_refuse_padding_on_the_left(on_gpu, cudnn_calls):
    on_gpu(True)
    model = ARCHITECTURES["lstm"](TINY)
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.function(model, autograph=False)(token_ids_of([3, 7])[:, ::-1])
