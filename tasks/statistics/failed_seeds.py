"""Seeds of which the training failed, and how often seeds can be expected to fail.

Some trainings fail: with most seeds a network reaches 87%, and with one in ten it stays at 50%. A **seed failed** if
one of the following holds:

- Its training diverged, so that it has no predictions.
- It predicts at chance level: its AUC is below `MAX_CHANCE_AUC` and not significantly above 0.5.
- Its score is far below those of the other seeds: by more than `MIN_GAP`, and by more than `MAX_DEVIATIONS` robust
  standard deviations (1.4826 times the median absolute deviation), below the median of at least `MIN_OTHERS` seeds.
  Normally distributed seeds with a standard deviation of two points are flagged in 1% of runs.

Failed seeds are reported, not removed: a mean and a difference contain the seeds with predictions, and a diverged seed
counts at chance level before its architecture is called better (see `pairs`).
"""

from collections.abc import Collection

import numpy as np
import pandas as pd
import scipy  # submodules load on first use, so training processes do not pay for them
from numpy.typing import NDArray

from tasks.evaluation.metrics import LOWER_IS_BETTER, METRICS, Floats
from tasks.evaluation.predictions import Predictions

MAX_CHANCE_AUC, CHANCE_QUANTILE = 0.6, 1.645
MIN_GAP, MAX_DEVIATIONS, MIN_OTHERS = 0.05, 5.0, 3
MAD_TO_STD = 1.4826


def without_seed(predictions: Predictions, deterministic: Collection[str]) -> NDArray[np.bool_]:
    """Return which architectures (architectures,) have a single run that does not depend on the seed."""
    named = np.array([name in deterministic for name in predictions.architectures], dtype=bool)
    return np.asarray((predictions.present.sum(axis=1) == 1) & named)


def find_failed_seeds(
    predictions: Predictions, contributions: Floats, metric: str, deterministic: Collection[str]
) -> NDArray[np.bool_]:
    """Return which seeds with predictions failed.

    Args:
        predictions: Predictions of one split.
        contributions: (architectures, seeds, reviews) contributions to the metric.
        metric: Metric by which seeds are compared with each other.
        deterministic: Names of architectures that do not depend on the seed. A single run of them cannot fail.

    Returns:
        (architectures, seeds) bool, False for a missing trial.
    """
    failed = np.zeros(predictions.present.shape, dtype=bool)
    for index in np.flatnonzero(~without_seed(predictions, deterministic)):
        present = predictions.present[index]
        scores = contributions[index][present].mean(axis=1)
        is_low = far_below(-scores if metric in LOWER_IS_BETTER else scores)
        failed[index, present] = is_low | at_chance(predictions.labels, predictions.probabilities[index][present])
    return failed


def far_below(scores: Floats) -> NDArray[np.bool_]:
    """Return which scores (seeds,) are far below the others; none of fewer than `MIN_OTHERS`."""
    if len(scores) < MIN_OTHERS:
        return np.zeros(len(scores), dtype=bool)
    gaps = np.median(scores) - scores
    limit = max(MIN_GAP, MAX_DEVIATIONS * MAD_TO_STD * float(np.median(np.abs(gaps))))
    return np.asarray(gaps > limit)


def at_chance(labels: NDArray[np.int8], probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which seeds order the reviews no better than chance.

    Accuracy would not do: with a rare class it is close to that of a constant prediction for good models as well.

    Args:
        labels: (reviews,) int8, 0 or 1. If all are equal, no seed is at chance.
        probabilities: (seeds, reviews) float, of class 1.
    """
    positives, reviews = int(labels.sum()), len(labels)
    negatives = reviews - positives
    if not positives or not negatives:
        return np.zeros(len(probabilities), dtype=bool)
    ranks = scipy.stats.rankdata(probabilities, axis=1)
    pairs = positives * negatives
    areas = (ranks[:, labels == 1].sum(axis=1) - positives * (positives + 1) / 2) / pairs
    # Standard error of the AUC of random predictions (Mann & Whitney 1947).
    error = ((reviews + 1) / (12 * pairs)) ** 0.5
    return np.asarray(areas < min(MAX_CHANCE_AUC, 0.5 + CHANCE_QUANTILE * error))


def failure_rate_bound(failed: int, seeds: int, *, level: float = 0.95) -> float:
    """Return the upper confidence bound of the probability that a seed fails (Clopper & Pearson 1934), in (0, 1].

    If none of five seeds failed, up to 45% of all seeds may fail.

    Args:
        failed: Number of failed seeds.
        seeds: Number of all seeds, at least 1.
        level: One-sided confidence level, in (0, 1).
    """
    return float(scipy.special.betaincinv(failed + 1, seeds - failed, level)) if failed < seeds else 1.0


def diverged_seeds(trials: pd.DataFrame | None, architecture: str) -> list[int]:
    """Return the seeds with which the training of an architecture diverged; none if the status is unknown."""
    if trials is None or not {"status", "seed"} <= set(trials):
        return []
    rows = trials[(trials["architecture"] == architecture) & (trials["status"] == "diverged")]
    return sorted({int(seed) for seed in rows["seed"]})


def chance_contributions(labels: NDArray[np.int8], metric: str) -> Floats:
    """Return the contributions (reviews,) of a constant prediction of the share of positive reviews."""
    compute = METRICS[metric].contributions
    if compute is None:
        raise ValueError(f"{metric} has no contributions")
    return np.asarray(compute(labels, np.full((1, len(labels)), labels.mean()))[0])
