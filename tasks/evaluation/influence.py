"""Scores of one class against all others, with the influence of each review on them.

The influence of a review is the derivative of the score by the weight of the review, times the number of reviews (the
infinitesimal jackknife: Efron 1982, "The Jackknife, the Bootstrap and Other Resampling Plans", chapter 6). Its mean is
0, so the mean of score plus influence is exactly the score.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def f1_with_influence(positives: np.ndarray, predicted: Floats) -> Floats:
    """Return the F1 score of a class plus the influence of each review on it.

    F1 = 2 TP / (predicted positive + positive) is a ratio of two means. To first order, a review changes it by (2 tp -
    F1 (predicted + label)) / mean(predicted + label). It is 0 if no review is positive and none is predicted as
    positive.

    Args:
        positives: (reviews,) 1 for a review of the class, otherwise 0.
        predicted: (..., reviews) 1 where the class is predicted, otherwise 0.

    Returns:
        (..., reviews) float.
    """
    either = predicted + positives
    mean_either = either.mean(axis=-1, keepdims=True)
    true_positives = 2 * predicted * positives  # counted twice, as in the numerator of F1
    mean_true = true_positives.mean(axis=-1, keepdims=True)
    defined = mean_either > 0
    score = np.divide(mean_true, mean_either, out=np.zeros_like(mean_either), where=defined)
    residuals = true_positives - score * either
    influence = np.divide(residuals, mean_either, out=np.zeros_like(either), where=defined)
    return np.asarray(score + influence)


def auc_with_influence(positive: NDArray[np.bool_], probabilities: Floats) -> Floats:
    """Return the AUC of a class plus the influence of each review on it.

    The influence of a positive review is the share of negative reviews with a lower probability, minus the AUC, divided
    by the share of positive reviews; correspondingly for a negative review. Ties count one half. Source: DeLong, DeLong
    & Clarke-Pearson 1988, "Comparing the areas under two or more correlated ROC curves".

    Args:
        positive: (reviews,) bool, whether a review is of the class; some must be and some must not.
        probabilities: (..., reviews) float, of the class.

    Returns:
        (..., reviews) float.
    """
    trials = probabilities.reshape(-1, len(positive))
    return np.stack([_auc_of_trial(positive, trial) for trial in trials]).reshape(probabilities.shape)


def _auc_of_trial(positive: NDArray[np.bool_], probabilities: Floats) -> Floats:
    """Return AUC plus influence of one trial, computed from sorted probabilities."""
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


def average_precision_with_influence(positives: np.ndarray, probabilities: Floats) -> Floats:
    """Return the average precision of a class plus the influence of each review on it.

    The score is the mean, over the positive reviews, of the precision among all reviews that have at least their
    probability; reviews with equal probabilities enter together. A review changes the weight of its own precision if it
    is positive, and every precision of the positive reviews that have at most its probability: by (label - precision) /
    (number of reviews in that precision).

    Args:
        positives: (reviews,) 1 for a review of the class, otherwise 0; some must be 1.
        probabilities: (..., reviews) float, of the class.

    Returns:
        (..., reviews) float.
    """
    trials = probabilities.reshape(-1, len(positives))
    values = [_average_precision_of_trial(positives, trial) for trial in trials]
    return np.stack(values).reshape(probabilities.shape)


def _average_precision_of_trial(positives: np.ndarray, probabilities: Floats) -> Floats:
    """Return average precision plus influence of one trial, computed from sorted probabilities."""
    order = np.argsort(-probabilities, kind="stable")
    positive, ordered = positives[order].astype(np.float64), probabilities[order]
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
    influence = (own + positive * inverse[level] - precisions[level]) * len(positives) / true_positives[-1]
    values = np.empty(len(positives))
    values[order] = score + influence
    return values
