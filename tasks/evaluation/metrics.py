"""Metrics of a binary classifier: scores, the contribution of each review to them, and the registry `METRICS`.

A metric that is compared statistically has contributions. Their mean over the reviews is the score, so one bootstrap
and one analysis of variance serve all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# A review is predicted as positive if its probability is above this threshold.
THRESHOLD = 0.5
# Keras clips probabilities at the same distance from 0 and 1, so this log-loss equals the loss in the history.
CLIP = 1e-7


@dataclass(frozen=True)
class Metric:
    """A metric, registered in `METRICS`.

    Attributes:
        score: Computes the score from labels (reviews,) and probabilities (reviews,) of the positive class.
        contributions: Computes the contribution of each review; None for metrics that are reported but not compared.
        greater_is_better: Whether a higher score is better. Scores of such metrics are in [0, 1].
        needs_both_classes: Whether the metric is undefined if all labels are equal.
    """

    score: Callable[[np.ndarray, np.ndarray], float]
    contributions: Callable[[NDArray[np.int8], Floats], Floats] | None = None
    greater_is_better: bool = True
    needs_both_classes: bool = False


def predicted_labels(probabilities: np.ndarray) -> np.ndarray:
    """Return the predicted class of each review.

    Args:
        probabilities: (reviews,) float, of the positive class, in [0, 1].

    Returns:
        (reviews,) int8: 1 if the probability is above 0.5, otherwise 0.
    """
    return (np.asarray(probabilities) > THRESHOLD).astype(np.int8)


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Compute the share of correct predictions, in [0, 1]."""
    return float(np.mean(np.asarray(labels) == predicted_labels(probabilities)))


def balanced_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Compute the mean recall of the classes, in [0, 1]; 0.5 for a constant prediction."""
    from sklearn.metrics import recall_score

    return float(recall_score(labels, predicted_labels(probabilities), labels=np.unique(labels), average="macro"))


def precision(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Compute the precision of the positive class, in [0, 1]; 0 if no review is predicted as positive."""
    from sklearn.metrics import precision_score

    return float(precision_score(labels, predicted_labels(probabilities), zero_division=0))


