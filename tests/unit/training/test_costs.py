"""Costs: arithmetic by hand, times and memory that follow what is done."""

import platform
import subprocess
import sys
import time

import numpy as np
import pytest

from tasks.config.recipe import Recipe
from tasks.models.registry import ARCHITECTURES
from tasks.training.costs import flops, forget_peak_memory, latency, peak_memory_mb, training_flops
from tests.conftest import ROOT

RECIPE = Recipe(vocabulary_size=11, max_tokens=7, embedding_size=5, units=3)
# Two for a multiplication and an addition, times the inputs and the units, times 4 gates of an LSTM:
# first layer 2·4·(5·3 + 3·3) = 192, each further one 2·4·(3·3 + 3·3) = 144;
# a GRU has 3 gates of the 4; head 2·(mean and maximum)·3.
BY_HAND = {
    "simple_rnn": (2 * (5 * 3 + 3 * 3), 12), "gru": (192 * 3 / 4, 12), "lstm": (192, 12),
    "stacked_lstm": (192 + 144, 12), "bidirectional_lstm": (2 * 192, 24), "deep_lstm": (192 + 144 + 144, 12),
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_operations_by_hand(name):
    assert flops(ARCHITECTURES[name](RECIPE)) == BY_HAND[name]


def test_a_training_counts_three_passes_and_the_validation_one():
    model = ARCHITECTURES["lstm"](RECIPE)
    # 2 epochs · (3 · (192 · 100 + 12 · 10) + 192 · 50)
    found = training_flops(model, train_words=100, checked_words=50, reviews=10, epochs=2)
    assert found == 2 * (3 * (192 * 100 + 12 * 10) + 192 * 50)


def test_a_layer_that_is_not_known_makes_the_count_unknown():
    import keras

    model = keras.Sequential([keras.Input((7, 5)), keras.layers.GRU(3)])
    assert np.isnan(flops(model)).all()


def test_latency_is_of_one_review_and_of_a_batch():
    asked = []

    def answer(rows):
        asked.append(len(rows))
        time.sleep(0.002 if len(rows) == 1 else 0.02)

    found = latency(answer, 300)
    assert 2 <= found["latency_ms"] < 20
    assert 20 / 256 <= found["batch_ms"] < 10 * 20 / 256
    assert set(asked) == {1, 256}


def test_fewer_reviews_than_a_batch():
    asked = []
    assert latency(lambda rows: asked.append(rows.max()), 3)["batch_ms"] >= 0
    assert max(asked) == 2


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory in its own way")
def test_what_was_freed_does_not_count_as_memory_of_what_comes_next():
    script = """
from tasks.training.costs import forget_peak_memory, peak_memory_mb
from tasks.training.runtime import keep_memory
keep_memory()
low = peak_memory_mb()
held = [b"1" * 1_000_000 for _ in range(300)]
del held
forget_peak_memory()
print(low, peak_memory_mb())
"""
    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    low, since = map(float, said.stdout.split())
    assert since < low + 50


def test_peak_memory_is_of_what_came_since():
    held = np.ones(30_000_000)
    high = peak_memory_mb()
    assert high > held.nbytes / 1e6
    del held
    forget_peak_memory()
    assert peak_memory_mb() < high - 150
