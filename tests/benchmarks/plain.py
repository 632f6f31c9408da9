"""Train the five networks with plain Keras, one after the other in one process, as a user would write it.

    python tests/benchmarks/plain.py rows.npz plain.json --max-tokens 200 --epochs 2

Layers, `fit` and the number of threads are the defaults of Keras and TensorFlow, and every review is padded to the same
length. The rows are encoded already: reading and encoding texts costs this script nothing, unlike the flow. The JSON
file contains, by architecture, the seconds of `fit`, the training reviews per second and the test accuracy. The
duration of the process is measured by its caller.
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
    "stacked_lstm": lambda units, dropout: [*sequence_layers(units, dropout), layers.LSTM(units)],
    "bidirectional_lstm": lambda units, _: [layers.Bidirectional(layers.LSTM(units))],
    "deep_lstm": lambda units, dropout: [
        *sequence_layers(units, dropout),
        *sequence_layers(units, dropout),
        layers.LSTM(units),
    ],
}


def sequence_layers(units: int, dropout: float) -> list[layers.Layer]:
    """Return an LSTM that returns all its states, for another layer on top of it."""
    return [layers.LSTM(units, return_sequences=True), layers.Dropout(dropout)]


def build_model(architecture: str, asked: argparse.Namespace) -> keras.Model:
    """Build and compile one architecture."""
    model = keras.Sequential(
        [
            layers.Embedding(asked.vocabulary_size, asked.embedding_size),
            layers.SpatialDropout1D(asked.dropout),
            *ARCHITECTURES[architecture](asked.units, asked.layer_dropout),
            layers.Dropout(asked.dropout),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(asked.learning_rate), loss="binary_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    """Train, evaluate and predict with every architecture, and write the measurements."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("rows", type=Path, help="for each split: tokens, ends (of the reviews in them) and labels")
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
    found: dict[str, dict[str, float]] = {"seconds": {}, "reviews_per_second": {}, "accuracy": {}}
    for architecture in ARCHITECTURES:
        network = build_model(architecture, asked)
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
        found["reviews_per_second"][architecture] = len(words["train"]) * asked.epochs / seconds
        found["accuracy"][architecture] = accuracy
    asked.output.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
