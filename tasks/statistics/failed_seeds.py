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
        probabilities = predictions.probabilities[index][present]
        failed[index, present] = is_low | at_chance(predictions.labels, probabilities, predictions.classes)
    return failed


def far_below(scores: Floats) -> NDArray[np.bool_]:
    """Return which scores (seeds,) are far below the others; none of fewer than `MIN_OTHERS`."""
    if len(scores) < MIN_OTHERS:
        return np.zeros(len(scores), dtype=bool)
    gaps = np.median(scores) - scores
    limit = max(MIN_GAP, MAX_DEVIATIONS * MAD_TO_STD * float(np.median(np.abs(gaps))))
    return np.asarray(gaps > limit)


def at_chance(labels: NDArray[np.int8], probabilities: NDArray[np.float32], classes: int = 2) -> NDArray[np.bool_]:
    """Return which seeds order the reviews no better than chance.

    Accuracy would not do: with a rare class it is close to that of a constant prediction for good models as well. With
    more than two classes, the AUC is the mean over the classes, each against all others. Its standard error is at most
    the mean of theirs.

    Args:
        labels: (reviews,) int8, from 0 to `classes` - 1. If all are equal, no seed is at chance.
        probabilities: (seeds, reviews) float, of class 1; (seeds, reviews, classes) with more than two classes.
        classes: Number of classes.
    """
    present = np.unique(labels)
    if len(present) < 2:
        return np.zeros(len(probabilities), dtype=bool)
    own = {1: probabilities} if classes == 2 else {value: probabilities[..., value] for value in present}
    compared = [_areas_and_error(labels == value, values) for value, values in own.items()]
    areas, errors = (np.mean(each, axis=0) for each in zip(*compared, strict=True))
    return np.asarray(areas < min(MAX_CHANCE_AUC, 0.5 + CHANCE_QUANTILE * float(errors)))


def _areas_and_error(positive: NDArray[np.bool_], probabilities: NDArray[np.float32]) -> tuple[Floats, float]:
    """Return the AUC of each seed, and the standard error of random predictions (Mann & Whitney 1947)."""
    positives, reviews = int(positive.sum()), len(positive)
    pairs = positives * (reviews - positives)
    ranks = scipy.stats.rankdata(probabilities, axis=1)
    areas = (ranks[:, positive].sum(axis=1) - positives * (positives + 1) / 2) / pairs
    return areas, ((reviews + 1) / (12 * pairs)) ** 0.5


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


def chance_contributions(labels: NDArray[np.int8], metric: str, classes: int = 2) -> Floats:
    """Return the contributions (reviews,) of a constant prediction of the shares of the classes."""
    compute = METRICS[metric].contributions
    if compute is None:
        raise ValueError(f"{metric} has no contributions")
    shape = (1, len(labels)) if classes == 2 else (1, len(labels), classes)
    shares = labels.mean() if classes == 2 else np.bincount(labels, minlength=classes) / len(labels)
    return np.asarray(compute(labels, np.broadcast_to(shares, shape), classes=classes)[0])
