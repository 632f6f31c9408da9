"""The script that a user would write: plain Keras, five trainings one after the other in one process.

    python tests/benchmarks/plain.py rows.npz plain.json --max-tokens 200 --epochs 2

Everything is as Keras has it: its layers, its `fit`, all threads that TensorFlow likes, every review padded to the
same length. The rows come encoded, so reading and encoding texts, which the other side of the benchmark does
itself, costs this script nothing. The JSON file holds for each architecture the seconds of `fit`, training reviews a
second and the accuracy on the test reviews; how long the process takes is for whoever starts it to measure.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers

ARCHITECTURES: dict[str, Callable[[int, float], list[layers.Layer]]] = {
    "simple_rnn": lambda units, _: [layers.SimpleRNN(units)],
    "lstm": lambda units, _: [layers.LSTM(units)],
    "stacked_lstm": lambda units, dropout: [*passing_on(units, dropout), layers.LSTM(units)],
    "bidirectional_lstm": lambda units, _: [layers.Bidirectional(layers.LSTM(units))],
    "deep_lstm": lambda units, dropout: [
        *passing_on(units, dropout),
        *passing_on(units, dropout),
        layers.LSTM(units),
    ],
}


def passing_on(units: int, dropout: float) -> list[layers.Layer]:
    """Make a layer for another one to stand on."""
    return [layers.LSTM(units, return_sequences=True), layers.Dropout(dropout)]


def model(architecture: str, asked: argparse.Namespace) -> keras.Model:
    """Build and compile one architecture."""
    made = keras.Sequential(
        [
            layers.Embedding(asked.vocabulary_size, asked.embedding_size),
            layers.SpatialDropout1D(asked.dropout),
            *ARCHITECTURES[architecture](asked.units, asked.layer_dropout),
            layers.Dropout(asked.dropout),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    made.compile(keras.optimizers.Adam(asked.learning_rate), loss="binary_crossentropy", metrics=["accuracy"])
    return made


def main() -> None:
    """Train, evaluate and predict with every architecture, and write what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("rows", type=Path, help="of each split: tokens, ends (of the reviews in them) and labels")
    parser.add_argument("output", type=Path)
    for name, default in {
        "max_tokens": 200, "epochs": 2, "batch_size": 64, "vocabulary_size": 10_000, "embedding_size": 64, "units": 64,
        "dropout": 0.4, "layer_dropout": 0.2, "learning_rate": 0.005,
    }.items():  # fmt: skip
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    asked = parser.parse_args()

    rows = np.load(asked.rows)
    words, labels = {}, {}
    for split in ("train", "validation", "test"):
        reviews = np.split(rows[f"{split}_tokens"], rows[f"{split}_ends"][:-1])
        words[split] = keras.utils.pad_sequences(reviews, maxlen=asked.max_tokens)
        labels[split] = rows[f"{split}_labels"]

    keras.utils.set_random_seed(0)
    found: dict[str, dict[str, float]] = {"seconds": {}, "samples_a_second": {}, "accuracy": {}}
    for architecture in ARCHITECTURES:
        network = model(architecture, asked)
        start = time.perf_counter()
        network.fit(
            words["train"],
            labels["train"],
            batch_size=asked.batch_size,
            epochs=asked.epochs,
            validation_data=(words["validation"], labels["validation"]),
            verbose=2,
        )
        seconds = time.perf_counter() - start
        _, accuracy = network.evaluate(words["test"], labels["test"], batch_size=asked.batch_size, verbose=2)
        network.predict(words["test"], batch_size=asked.batch_size, verbose=2)
        found["seconds"][architecture] = seconds
        found["samples_a_second"][architecture] = len(words["train"]) * asked.epochs / seconds
        found["accuracy"][architecture] = accuracy
    asked.output.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
