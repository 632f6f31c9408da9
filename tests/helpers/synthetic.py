"""Synthetic tables of a run, for tests of figures, reports and the evaluation."""

import functools
import itertools
from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd

from tasks.evaluation.calibration import calibrate
from tasks.evaluation.error_analysis import assign_slices, confident_errors, disagreement_matrix, score_slices
from tasks.evaluation.metrics import METRICS
from tasks.evaluation.predictions import predictions_of_split
from tasks.evaluation.reliability import reliability_table
from tasks.evaluation.scores import classification_reports, confusion_matrices, score_trials
from tasks.nightly.trend import TREND_COLUMNS
from tasks.statistics.comparison import compare
from tasks.statistics.options import ComparisonOptions


class SyntheticModel(NamedTuple):
    """A made-up model.

    Attributes:
        skill: Quantile of the normal distribution whose probability is about the accuracy; 0 for a constant prediction.
        epoch_seconds: Seconds per epoch.
        parameters: Number of parameters.
    """

    skill: float
    epoch_seconds: int
    parameters: int


TRIALS = {
    "simple_rnn": SyntheticModel(1.00, 12, 648_385),
    "lstm": SyntheticModel(1.15, 31, 673_153),
    "stacked_lstm": SyntheticModel(1.13, 55, 706_177),
    "bidirectional_lstm": SyntheticModel(1.19, 52, 706_241),
    "deep_lstm": SyntheticModel(1.11, 90, 739_201),
}
BASELINES = {
    "majority": SyntheticModel(0.0, 0, 1),
    "tfidf_logistic": SyntheticModel(1.28, 9, 180_001),
    "nb_svm": SyntheticModel(1.36, 6, 910_001),
}


def make_probabilities(
    labels: np.ndarray, skill: float, rng: np.random.Generator, difficulty: np.ndarray
) -> np.ndarray:
    """Draw probabilities of class 1, (reviews,) float32, of a model with a skill."""
    if skill == 0:
        return np.full(len(labels), 0.5 + 1e-4, dtype=np.float32)
    logits = (2 * labels - 1) * skill + 0.8 * difficulty + 0.6 * rng.standard_normal(len(labels))
    return (1 / (1 + np.exp(-2.6 * logits))).astype(np.float32)


def make_frames(
    reviews: int = 400, seeds: int = 3, epochs: int = 5, baselines: bool = False
) -> dict[str, pd.DataFrame]:
    """Make the tables history, predictions, scores and trials of a comparison.

    Args:
        reviews: Number of reviews of each split.
        seeds: Number of seeds of each architecture.
        epochs: Number of epochs of each network.
        baselines: Whether to include the baselines.
    """
    return {name: frame.copy() for name, frame in _cached_frames(reviews, seeds, epochs, baselines).items()}


@functools.cache
def _cached_frames(reviews: int, seeds: int, epochs: int, baselines: bool) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(7)
    labels = {split: rng.permutation(np.arange(reviews) % 2).astype(np.int8) for split in ("validation", "test")}
    difficulty = {split: rng.standard_normal(reviews) for split in labels}
    history, predictions, trials = [], [], []
    for name, model in {**TRIALS, **(BASELINES if baselines else {})}.items():
        for seed in range(1 if name in BASELINES else seeds):
            skill = model.skill + 0.02 * rng.standard_normal() * (model.skill > 0)
            for split in labels:
                probabilities = make_probabilities(labels[split], skill, rng, difficulty[split])
                predictions.append(_prediction_table(name, seed, split, labels[split], probabilities))
            best_epoch = 0 if name in BASELINES else int(rng.integers(2, epochs)) if epochs > 2 else 1
            trials.append(_trial_row(name, seed, model, epochs if best_epoch else 0, best_epoch, reviews, epochs, rng))
            history += _history_rows(name, seed, model, epochs if best_epoch else 0, rng)
    table = pd.concat(predictions, ignore_index=True)
    scores = score_trials(table)
    return {"history": pd.DataFrame(history), "predictions": table, "scores": scores, "trials": pd.DataFrame(trials)}


