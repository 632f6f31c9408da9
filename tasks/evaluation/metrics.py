"""Metrics of a classifier: scores, the contribution of each review to them, and the registry `METRICS`.

A metric that is compared statistically has contributions. Their mean over the reviews is the score, so one bootstrap
and one analysis of variance serve all of them.

**Shapes.** Labels are integers from 0 to `classes` - 1. With two classes, probabilities are those of class 1, (...,
reviews). With more, they have one value for each class, (..., reviews, classes).

**More than two classes.** Precision, recall, F1, AUC and average precision are those of one class against all others,
averaged over the classes that occur among the labels. A class that does not occur has no such score, and leaving it out
by the labels alone averages over the same classes for every model.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.influence import auc_with_influence, average_precision_with_influence, f1_with_influence
from tasks.evaluation.metric_record import NATS, Metric

Floats = NDArray[np.float64]

# A review is predicted as positive if its probability is above this threshold.
THRESHOLD = 0.5
# Keras clips probabilities at the same distance from 0 and 1, so this log-loss equals the loss in the history.
CLIP = 1e-7


def predicted_labels(probabilities: np.ndarray, *, classes: int = 2) -> NDArray[np.int8]:
    """Return the predicted class of each review.

    Args:
        probabilities: (..., reviews) float, of class 1, in [0, 1]; (..., reviews, classes) with more than two classes.
        classes: Number of classes.

    Returns:
        (..., reviews) int8. With two classes 1 if the probability is above 0.5, otherwise 0. With more the class with
        the highest probability, the first one of equal ones.
    """
    if classes > 2:
        return np.asarray(np.argmax(probabilities, axis=-1), dtype=np.int8)
    return np.asarray(np.asarray(probabilities) > THRESHOLD, dtype=np.int8)


def _of_each_class(labels: np.ndarray, probabilities: np.ndarray) -> Iterator[tuple[NDArray[np.bool_], np.ndarray]]:
    """Yield, for each class that occurs, which reviews are of this class, and the probabilities of this class."""
    for value in np.unique(labels):
        yield np.asarray(labels == value), probabilities[..., value]


def _averaging(labels: np.ndarray, classes: int) -> dict[str, object]:
    """Return the arguments by which scikit-learn averages over classes; for two classes those for class 1 alone."""
    return {"average": "binary"} if classes == 2 else {"average": "macro", "labels": np.unique(labels)}


def accuracy(labels: np.ndarray, probabilities: np.ndarray, *, classes: int = 2) -> float:
    """Compute the share of correct predictions, in [0, 1]."""
    return float(np.mean(np.asarray(labels) == predicted_labels(probabilities, classes=classes)))


def balanced_accuracy(labels: np.ndarray, probabilities: np.ndarray, *, classes: int = 2) -> float:
    """Compute the mean recall of the classes that occur, in [0, 1]; 0.5 for a constant prediction of two classes."""
    from sklearn.metrics import recall_score

    predicted = predicted_labels(probabilities, classes=classes)
    return float(recall_score(labels, predicted, labels=np.unique(labels), average="macro"))


def precision(labels: np.ndarray, probabilities: np.ndarray, *, classes: int = 2) -> float:
    """Compute the precision of class 1, in [0, 1]; 0 if it is never predicted. With more classes their mean."""
    from sklearn.metrics import precision_score

    predicted = predicted_labels(probabilities, classes=classes)
    return float(precision_score(labels, predicted, zero_division=0, **_averaging(labels, classes)))


def recall(labels: np.ndarray, probabilities: np.ndarray, *, classes: int = 2) -> float:
    """Compute the recall of class 1, in [0, 1]; 0 if no review is of this class. With more classes their mean."""
    from sklearn.metrics import recall_score

    predicted = predicted_labels(probabilities, classes=classes)
    return float(recall_score(labels, predicted, zero_division=0, **_averaging(labels, classes)))


def f1(labels: np.ndarray, probabilities: np.ndarray, *, classes: int = 2) -> float:
    """Compute the F1 score of class 1, the harmonic mean of precision and recall, in [0, 1].

    With more classes it is their mean (macro F1).
    """
    from sklearn.metrics import f1_score

    predicted = predicted_labels(probabilities, classes=classes)
    return float(f1_score(labels, predicted, zero_division=0, **_averaging(labels, classes)))


def auc(labels: np.ndarray, probabilities: np.ndarray, *, classes: int = 2) -> float:
    """Compute the area under the ROC curve, in [0, 1]; NaN if all labels are equal.

    With more than two classes it is the mean over the classes, each against all others.
    """
    from sklearn.metrics import roc_auc_score

    if len(np.unique(labels)) < 2:
        return float("nan")
    if classes == 2:
        return float(roc_auc_score(labels, probabilities))
    return float(np.mean([roc_auc_score(own, values) for own, values in _of_each_class(labels, probabilities)]))


def average_precision(labels: np.ndarray, probabilities: np.ndarray, *, classes: int = 2) -> float:
    """Compute the average precision (PR-AUC), in [0, 1]; NaN if no review is of class 1.

    A constant prediction has the share of class 1 as its score. For a rare class this metric differs between models
    whose AUC is almost the same. With more than two classes it is the mean over the classes, each against all others.
    """
    from sklearn.metrics import average_precision_score as score

    if classes == 2:
        return float(score(labels, probabilities)) if np.any(labels) else float("nan")
    return float(np.mean([score(own, values) for own, values in _of_each_class(labels, probabilities)]))


def log_loss(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None, *, classes: int = 2
) -> float:
    """Compute the mean negative log-likelihood of the true class, in nats, at least 0.

    Args:
        labels: (reviews,) from 0 to `classes` - 1.
        probabilities: (reviews,) float, of class 1, in [0, 1]; (reviews, classes) with more than two classes.
        weights: (reviews,) float, weight of each review; equal weights if None.
        classes: Number of classes.
    """
    from sklearn.metrics import log_loss as mean_log_loss

    if classes > 2:
        values = log_loss_contributions(labels, np.asarray(probabilities, dtype=np.float64), classes=classes)
        return float(np.average(values, weights=weights))
    clipped = np.clip(np.asarray(probabilities, dtype=np.float64), CLIP, 1 - CLIP)
    return float(mean_log_loss(labels, clipped, labels=[0, 1], sample_weight=weights))


def accuracy_contributions(labels: np.ndarray, probabilities: Floats, *, classes: int = 2) -> Floats:
    """Return 1 for each correct prediction and 0 for each incorrect one.

    Args:
        labels: (reviews,) from 0 to `classes` - 1.
        probabilities: (..., reviews) float, of class 1, in [0, 1]; (..., reviews, classes) with more than two classes.
        classes: Number of classes.

    Returns:
        (..., reviews) float; their mean is the accuracy.
    """
    return np.asarray(predicted_labels(probabilities, classes=classes) == labels, dtype=np.float64)


def log_loss_contributions(labels: np.ndarray, probabilities: Floats, *, classes: int = 2) -> Floats:
    """Return the negative log-likelihood of each true class, in nats; shapes as in `accuracy_contributions`."""
    if classes > 2:
        of_label = probabilities[..., np.arange(len(labels)), labels.astype(np.intp)]
        return -np.log(np.clip(of_label, CLIP, 1 - CLIP))
    clipped = np.clip(probabilities, CLIP, 1 - CLIP)
    return -np.log(np.where(labels == 1, clipped, 1 - clipped))


def balanced_accuracy_contributions(labels: np.ndarray, probabilities: Floats, *, classes: int = 2) -> Floats:
    """Return the balanced accuracy plus the influence of each review on it; shapes as in `accuracy_contributions`.

    The score is the mean of the recalls of the classes that occur. A review changes that of its own class by (correct -
    recall) / (share of its class), and the score by this divided by the number of classes, to first order (see
    `tasks.evaluation.influence`).
    """
    correct = accuracy_contributions(labels, probabilities, classes=classes)
    contributions, present = np.empty_like(correct), np.unique(labels)
    recalls = [correct[..., labels == value].mean(axis=-1, keepdims=True) for value in present]
    score = sum(recalls) / len(present)
    for value, recall_of_class in zip(present, recalls, strict=True):
        own = labels == value
        contributions[..., own] = score + (correct[..., own] - recall_of_class) / (len(present) * own.mean())
    return contributions


def f1_contributions(labels: np.ndarray, probabilities: Floats, *, classes: int = 2) -> Floats:
    """Return the F1 score plus the influence of each review on it; shapes as in `accuracy_contributions`."""
    predicted = predicted_labels(probabilities, classes=classes)
    if classes == 2:
        return f1_with_influence(labels, predicted.astype(np.float64))
    present = np.unique(labels)
    return _mean([f1_with_influence(labels == value, (predicted == value).astype(np.float64)) for value in present])


def auc_contributions(labels: np.ndarray, probabilities: Floats, *, classes: int = 2) -> Floats:
    """Return the AUC plus the influence of each review on it; shapes as in `accuracy_contributions`.

    The labels must contain at least two classes.
    """
    if classes == 2:
        return auc_with_influence(labels == 1, probabilities)
    return _mean([auc_with_influence(own, values) for own, values in _of_each_class(labels, probabilities)])


def average_precision_contributions(labels: np.ndarray, probabilities: Floats, *, classes: int = 2) -> Floats:
    """Return the average precision plus the influence of each review on it; shapes as in `accuracy_contributions`.

    With two classes, some review must be of class 1.
    """
    compute = average_precision_with_influence
    if classes == 2:
        return compute(labels, probabilities)
    return _mean([compute(own, values) for own, values in _of_each_class(labels, probabilities)])


def _mean(values: list[Floats]) -> Floats:
    return np.asarray(sum(values) / len(values))


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", accuracy, accuracy_contributions, is_monitored=True),
        Metric("precision", precision),
        Metric("recall", recall),
        Metric("f1", f1, f1_contributions, needs_both_classes=True, is_monitored=True),
        Metric(
            "auc", auc, auc_contributions, needs_both_classes=True, is_fixed_if_constant=True, is_monitored=True
        ),
        Metric(
            "balanced_accuracy", balanced_accuracy, balanced_accuracy_contributions, needs_both_classes=True,
            is_fixed_if_constant=True, is_for_imbalance=True,
        ),
        Metric(
            "average_precision", average_precision, average_precision_contributions, needs_both_classes=True,
            is_for_imbalance=True,
        ),
        Metric(
            "log_loss", log_loss, log_loss_contributions, greater_is_better=False, highest=float("inf"), unit=NATS,
            has_margin=False, is_monitored=True, min_deterioration=0.02,
        ),
    )
}  # fmt: skip
LOWER_IS_BETTER = {name for name, metric in METRICS.items() if not metric.greater_is_better}
