"""Metrics of a binary classifier: scores, what each review contributes to them, and the registry of both.

The statistics of a comparison work on contributions: a metric is the mean of its contributions over the reviews, so
that one bootstrap and one analysis of variance serve accuracy, F1, AUC and log-loss.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# A review is predicted as positive above this probability.
THRESHOLD = 0.5
# Keras clips probabilities at the same distance from 0 and 1, so that a log-loss here equals a loss in the history.
CLIP = 1e-7


class Metric(NamedTuple):
    """A metric, registered in `METRICS`.

    Attributes:
        score: Computes it from labels (reviews,) and probabilities (reviews,) of the positive class.
        contributions: Computes what each review contributes; None for metrics that are reported but not tested.
        greater_is_better: Whether a higher score is better. Scores of such metrics lie in [0, 1].
        needs_both_classes: Whether it is undefined if all labels are the same.
    """

    score: Callable[[np.ndarray, np.ndarray], float]
    contributions: Callable[[NDArray[np.int8], Floats], Floats] | None = None
    greater_is_better: bool = True
    needs_both_classes: bool = False


def predicted_labels(probabilities: np.ndarray) -> np.ndarray:
    """Tell the class that each probability stands for.

    Args:
        probabilities: (reviews,) float, of the positive class, in [0, 1].

    Returns:
        (reviews,) int8: 1 where the probability is above one half, else 0.
    """
    return (np.asarray(probabilities) > THRESHOLD).astype(np.int8)


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Measure the share of reviews whose class is right, in [0, 1]."""
    return float(np.mean(np.asarray(labels) == predicted_labels(probabilities)))


def balanced_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Measure the mean of both classes' shares of right answers, in [0, 1]; one half for knowing nothing."""
    from sklearn.metrics import recall_score

    return float(recall_score(labels, predicted_labels(probabilities), labels=np.unique(labels), average="macro"))


def precision(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Measure the share of truly positive ones among the reviews called positive, in [0, 1]; 0 where none is."""
    from sklearn.metrics import precision_score

    return float(precision_score(labels, predicted_labels(probabilities), zero_division=0))


def recall(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Measure the share of the positive reviews that were called positive, in [0, 1]; 0 where there are none."""
    from sklearn.metrics import recall_score

    return float(recall_score(labels, predicted_labels(probabilities), zero_division=0))


def f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Measure the harmonic mean of precision and recall of the positive class, in [0, 1]."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predicted_labels(probabilities), zero_division=0))


def auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Measure the area under the ROC curve, in [0, 1]; NaN where all reviews are of one class."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, probabilities)) if len(np.unique(labels)) == 2 else float("nan")


def average_precision(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Measure the area under the precision-recall curve, in [0, 1]; NaN where no review is positive.

    Knowing nothing comes to the share of positive reviews: it tells apart models of a rare class that AUC flatters.
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(labels, probabilities)) if np.any(labels) else float("nan")


def log_loss(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Measure the mean negative log-likelihood of the true class, in nats, from 0 (perfect) upwards.

    Args:
        labels: (reviews,) 0 or 1.
        probabilities: (reviews,) float, of the positive class, in [0, 1].
        weights: (reviews,) how much each counts; alike where None.
    """
    from sklearn.metrics import log_loss as mean_log_loss

    clipped = np.clip(np.asarray(probabilities, dtype=np.float64), CLIP, 1 - CLIP)
    return float(mean_log_loss(labels, clipped, labels=[0, 1], sample_weight=weights))


def accuracy_contributions(labels: NDArray[np.int8], probabilities: Floats) -> Floats:
    """Give 1 for each right answer and 0 for each wrong one.

    Args:
        labels: (reviews,) int8, 0 or 1.
        probabilities: (..., reviews) float, of the positive class, in [0, 1].

    Returns:
        (..., reviews) float; their mean is the accuracy.
    """
    return np.asarray((probabilities > THRESHOLD) == labels.astype(bool), dtype=np.float64)


def log_loss_contributions(labels: NDArray[np.int8], probabilities: Floats) -> Floats:
    """Give the negative log-likelihood of each true class, in nats; shapes as in `accuracy_contributions`."""
    clipped = np.clip(probabilities, CLIP, 1 - CLIP)
    return -np.log(np.where(labels == 1, clipped, 1 - clipped))


def f1_contributions(labels: NDArray[np.int8], probabilities: Floats) -> Floats:
    """Give the F1 score plus each review's influence on it; shapes as in `accuracy_contributions`.

    F1 = 2 TP / (called positive + truly positive) is a ratio of two means, so that a review moves it, to first order,
    by (2 tp - F1 (called + true)) / mean(called + true). Source: Efron 1982, "The Jackknife, the Bootstrap and Other
    Resampling Plans", chapter 6 (infinitesimal jackknife). The mean of the contributions is exactly the F1 score;
    it is 0 where no review is positive and none is called so.
    """
    called = (probabilities > THRESHOLD).astype(np.float64)
    both = called + labels
    mean_both = both.mean(axis=-1, keepdims=True)
    hits = 2 * called * labels
    score = np.divide(hits.mean(axis=-1, keepdims=True), mean_both, out=np.zeros_like(mean_both), where=mean_both > 0)
    influence = np.divide(hits - score * both, mean_both, out=np.zeros_like(both), where=mean_both > 0)
    return np.asarray(score + influence)


def auc_contributions(labels: NDArray[np.int8], probabilities: Floats) -> Floats:
    """Give the AUC plus each review's influence on it; shapes as in `accuracy_contributions`.

    The influence of a positive review is the share of negatives below it, minus the AUC, over the share of
    positives; and the like for a negative one. Source: DeLong, DeLong & Clarke-Pearson 1988, "Comparing the areas
    under two or more correlated ROC curves". The mean of the contributions is exactly the AUC. Needs both classes.
    """
    flat = probabilities.reshape(-1, len(labels))
    return np.stack([_auc_of_one(labels == 1, row) for row in flat]).reshape(probabilities.shape)


def _auc_of_one(positive: NDArray[np.bool_], scores: Floats) -> Floats:
    """Give the AUC contributions of one trial, from sorted scores: ties count half."""
    own, others = np.sort(scores[positive]), np.sort(scores[~positive])

    def share_below(values: Floats, among: Floats) -> Floats:
        return (np.searchsorted(among, values, "left") + np.searchsorted(among, values, "right")) / (2 * len(among))

    placement = np.empty_like(scores, dtype=np.float64)
    placement[positive] = share_below(scores[positive], others)
    placement[~positive] = 1 - share_below(scores[~positive], own)
    area = placement[positive].mean()
    share = np.where(positive, positive.mean(), 1 - positive.mean())
    return np.asarray(area + (placement - area) / share)


METRICS: dict[str, Metric] = {
    "accuracy": Metric(accuracy, accuracy_contributions),
    "precision": Metric(precision),
    "recall": Metric(recall),
    "f1": Metric(f1, f1_contributions, needs_both_classes=True),
    "auc": Metric(auc, auc_contributions, needs_both_classes=True),
    "balanced_accuracy": Metric(balanced_accuracy),
    "average_precision": Metric(average_precision),
    "log_loss": Metric(log_loss, log_loss_contributions, greater_is_better=False),
}
LOWER_IS_BETTER = {name for name, metric in METRICS.items() if not metric.greater_is_better}
