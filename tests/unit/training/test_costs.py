"""Costs: floating-point operations counted by hand, latency, and peak memory."""

import os
import platform
import subprocess
import sys
import time

import numpy as np
import pytest

from tasks.config.recipe import Recipe
from tasks.models.registry import ARCHITECTURES
from tasks.training.costs import flops, latency, peak_memory_mb, reset_peak_memory, training_flops
from tests.conftest import ROOT

RECIPE = Recipe(vocabulary_size=11, max_tokens=7, embedding_size=5, units=3)
# Two for a multiplication and an addition, times the inputs and the units, times 4 gates of an LSTM:
# first layer 2·4·(5·3 + 3·3) = 192, each further one 2·4·(3·3 + 3·3) = 144;
# a GRU has 3 gates of the 4; head 2·(mean and maximum)·3. Attention: 2·(3·3 + 3), and its head reads 3 means.
# The CNN has 3 filters of 3, 4 and 5 tokens with 5 channels, and its head reads their 9 maxima.
BY_HAND = {
    "simple_rnn": (2 * (5 * 3 + 3 * 3), 12), "gru": (192 * 3 / 4, 12), "lstm": (192, 12),
    "cnn": (2 * (3 + 4 + 5) * 5 * 3, 18), "lstm_attention": (192 + 2 * (3 * 3 + 3), 6),
    "bidirectional_gru": (2 * 192 * 3 / 4, 24),
    "stacked_lstm": (192 + 144, 12), "bidirectional_lstm": (2 * 192, 24), "deep_lstm": (192 + 144 + 144, 12),
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_flops_match_a_hand_count(name):
    assert flops(ARCHITECTURES[name](RECIPE)) == BY_HAND[name]


def test_training_counts_three_passes_and_validation_one():
    model = ARCHITECTURES["lstm"](RECIPE)
    # 2 epochs · (3 · (192 · 100 + 12 · 10) + 192 · 50)
    found = training_flops(model, train_tokens=100, validation_tokens=50, reviews=10, epochs=2)
    assert found == 2 * (3 * (192 * 100 + 12 * 10) + 192 * 50)


def test_flops_of_unknown_layers_are_nan():
    import keras

    model = keras.Sequential([keras.Input((7, 5)), keras.layers.GRU(3)])
    assert np.isnan(flops(model)).all()


def test_latency_of_one_review_and_of_a_batch():
    sizes = []

    def predict(rows):
        sizes.append(len(rows))
        time.sleep(0.002 if len(rows) == 1 else 0.02)

    found = latency(predict, 300)
    assert 2 <= found.latency_ms < 20
    assert found.latency_q1_ms <= found.latency_ms <= found.latency_q3_ms
    assert 20 / 256 <= found.batch_ms < 10 * 20 / 256
    assert set(sizes) == {1, 256}


def test_latency_with_fewer_reviews_than_a_batch():
    largest = []
    assert latency(lambda rows: largest.append(rows.max()), 3).batch_ms >= 0
    assert max(largest) == 2


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="configures glibc")
def test_freed_memory_does_not_count_for_the_next_trial():
    program = ROOT / "tests/helpers/programs/peak_memory.py"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=True)
    low, since = map(float, done.stdout.split())
    assert since < low + 50


def test_peak_memory_is_measured_since_the_reset():
    held = np.ones(30_000_000)
    high = peak_memory_mb()
    assert high > held.nbytes / 1e6
    del held
    reset_peak_memory()
    assert peak_memory_mb() < high - 150
