"""Made-up frames that look like a real run's: for tests of figures, reports and evaluation."""

import numpy as np
import pandas as pd

from tasks.evaluation import evaluate

# Skill: how far apart a cell holds the two classes; seconds an epoch; parameters.
CELLS = {
    "simple_rnn": (1.00, 12, 648_385),
    "lstm": (1.15, 31, 673_153),
    "stacked_lstm": (1.13, 55, 706_177),
    "bidirectional_lstm": (1.19, 52, 706_241),
    "deep_lstm": (1.11, 90, 739_201),
}
BASELINES = {"majority": (0.0, 0, 1), "tfidf_logistic": (1.28, 9, 180_001), "nb_svm": (1.36, 6, 910_001)}


def probabilities(labels: np.ndarray, skill: float, rng: np.random.Generator, shared: np.ndarray) -> np.ndarray:
    """Draw probabilities that are right about as often as a normal variable is below `skill`."""
    if skill == 0:
        return np.full(len(labels), 0.5 + 1e-4, dtype=np.float32)
    logits = (2 * labels - 1) * skill + 0.8 * shared + 0.6 * rng.standard_normal(len(labels))
    return (1 / (1 + np.exp(-2.6 * logits))).astype(np.float32)


def frames(reviews: int = 400, seeds: int = 3, epochs: int = 5, baselines: bool = False) -> dict[str, pd.DataFrame]:
    """Make history, predictions, scores and cells of a comparison.

    Args:
        reviews: Rows of each split.
        seeds: Seeds an architecture.
        epochs: Epochs a cell.
        baselines: Whether majority class, TF-IDF and NB-SVM are in it.
    """
    rng = np.random.default_rng(7)
    labels = {split: rng.permutation(np.arange(reviews) % 2).astype(np.int8) for split in ("validation", "test")}
    shared = {split: rng.standard_normal(reviews) for split in labels}
    history, predictions, cells = [], [], []
    for name, (skill, pace, parameters) in {**CELLS, **(BASELINES if baselines else {})}.items():
        for seed in range(1 if name in BASELINES else seeds):
            own = skill + 0.02 * rng.standard_normal() * (skill > 0)
            for split, truth in labels.items():
                chance = probabilities(truth, own, rng, shared[split])
                ids = [f"{split}-{number}" for number in range(reviews)]
                predictions.append(
                    pd.DataFrame(
                        {"architecture": name, "seed": seed, "split": split, "review_id": ids}
                        | {"label": truth, "probability": chance}
                    )
                )
            best = 0 if name in BASELINES else int(rng.integers(2, epochs)) if epochs > 2 else 1
            seconds = (pace or 0.1) * (epochs if best else 1) * rng.uniform(0.95, 1.08)
            cells.append(
                {"architecture": name, "seed": seed, "parameters": parameters, "train_seconds": seconds}
                | {"epochs": epochs if best else 0, "best_epoch": best, "best_seconds": seconds * max(best, 1) / epochs}
                | {"peak_memory_mb": 900 + parameters / 9_000, "weights": f"{name}-seed-{seed}.safetensors"}
                | {"weights_sha256": f"{zlib_like(name, seed):064x}", "status": "finished"}
            )
            for epoch in range(1, epochs + 1) if best else ():
                for split in ("train", "validation"):
                    rise = 0.5 + (0.36 + 0.05 * (skill - 1.1)) * (1 - np.exp(-1.3 * epoch))
                    accuracy = rise + (0.025 * (epoch - 2) if split == "train" else -0.004 * max(epoch - 3, 0))
                    accuracy = float(np.clip(accuracy + 0.008 * rng.standard_normal(), 0.4, 0.995))
                    history.append(
                        {"architecture": name, "seed": seed, "epoch": epoch, "split": split}
                        | {"loss": 1.3 * (1 - accuracy) + 0.15 + (0.05 * epoch if split == "validation" else 0)}
                        | {"accuracy": accuracy, "precision": accuracy + 0.01 * rng.standard_normal()}
                        | {"recall": accuracy + 0.02 * rng.standard_normal(), "seconds": pace * epoch}
                    )
    predicted = pd.concat(predictions, ignore_index=True)
    return {
        "history": pd.DataFrame(history),
        "predictions": predicted,
        "scores": evaluate(predicted),
        "cells": pd.DataFrame(cells),
    }


def zlib_like(name: str, seed: int) -> int:
    """Make a number that stands for a cell's check sum."""
    return sum(ord(letter) * 131**place for place, letter in enumerate(name)) + seed
