"""Made-up frames that look like a real run's: for tests of figures, reports and evaluation."""

import functools
from datetime import date, timedelta

import numpy as np
import pandas as pd

from tasks.evaluation.calibration import calibrate, reliabilities
from tasks.evaluation.error_analysis import confidently_wrong, disagreement, kinds_of_reviews, slice_scores
from tasks.evaluation.predictions import panel
from tasks.evaluation.scores import evaluate
from tasks.nightly.trend import TREND
from tasks.statistics.comparison import compare

# Skill: how far apart a trial holds the two classes; seconds an epoch; parameters.
TRIALS = {
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
    """Make history, predictions, scores and trials of a comparison.

    Args:
        reviews: Rows of each split.
        seeds: Seeds an architecture.
        epochs: Epochs a trial.
        baselines: Whether majority class, TF-IDF and NB-SVM are in it.
    """
    rng = np.random.default_rng(7)
    labels = {split: rng.permutation(np.arange(reviews) % 2).astype(np.int8) for split in ("validation", "test")}
    shared = {split: rng.standard_normal(reviews) for split in labels}
    history, predictions, trials = [], [], []
    for name, (skill, pace, parameters) in {**TRIALS, **(BASELINES if baselines else {})}.items():
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
            trials.append(
                {"architecture": name, "seed": seed, "parameters": parameters, "train_seconds": seconds}
                | {"epochs": epochs if best else 0, "best_epoch": best, "best_seconds": seconds * max(best, 1) / epochs}
                | {"peak_memory_mb": 900 + parameters / 9_000, "weights": f"{name}-seed-{seed}.safetensors"}
                | {"latency_ms": 0.02 * pace + 0.3, "batch_ms": 0.004 * pace + 0.05}
                | {"train_flops": 2e6 * parameters if best else np.nan}
                | {"train_fraction": 1.0, "train_reviews": reviews}
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
        "trials": pd.DataFrame(trials),
    }


@functools.cache
def all_frames(reviews: int = 60, seeds: int = 3, baselines: bool = True) -> dict[str, pd.DataFrame]:
    """Make every frame that a figure reads, once for all tests: not to be changed."""
    return with_statistics(frames(reviews, seeds, epochs=4, baselines=baselines))


def of(given: dict[str, pd.DataFrame], *architectures: str) -> dict[str, pd.DataFrame]:
    """Keep what `frames` made of some architectures."""
    kept = {name: frame[frame["architecture"].isin(architectures)] for name, frame in given.items()}
    return {name: frame.reset_index(drop=True) for name, frame in kept.items()}


def with_statistics(given: dict[str, pd.DataFrame], draws: int = 100) -> dict[str, pd.DataFrame]:
    """Add what a run computes of the frames: the comparison, reliability, slices, disagreement, a learning curve."""
    predictions = given["predictions"]
    test = panel(predictions, "test")
    return {
        **given,
        **compare(predictions, given["trials"], draws=draws),
        "calibration": calibrate(predictions),
        "reliability": reliabilities(predictions),
        "slices": slice_scores(test, kinds_of_reviews(texts(predictions))),
        "disagreement": disagreement(test).rename_axis("architecture").reset_index(),
        "mistakes": confidently_wrong(test, texts(predictions)),
        "learning_curve": learning_curve(given["scores"], given["trials"]),
        **nights(given["trials"]),
    }


def nights(trials: pd.DataFrame, count: int = 6) -> dict[str, pd.DataFrame]:
    """Make up nights of the networks among the trials, the last but one without a new score, and one alarm."""
    names = [name for name in trials["architecture"].unique() if name not in BASELINES]
    dates = [date(2026, 3, 1) + timedelta(days=day) for day in range(count)]
    rows = [
        {"night": night, "architecture": name, "seeds": 4 + day, "mean": 0.88 - 0.001 * day, "low": 0.87, "high": 0.89}
        | {"fresh": 1, "fresh_mean": np.nan if day == count - 2 else 0.88 - 0.002 * (day % 3)}
        | {"relative_seconds": 60.0, "missing": int(day == count - 2)}
        for day, night in enumerate(dates) for name in names
    ]  # fmt: skip
    alarm = {"night": dates[-1], "architecture": "all", "measure": "accuracy", "sign": "tonight", "worse": 0.011}
    alarm |= {"new": 1, "before": 9, "p": 0.003, "changed": "keras 3.15.1 → 3.16"}
    return {"nights": pd.DataFrame(rows, columns=TREND), "alarms": pd.DataFrame([alarm])}


def texts(predictions: pd.DataFrame) -> pd.DataFrame:
    """Write a review for each id: of 33 to 533 words, every third with a negation, no two alike."""
    reviews = predictions[["review_id", "split"]].drop_duplicates(ignore_index=True)
    lengths = 30 + (reviews.index * 137) % 500
    said = [
        f"review {number} {'not ' if number % 3 == 0 else ''}{'good ' * length}"
        for number, length in enumerate(lengths)
    ]
    return reviews.assign(text=said)


def learning_curve(
    scores: pd.DataFrame, trials: pd.DataFrame, fractions: tuple[float, ...] = (0.1, 0.3, 1.0)
) -> pd.DataFrame:
    """Make up test accuracies after training on fractions of the reviews: each tenth costs eight points."""
    test = scores.query("split == 'test' and metric == 'accuracy'")
    found = test.groupby("architecture", sort=False)["value"].agg(["mean", "std", "count"]).reset_index()
    rows = []
    for row in found.to_dict("records"):
        for fraction in fractions:
            mean = max(row["mean"] + 0.08 * np.log10(fraction), 0.5)
            rows.append(
                {"architecture": row["architecture"], "fraction": fraction, "mean": mean, "std": row["std"]}
                | {"train_reviews": round(fraction * trials["train_reviews"].max()), "seeds": row["count"]}
                | {"low": mean - 0.012, "high": mean + 0.011}
                | dict.fromkeys(("gain", "gain_low", "gain_high"), np.nan if fraction == min(fractions) else 0.04)
            )
    return pd.DataFrame(rows)


def zlib_like(name: str, seed: int) -> int:
    """Make a number that stands for a trial's check sum."""
    return sum(ord(letter) * 131**place for place, letter in enumerate(name)) + seed
