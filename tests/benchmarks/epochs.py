"""Train with plain Keras or PyTorch until a validation accuracy is reached, at most ten epochs.

    python -m tests.benchmarks.epochs plain|torch rows.npz 200 '{"lstm": 0.87}'

Both sides use all cores, the rows and hyperparameters of `plain.py`, and stop after the first epoch with the accuracy.
The last line is JSON: for each architecture and epoch the seconds since the start, validation included, and the
validation accuracy.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

MAX_EPOCHS = 10
Rows = dict[str, tuple[np.ndarray, np.ndarray]]  # (reviews, tokens) int32, padded on the left, and labels, by split
Epochs = list[tuple[float, float]]  # seconds since the start, validation accuracy


def read_rows(file: Path, tokens: int) -> Rows:
    """Return the training and validation rows, every review padded to the same length."""
    stored, rows = np.load(file), {}
    for split in ("train", "validation"):
        reviews = np.split(stored[f"{split}_tokens"], stored[f"{split}_ends"][:-1])
        padded = np.zeros((len(reviews), tokens), np.int32)
        for row, review in zip(padded, reviews, strict=True):
            row[tokens - len(review) :] = review
        rows[split] = (padded, stored[f"{split}_labels"])
    return rows


def train_plain(architecture: str, rows: Rows, asked: argparse.Namespace, target: float) -> Epochs:
    """Train the model of `plain.py` with `fit`."""
    import keras

    from tests.benchmarks.plain import build_model

    epochs: Epochs = []
    start = time.perf_counter()
    network = build_model(architecture, asked)

    def on_epoch_end(_: int, logs: dict[str, float]) -> None:
        epochs.append((time.perf_counter() - start, logs["val_accuracy"]))
        network.stop_training = logs["val_accuracy"] >= target

    network.fit(
        *rows["train"], batch_size=asked.batch_size, epochs=MAX_EPOCHS, validation_data=rows["validation"], verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end)],
    )  # fmt: skip
    return epochs


def train_torch(architecture: str, rows: Rows, asked: argparse.Namespace, target: float) -> Epochs:
    """Train the model of `peer.py` with bfloat16 autocast."""
    import torch

    from tests.benchmarks.peer import Classifier

    torch.manual_seed(0)
    epochs: Epochs = []
    start = time.perf_counter()
    model = Classifier(architecture, asked)  # type: ignore[arg-type]  # it has the fields of a recipe that are used
    optimizer = torch.optim.Adam(model.parameters(), asked.learning_rate)
    words, labels = (torch.from_numpy(array) for array in rows["train"])
    loss = torch.nn.BCEWithLogitsLoss()
    while len(epochs) < MAX_EPOCHS:
        model.train()
        for batch in torch.randperm(len(labels)).split(asked.batch_size):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(words[batch])
            loss(logits.float(), labels[batch].float()).backward()
            optimizer.step()
        accuracy = _validate(model, rows["validation"])
        epochs.append((time.perf_counter() - start, accuracy))
        if accuracy >= target:
            break
    return epochs


def _validate(model: Any, rows: tuple[np.ndarray, np.ndarray]) -> float:
    import torch

    model.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        positive = torch.cat([model(part) > 0 for part in torch.from_numpy(rows[0]).split(256)]).numpy()
    return float(np.mean(positive == (rows[1] == 1)))


def settings(tokens: int) -> argparse.Namespace:
    """Return the hyperparameters of `plain.py`, with a constant learning rate."""
    return argparse.Namespace(
        max_tokens=tokens, batch_size=64, vocabulary_size=10_000, embedding_size=64, units=64, dropout=0.4,
        layer_dropout=0.2, learning_rate=0.005,
    )  # fmt: skip


def main(side: str, file: str, tokens: str, targets: str) -> None:
    """Train each architecture, and print the last line."""
    train = {"plain": train_plain, "torch": train_torch}[side]
    rows, asked = read_rows(Path(file), int(tokens)), settings(int(tokens))
    found = {name: train(name, rows, asked, target) for name, target in json.loads(targets).items()}
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
