"""Scores of a network after each epoch, and the class weights of its loss."""

import numpy as np

HISTORY_METRICS = ("loss", "accuracy", "precision", "recall")
HISTORY_COLUMNS = ["epoch", "split", *HISTORY_METRICS, "seconds"]


def class_weights(labels: np.ndarray, balanced: bool) -> np.ndarray:
    """Return the weight of each class in the loss, (2,) float32.

    Args:
        labels: (reviews,) 0 or 1.
        balanced: Whether both classes get the same total weight; otherwise both weights are 1.
    """
    if not balanced:
        return np.ones(2, np.float32)  # so that a worker process need not import scikit-learn
    from sklearn.utils.class_weight import compute_class_weight

    weights: np.ndarray = compute_class_weight("balanced", classes=np.arange(2), y=labels)
    return weights.astype(np.float32)


def epoch_scores(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
    """Compute loss (log-loss in nats), accuracy, precision and recall at 0.5; the last two are 0 if undefined.

    Args:
        labels: (reviews,) 0 or 1.
        probabilities: (reviews,) probabilities of the positive class.
        weights: (2,) weight of each class in the loss; None for equal weights.
    """
    chance = np.clip(np.where(labels == 1, probabilities, 1 - probabilities.astype(np.float64)), 1e-7, 1)
    predicted, true = probabilities > 0.5, labels == 1
    losses = -np.log(chance) * (1 if weights is None else weights[labels])
    counts = (predicted & true).sum(), (predicted & ~true).sum(), (~predicted & true).sum()
    return scores_from_totals(losses.sum(), *counts, len(labels))


def scores_from_totals(
    loss: float, true_positives: float, false_positives: float, false_negatives: float, count: float
) -> dict[str, float]:
    """Compute the scores from the sum of losses (nats), the numbers of three kinds of predictions, and of all."""
    return {
        "loss": float(loss / count),
        "accuracy": float(1 - (false_positives + false_negatives) / count),
        "precision": float(true_positives / max(true_positives + false_positives, 1)),
        "recall": float(true_positives / max(true_positives + false_negatives, 1)),
    }