def _prediction_table(name: str, seed: int, split: str, labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    ids = [f"{split}-{number}" for number in range(len(labels))]
    columns = {"architecture": name, "seed": seed, "split": split, "review_id": ids}
    return pd.DataFrame(columns | {"label": labels, "probability": probabilities})


def _trial_row(
    name: str, seed: int, model: SyntheticModel, trained: int, best: int, reviews: int, epochs: int,
    rng: np.random.Generator,
) -> dict[str, object]:  # fmt: skip
    """Make the row of a trial of `trained` epochs, of which `best` is the best one; both are 0 for a baseline."""
    seconds = (model.epoch_seconds or 0.1) * max(trained, 1) * rng.uniform(0.95, 1.08)
    return {
        "architecture": name, "seed": seed, "parameters": model.parameters, "train_seconds": seconds,
        "epochs": trained, "best_epoch": best, "best_seconds": seconds * max(best, 1) / epochs,
        "peak_memory_mb": 900 + model.parameters / 9_000, "weights": f"{name}-seed-{seed}.safetensors",
        "latency_ms": 0.02 * model.epoch_seconds + 0.3, "batch_ms": 0.004 * model.epoch_seconds + 0.05,
        "train_flops": 2e6 * model.parameters if best else np.nan,
        "train_fraction": 1.0, "train_reviews": reviews,
        "weights_sha256": f"{fake_checksum(name, seed):064x}", "status": "finished",
    }  # fmt: skip


def _history_rows(
    name: str, seed: int, model: SyntheticModel, epochs: int, rng: np.random.Generator
) -> list[dict[str, object]]:
    """Make the rows of the history of a trial: accuracy rises, and the validation loss rises again."""
    rows = []
    for epoch, split in itertools.product(range(1, epochs + 1), ("train", "validation")):
        rise = 0.5 + (0.36 + 0.05 * (model.skill - 1.1)) * (1 - np.exp(-1.3 * epoch))
        accuracy = rise + (0.025 * (epoch - 2) if split == "train" else -0.004 * max(epoch - 3, 0))
        accuracy = float(np.clip(accuracy + 0.008 * rng.standard_normal(), 0.4, 0.995))
        loss = 1.3 * (1 - accuracy) + 0.15 + (0.05 * epoch if split == "validation" else 0)
        precision = accuracy + 0.01 * rng.standard_normal()
        recall = accuracy + 0.02 * rng.standard_normal()
        rows.append(
            {"architecture": name, "seed": seed, "epoch": epoch, "split": split, "loss": loss, "accuracy": accuracy,
             "precision": precision, "recall": recall, "seconds": model.epoch_seconds * epoch}
        )  # fmt: skip
    return rows


@functools.cache
def make_all_frames(reviews: int = 60, seeds: int = 3, baselines: bool = True) -> dict[str, pd.DataFrame]:
    """Make every table that a figure reads. The result is shared by all tests and must not be modified."""
    return with_statistics(make_frames(reviews, seeds, epochs=4, baselines=baselines))


def select_architectures(frames: dict[str, pd.DataFrame], *architectures: str) -> dict[str, pd.DataFrame]:
    """Return the rows of some architectures in each table of `make_frames`."""
    selected = {name: frame[frame["architecture"].isin(architectures)] for name, frame in frames.items()}
    return {name: frame.reset_index(drop=True) for name, frame in selected.items()}


def with_statistics(frames: dict[str, pd.DataFrame], draws: int = 100) -> dict[str, pd.DataFrame]:
    """Add the tables of a comparison and of an error analysis, a learning curve and nightly runs."""
    predictions = frames["predictions"]
    test = predictions_of_split(predictions, "test")
    return {
        **frames,
        **compare(predictions, frames["trials"], ComparisonOptions(draws=draws)),
        "classes": classification_reports(predictions),
        "confusions": confusion_matrices(predictions),
        "calibration": calibrate(predictions),
        "reliability": reliability_table(predictions),
        "slices": score_slices(test, assign_slices(make_texts(predictions))),
        "disagreement": disagreement_matrix(test).rename_axis("architecture").reset_index(),
        "mistakes": confident_errors(test, make_texts(predictions)),
        "learning_curve": make_learning_curve(frames["scores"], frames["trials"]),
        **make_nightly_frames(frames["trials"]),
        "tuning": make_tuning([name for name in frames["trials"]["architecture"].unique() if name not in BASELINES]),
    }


def make_nightly_frames(trials: pd.DataFrame, count: int = 6) -> dict[str, pd.DataFrame]:
    """Make the tables of nightly runs of all networks. The last run but one has no new score; there is one alarm."""
    names = [name for name in trials["architecture"].unique() if name not in BASELINES]
    dates = [date(2026, 3, 1) + timedelta(days=day) for day in range(count)]
    rows = [
        {"night": night, "architecture": name, "seeds": 4 + day, "mean": 0.88 - 0.001 * day, "low": 0.87, "high": 0.89}
        | {"new_trials": 1, "new_mean": np.nan if day == count - 2 else 0.88 - 0.002 * (day % 3)}
        | {"relative_seconds": 60.0, "missing": int(day == count - 2)}
        for day, night in enumerate(dates) for name in names
    ]  # fmt: skip
    alarm = {"night": dates[-1], "architecture": "all", "metric": "accuracy", "detector": "last nightly run"}
    alarm |= {
        "deterioration": 0.011,
        "new_values": 1,
        "earlier_values": 9,
        "p": 0.003,
        "changed": "keras 3.15.1 → 3.16",
    }
    return {"nights": pd.DataFrame(rows, columns=TREND_COLUMNS), "alarms": pd.DataFrame([alarm])}


def make_tuning(architectures: Sequence[str], configurations: int = 6) -> pd.DataFrame:
    """Make the table tuning: the same configurations for all architectures; the last one diverges for every second."""
    rng = np.random.default_rng(5)
    rates = [0.01, *(0.001 * 30 ** rng.random(configurations - 1)).round(4)]
    parameters = pd.DataFrame(
        {"learning_rate": rates, "dropout": rng.uniform(0, 0.6, configurations).round(2),
         "layer_dropout": rng.uniform(0, 0.5, configurations).round(2),
         "batch_size": rng.choice([32, 64, 128, 256], configurations),
         **{name: rng.choice([32, 64, 128], configurations) for name in ("units", "embedding_size")}}
    )  # fmt: skip
    parameters.insert(0, "configuration", np.arange(1, configurations + 1))
    tables = [_tuned(name, parameters, place % 2 == 1, rng) for place, name in enumerate(architectures)]
    columns = [*TUNING_IDS, "validation_loss", *(f"validation_{name}" for name in METRICS), *TUNING_ENDS]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


TUNING_IDS = [
    "architecture", "configuration", "learning_rate", "dropout", "layer_dropout", "batch_size", "units",
    "embedding_size", "seed", "status", "epochs",
]  # fmt: skip
TUNING_ENDS = ["cpu_seconds", "train_seconds", "selected"]


def _tuned(name: str, parameters: pd.DataFrame, diverges: bool, rng: np.random.Generator) -> pd.DataFrame:
    """Make the search of one architecture; its best learning rate depends on its name."""
    best = 0.003 + 0.001 * (len(name) % 8)
    losses = 0.3 + 0.04 * np.log(parameters["learning_rate"] / best) ** 2 + 0.01 * rng.random(len(parameters))
    finished = np.array([True] * (len(parameters) - 1) + [not diverges])
    scores = {f"validation_{metric}": 1.05 - losses if metric != "log_loss" else losses for metric in METRICS}
    table = parameters.assign(architecture=name, seed=2_000, epochs=2, validation_loss=losses, **scores)
    table.loc[~finished, ["validation_loss", *scores]] = np.nan
    seconds = 10 * (1 + len(name) / 10) * parameters["units"] / 64
    return table.assign(
        status=np.where(finished, "finished", "diverged"), cpu_seconds=seconds * 1.2, train_seconds=seconds,
        selected=table["validation_loss"] == table["validation_loss"].min(),
    )  # fmt: skip


def make_texts(predictions: pd.DataFrame) -> pd.DataFrame:
    """Make a text for each review id: 33 to 533 words, every third text with a negation, no two equal."""
    reviews = predictions[["review_id", "split"]].drop_duplicates(ignore_index=True)
    lengths = 30 + (reviews.index * 137) % 500
    texts = [
        f"review {number} {'not ' if number % 3 == 0 else ''}{'good ' * length}"
        for number, length in enumerate(lengths)
    ]
    return reviews.assign(text=texts)


def make_learning_curve(
    scores: pd.DataFrame, trials: pd.DataFrame, fractions: tuple[float, ...] = (0.1, 0.3, 1.0)
) -> pd.DataFrame:
    """Make a learning curve: a tenth of the training reviews lowers the accuracy by eight points."""
    test = scores.query("split == 'test' and metric == 'accuracy'")
    means = test.groupby("architecture", sort=False)["value"].agg(["mean", "std", "count"]).reset_index()
    rows = []
    for row in means.to_dict("records"):
        for fraction in fractions:
            mean = max(row["mean"] + 0.08 * np.log10(fraction), 0.5)
            rows.append(
                {"architecture": row["architecture"], "fraction": fraction, "mean": mean, "std": row["std"]}
                | {"train_reviews": round(fraction * trials["train_reviews"].max()), "seeds": row["count"]}
                | {"low": mean - 0.012, "high": mean + 0.011}
                | dict.fromkeys(("gain", "gain_low", "gain_high"), np.nan if fraction == min(fractions) else 0.04)
            )
    return pd.DataFrame(rows)


def fake_checksum(name: str, seed: int) -> int:
    """Return a number in place of the checksum of a trial."""
    return sum(ord(letter) * 131**place for place, letter in enumerate(name)) + seed
