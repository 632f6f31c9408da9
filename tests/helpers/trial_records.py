"""Records of trials for tests."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tasks.storage.trial_records import TrainedTrial, TrainingFacts, TrialResult

FACTS = {
    "architecture": "lstm", "seed": 0, "status": "finished", "parameters": 3, "epochs": 1, "best_epoch": 1,
    "train_seconds": 1.0, "train_reviews": 8,
}  # fmt: skip


def make_facts(**facts: Any) -> TrainingFacts:
    """Return facts of a training; those that are not given have some valid value."""
    return TrainingFacts(**FACTS | facts)


def make_result(**facts: Any) -> TrialResult:
    """Return a result of a trial; fields that are not given have some valid value."""
    return TrialResult(**FACTS | {"weights": "x.safetensors", "weights_sha256": "0" * 64} | facts)


def make_trial(
    history: pd.DataFrame | None = None,
    predictions: pd.DataFrame | None = None,
    weights: Mapping[str, np.ndarray] | None = None,
    **facts: Any,
) -> TrainedTrial:
    """Return a small trained trial; what is not given has some valid value."""
    known = make_facts(**facts)
    rows = {"architecture": [known.architecture], "seed": [known.seed], "split": ["validation"]}
    if history is None:
        history = pd.DataFrame({**rows, "epoch": [1], "loss": [0.5], "accuracy": [1.0]})
    if predictions is None:
        predictions = pd.DataFrame({**rows, "review_id": ["a"], "label": [1], "probability": [0.5]})
    return TrainedTrial(history, predictions, weights or {"w": np.ones(3, np.float32)}, known)
