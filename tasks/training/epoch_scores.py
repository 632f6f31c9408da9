"""Scores of a network after each epoch, and the class weights of its loss."""

import numpy as np

HISTORY_METRICS = ("loss", "accuracy", "precision", "recall")
HISTORY_COLUMNS = ["epoch", "split", *HISTORY_METRICS, "seconds"]


def class_weights(labels: np.ndarray, balanced: bool, classes: int = 2) -> np.ndarray:
    """Return the weight of each class in the loss, (classes,) float32.

    Args:
        labels: (reviews,) class of each review, from 0.
        balanced: Whether all classes get the same total weight; otherwise all weights are 1.
        classes: Number of classes.
    """
    if not balanced:
        return np.ones(classes, np.float32)  # so that a worker process need not import scikit-learn
    from sklearn.utils.class_weight import compute_class_weight

    weights: np.ndarray = compute_class_weight("balanced", classes=np.arange(classes), y=labels)
    return weights.astype(np.float32)


def epoch_scores(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
    """Compute loss (log-loss in nats), accuracy, precision and recall; the last two are 0 if undefined.

    Args:
        labels: (reviews,) class of each review, from 0.
        probabilities: (reviews,) of class 1, the threshold being 0.5; or (reviews, classes).
        weights: (classes,) weight of each class in the loss; None for equal weights.
    """
    if probabilities.ndim == 1:
        chance = np.where(labels == 1, probabilities, 1 - probabilities.astype(np.float64))
        predicted, true = probabilities[:, None] > 0.5, labels[:, None] == 1
    else:
        chance = probabilities[np.arange(len(labels)), labels].astype(np.float64)
        classes = np.arange(probabilities.shape[1])
        predicted, true = probabilities.argmax(axis=1)[:, None] == classes, labels[:, None] == classes
    losses = -np.log(np.clip(chance, 1e-7, 1)) * (1 if weights is None else weights[labels])
    counts = [(predicted & true).sum(axis=0), (predicted & ~true).sum(axis=0), (~predicted & true).sum(axis=0)]
    return scores_from_totals(losses.sum(), np.array(counts), len(labels))


def scores_from_totals(loss: float, counts: np.ndarray, reviews: int) -> dict[str, float]:
    """Compute the scores from totals over reviews. Precision and recall of several classes are means over the classes.

    Args:
        loss: Sum of the losses, in nats.
        counts: (3, 1 or classes) numbers of true positives, false positives and false negatives of class 1, or of each
            of several classes.
        reviews: Number of reviews.
    """
    true_positives, false_positives, false_negatives = counts.astype(np.float64)
    # Each error of several classes is a false positive of one class and a false negative of another.
    errors = (false_positives + false_negatives).sum() / (1 if len(true_positives) == 1 else 2)
    return {
        "loss": float(loss / reviews),
        "accuracy": float(1 - errors / reviews),
        "precision": float(np.mean(true_positives / np.maximum(true_positives + false_positives, 1))),
        "recall": float(np.mean(true_positives / np.maximum(true_positives + false_negatives, 1))),
    }