def recall(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Compute the recall of the positive class, in [0, 1]; 0 if there are no positive reviews."""
    from sklearn.metrics import recall_score

    return float(recall_score(labels, predicted_labels(probabilities), zero_division=0))


def f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Compute the F1 score of the positive class, the harmonic mean of precision and recall, in [0, 1]."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predicted_labels(probabilities), zero_division=0))


def auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Compute the area under the ROC curve, in [0, 1]; NaN if all labels are equal."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, probabilities)) if len(np.unique(labels)) == 2 else float("nan")


def average_precision(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Compute the average precision (PR-AUC), in [0, 1]; NaN if no review is positive.

    A constant prediction has the share of positive reviews as its score. For a rare class this metric differs between
    models whose AUC is almost the same.
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(labels, probabilities)) if np.any(labels) else float("nan")


def log_loss(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Compute the mean negative log-likelihood of the true class, in nats, at least 0.

    Args:
        labels: (reviews,) 0 or 1.
        probabilities: (reviews,) float, of the positive class, in [0, 1].
        weights: (reviews,) float, weight of each review; equal weights if None.
    """
    from sklearn.metrics import log_loss as mean_log_loss

    clipped = np.clip(np.asarray(probabilities, dtype=np.float64), CLIP, 1 - CLIP)
    return float(mean_log_loss(labels, clipped, labels=[0, 1], sample_weight=weights))


def accuracy_contributions(labels: NDArray[np.int8], probabilities: Floats) -> Floats:
    """Return 1 for each correct prediction and 0 for each incorrect one.

    Args:
        labels: (reviews,) int8, 0 or 1.
        probabilities: (..., reviews) float, of the positive class, in [0, 1].

    Returns:
        (..., reviews) float; their mean is the accuracy.
    """
    return np.asarray((probabilities > THRESHOLD) == labels.astype(bool), dtype=np.float64)


def log_loss_contributions(labels: NDArray[np.int8], probabilities: Floats) -> Floats:
    """Return the negative log-likelihood of each true class, in nats; shapes as in `accuracy_contributions`."""
    clipped = np.clip(probabilities, CLIP, 1 - CLIP)
    return -np.log(np.where(labels == 1, clipped, 1 - clipped))


def balanced_accuracy_contributions(labels: NDArray[np.int8], probabilities: Floats) -> Floats:
    """Return the balanced accuracy plus the influence of each review on it; shapes as in `accuracy_contributions`.

    The score is the mean of two means, the recalls of the classes. A review changes that of its own class by (correct -
    recall) / (share of its class), half of which reaches the score (Efron 1982, as in `f1_contributions`). The mean of
    the contributions is exactly the balanced accuracy. The labels must contain both classes.
    """
    correct = accuracy_contributions(labels, probabilities)
    contributions = np.empty_like(correct)
    recalls = [correct[..., labels == value].mean(axis=-1, keepdims=True) for value in (0, 1)]
    score = (recalls[0] + recalls[1]) / 2
    for value, recall_of_class in enumerate(recalls):
        own = labels == value
        contributions[..., own] = score + (correct[..., own] - recall_of_class) / (2 * own.mean())
    return contributions


def f1_contributions(labels: NDArray[np.int8], probabilities: Floats) -> Floats:
    """Return the F1 score plus the influence of each review on it; shapes as in `accuracy_contributions`.

    F1 = 2 TP / (predicted positive + positive) is a ratio of two means. To first order, a review changes it by (2 tp -
    F1 (predicted + label)) / mean(predicted + label). Source: Efron 1982, "The Jackknife, the Bootstrap and Other
    Resampling Plans", chapter 6 (infinitesimal jackknife). The mean of the contributions is exactly the F1 score. It is
    0 if no review is positive and none is predicted as positive.
    """
    predicted = (probabilities > THRESHOLD).astype(np.float64)
    positives = predicted + labels
    mean_positives = positives.mean(axis=-1, keepdims=True)
    true_positives = 2 * predicted * labels  # counted twice, as in the numerator of F1
    mean_true = true_positives.mean(axis=-1, keepdims=True)
    defined = mean_positives > 0
    score = np.divide(mean_true, mean_positives, out=np.zeros_like(mean_positives), where=defined)
    residuals = true_positives - score * positives
    influence = np.divide(residuals, mean_positives, out=np.zeros_like(positives), where=defined)
    return np.asarray(score + influence)


def auc_contributions(labels: NDArray[np.int8], probabilities: Floats) -> Floats:
    """Return the AUC plus the influence of each review on it; shapes as in `accuracy_contributions`.

    The influence of a positive review is the share of negative reviews with a lower probability, minus the AUC, divided
    by the share of positive reviews; correspondingly for a negative review. Source: DeLong, DeLong & Clarke-Pearson
    1988, "Comparing the areas under two or more correlated ROC curves". The mean of the contributions is exactly the
    AUC. The labels must contain both classes.
    """
    trials = probabilities.reshape(-1, len(labels))
    return np.stack([_auc_contributions_of_trial(labels == 1, trial) for trial in trials]).reshape(probabilities.shape)


def _auc_contributions_of_trial(positive: NDArray[np.bool_], probabilities: Floats) -> Floats:
    """Return the AUC contributions of one trial, computed from sorted probabilities. Ties count one half."""
    of_positives, of_negatives = np.sort(probabilities[positive]), np.sort(probabilities[~positive])
    placement = np.empty_like(probabilities, dtype=np.float64)
    placement[positive] = _share_below(probabilities[positive], of_negatives)
    placement[~positive] = 1 - _share_below(probabilities[~positive], of_positives)
    area = placement[positive].mean()
    share = np.where(positive, positive.mean(), 1 - positive.mean())
    return np.asarray(area + (placement - area) / share)


def _share_below(values: Floats, ordered: Floats) -> Floats:
    """Return the share of ordered values that is below each value; equal ones count one half."""
    counts = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(counts / (2 * len(ordered)))


def average_precision_contributions(labels: NDArray[np.int8], probabilities: Floats) -> Floats:
    """Return the average precision plus the influence of each review on it; shapes as in `accuracy_contributions`.

    The score is the mean, over the positive reviews, of the precision among all reviews that have at least their
    probability; reviews with equal probabilities enter together. A review changes the weight of its own precision if it
    is positive, and every precision of the positive reviews that have at most its probability: by (label - precision) /
    (number of reviews in that precision). The influence is the derivative by the weight of the review (infinitesimal
    jackknife, Efron 1982). The mean of the contributions is exactly the average precision. A label must be positive.
    """
    trials = probabilities.reshape(-1, len(labels))
    contributions = [_average_precision_contributions_of_trial(labels, trial) for trial in trials]
    return np.stack(contributions).reshape(probabilities.shape)


def _average_precision_contributions_of_trial(labels: NDArray[np.int8], probabilities: Floats) -> Floats:
    """Return the contributions of one trial, computed from sorted probabilities."""
    order = np.argsort(-probabilities, kind="stable")
    positive, ordered = labels[order].astype(np.float64), probabilities[order]
    is_last = np.append(ordered[1:] != ordered[:-1], True)  # the last review of each probability
    level = np.cumsum(is_last) - is_last  # position of the probability of each review, from the highest
    retrieved = np.flatnonzero(is_last) + 1.0
    true_positives = np.cumsum(positive)[is_last]
    precision_at = true_positives / retrieved
    added = np.diff(true_positives, prepend=0.0)  # positive reviews of each probability
    # Sums over the positive reviews of a probability and of all lower ones.
    inverse = np.cumsum((added / retrieved)[::-1])[::-1]
    precisions = np.cumsum((added * precision_at / retrieved)[::-1])[::-1]
    score = float(added @ precision_at) / true_positives[-1]
    own = positive * (precision_at[level] - score)
    influence = (own + positive * inverse[level] - precisions[level]) * len(labels) / true_positives[-1]
    contributions = np.empty(len(labels))
    contributions[order] = score + influence
    return contributions


METRICS: dict[str, Metric] = {
    "accuracy": Metric(accuracy, accuracy_contributions),
    "precision": Metric(precision),
    "recall": Metric(recall),
    "f1": Metric(f1, f1_contributions, needs_both_classes=True),
    "auc": Metric(auc, auc_contributions, needs_both_classes=True),
    "balanced_accuracy": Metric(balanced_accuracy, balanced_accuracy_contributions, needs_both_classes=True),
    "average_precision": Metric(average_precision, average_precision_contributions, needs_both_classes=True),
    "log_loss": Metric(log_loss, log_loss_contributions, greater_is_better=False),
}
LOWER_IS_BETTER = {name for name, metric in METRICS.items() if not metric.greater_is_better}
