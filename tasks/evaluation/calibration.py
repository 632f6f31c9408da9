"""Calibration of probabilities: temperature scaling and the decision threshold.

Temperature and threshold are fitted on the validation split and reported on the test split. They are 1 and 0.5 unless
others are better in cross-validation, because a small validation split determines neither. Only two classes have a
threshold.

Probabilities are (reviews,) of class 1 for two classes, and (reviews, classes) for more.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from tasks.evaluation.cross_validation import FOLDS, Labels, improves_held_out, make_singletons
from tasks.evaluation.grouping import ReviewGroups, groups_of_rows
from tasks.evaluation.metrics import (
    CLIP,
    THRESHOLD,
    Floats,
    accuracy_contributions,
    log_loss_contributions,
    predicted_labels,
)
from tasks.evaluation.predictions import TRIAL_COLUMNS
from tasks.evaluation.reliability import (
    brier_score,
    expected_calibration_error,
    labels_and_probabilities,
    without_missing,
)

TEMPERATURES = (0.05, 20.0)
# Standard deviation of the logarithm of the temperature: 95% of the prior is between 0.68 and 1.5, as are temperatures
# of networks and baselines that are fitted to thousands of reviews. With so many reviews the prior hardly matters.
PRIOR_DEVIATION = 0.2
NO_GAIN = "no lower log-loss with another one in cross-validation"


def apply_temperature(probabilities: Floats, temperature: float) -> Floats:
    """Return probabilities whose log-odds (of more than two classes: logarithms) are divided by a temperature above 0.

    Args:
        probabilities: (...,) of class 1 for two classes, or (reviews, classes).
        temperature: The divisor.
    """
    from scipy.special import expit, softmax

    scaled = logits(probabilities) / temperature
    return np.asarray(expit(scaled) if scaled.ndim == 1 else softmax(scaled, axis=1))


def logits(probabilities: Floats) -> Floats:
    """Return the log-odds of clipped probabilities of class 1, or the logarithms of those of more classes."""
    from scipy.special import logit

    clipped = np.clip(np.asarray(probabilities, dtype=np.float64), CLIP, 1 - CLIP if probabilities.ndim == 1 else 1)
    return np.asarray(logit(clipped) if probabilities.ndim == 1 else np.log(clipped))


def fit_temperature(labels: Labels, probabilities: Floats, groups: ReviewGroups | None = None) -> float:
    """Compute the temperature of the probabilities; above 1 if they are overconfident.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks".

    Args:
        labels: (reviews,) int8, labels of the validation split.
        probabilities: Predictions for the validation split.
        groups: Which reviews belong together; None if each one is independent of the others.

    Returns:
        A temperature in `TEMPERATURES`, without its ends. It is 1 if the reviews do not determine another one, or if
        another one does not lower the log-loss in cross-validation.
    """
    if temperature_obstacle(labels, probabilities, groups):
        return 1.0
    temperature = estimate_temperature(labels, probabilities)
    low, high = TEMPERATURES
    if not 1.01 * low < temperature < high / 1.01:  # the estimate would depend on the limit
        return 1.0
    improves = improves_held_out(labels, probabilities, groups, estimate_temperature, _log_loss_decrease)
    return temperature if improves else 1.0


def temperature_obstacle(labels: Labels, probabilities: Floats, groups: ReviewGroups | None) -> str:
    """Return why the reviews do not determine a temperature; empty if they do. Arguments as in `fit_temperature`."""
    units, classes = groups or make_singletons(len(labels)), _classes(probabilities)
    if classes == 2 and min(int((units.sum((labels == label).astype(float)) > 0).sum()) for label in (0, 1)) < FOLDS:
        return f"fewer than {FOLDS} independent validation reviews of a class"
    if classes > 2 and len(units.sizes) < 2 * FOLDS:
        return f"fewer than {2 * FOLDS} independent validation reviews"
    if np.all(probabilities == probabilities[0]):
        return "all predictions are equal"
    # The lower the temperature, the higher the likelihood.
    if np.all(predicted_labels(probabilities, classes=classes) == labels):
        return "all validation predictions are correct"
    return ""


def estimate_temperature(labels: Labels, probabilities: Floats) -> float:
    """Return the most probable temperature given the reviews, in `TEMPERATURES`.

    The targets of two classes are the expected labels of further reviews instead of 0 and 1 (Platt 1999, "Probabilistic
    Outputs for Support Vector Machines"). The logarithm of the temperature has a normal prior (Gelman et al. 2008, "A
    weakly informative default prior distribution for logistic and other regression models"). Both matter only if there
    are few reviews: they keep the temperature from values that a handful of correct predictions would suggest.
    """
    from scipy.optimize import minimize_scalar

    cross_entropy = _binary_cross_entropy if probabilities.ndim == 1 else _multiclass_cross_entropy
    compute = cross_entropy(labels, logits(probabilities))

    def loss(log_temperature: float) -> float:
        penalty = (log_temperature / PRIOR_DEVIATION) ** 2 / 2
        return compute(float(np.exp(-log_temperature))) + penalty

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def _binary_cross_entropy(labels: Labels, logits: Floats) -> Callable[[float], float]:
    """Return the function of a factor of the log-odds that computes the sum of the losses with smoothed targets."""
    positives, reviews = int(labels.sum()), len(labels)
    targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (reviews - positives + 2))

    def compute(factor: float) -> float:
        scaled = logits * factor
        return float(np.sum(np.logaddexp(0, scaled) - targets * scaled))

    return compute


def _multiclass_cross_entropy(labels: Labels, logits: Floats) -> Callable[[float], float]:
    """Return what `_binary_cross_entropy` returns for (reviews, classes) logarithms; targets are not smoothed."""
    from scipy.special import logsumexp

    own = logits[np.arange(len(labels)), labels]

    def compute(factor: float) -> float:
        return float(np.sum(logsumexp(logits * factor, axis=1) - own * factor))

    return compute


def _log_loss_decrease(labels: Labels, probabilities: Floats, temperature: float) -> Floats:
    scaled, classes = apply_temperature(probabilities, temperature), _classes(probabilities)
    before, after = (log_loss_contributions(labels, each, classes=classes) for each in (probabilities, scaled))
    return before - after


def _classes(probabilities: Floats) -> int:
    return 2 if probabilities.ndim == 1 else probabilities.shape[1]


def fit_threshold(labels: Labels, probabilities: Floats, groups: ReviewGroups | None = None) -> float:
    """Compute the threshold of two classes with the highest accuracy, or 0.5 if it is not clearly better.

    "Better" means in cross-validation. A review is predicted as positive if its probability is above the threshold.
    Arguments are those of `fit_temperature`; the threshold is in [0, 1].
    """
    threshold = best_threshold(labels, probabilities)
    few = len(labels if groups is None else groups.sizes) < 2 * FOLDS
    if few or threshold == THRESHOLD:
        return THRESHOLD
    improves = improves_held_out(labels, probabilities, groups, best_threshold, _accuracy_increase, errors=1)
    return threshold if improves else THRESHOLD


def _accuracy_increase(labels: Labels, probabilities: Floats, threshold: float) -> Floats:
    return ((probabilities > threshold) == labels) - accuracy_contributions(labels, probabilities)


def best_threshold(labels: Labels, probabilities: Floats) -> float:
    """Compute the threshold with the highest accuracy; of equally good ones the nearest to 0.5.

    Args:
        labels: (reviews,) int8, 0 or 1.
        probabilities: (reviews,) float, of the positive class, in [0, 1].

    Returns:
        The threshold, in [0, 1].
    """
    order = np.argsort(probabilities, kind="stable")
    values, positive = np.asarray(probabilities, dtype=np.float64)[order], np.asarray(labels)[order] == 1
    thresholds = np.concatenate([[0.0], (values[:-1] + values[1:]) / 2, [1.0], [0.5]])
    true_negatives = np.concatenate([[0], np.cumsum(~positive)])  # by the number of reviews below the threshold
    true_positives = np.concatenate([np.cumsum(positive[::-1])[::-1], [0]])
    correct = (true_negatives + true_positives)[np.searchsorted(values, thresholds, side="right")]
    best = np.flatnonzero(correct == correct.max())
    return float(thresholds[best[np.argmin(np.abs(thresholds[best] - 0.5))]])


def calibrate(predictions: pd.DataFrame) -> pd.DataFrame:
    """Fit temperature and threshold of each trial on the validation split, and score them on the test split.

    Args:
        predictions: Columns architecture, seed, split, label, those of the probabilities, and cluster if it is known.

    Returns:
        Columns architecture, seed, temperature, threshold, then for the test split log_loss, brier, ece,
        log_loss_scaled, brier_scaled, ece_scaled, accuracy (at the threshold 0.5) and accuracy_threshold, and note (why
        the temperature is 1; empty if it is another one). With more than two classes, threshold and accuracy_threshold
        are NaN. Trials without predictions of both splits are left out.
    """
    finished = without_missing(predictions)
    rows = []
    for (architecture, seed), group in finished.groupby(TRIAL_COLUMNS, sort=False, observed=True):
        splits = dict(iter(group.groupby("split", observed=True)))
        if {"validation", "test"} <= splits.keys():
            row = _calibration_columns(splits["validation"], splits["test"])
            rows.append({"architecture": architecture, "seed": seed, **row})
    return pd.DataFrame(rows)


def _calibration_columns(validation: pd.DataFrame, test: pd.DataFrame) -> dict[str, float | str]:
    """Calibrate one trial; see `calibrate` for the columns."""
    from sklearn.metrics import log_loss

    validation_data = (*labels_and_probabilities(validation), groups_of_rows(validation))
    labels, probabilities = labels_and_probabilities(test)
    classes, temperature = _classes(probabilities), fit_temperature(*validation_data)
    threshold = fit_threshold(*validation_data) if classes == 2 else np.nan
    row: dict[str, float | str] = {"temperature": temperature, "threshold": threshold}
    for suffix, divisor in (("", 1.0), ("_scaled", temperature)):
        scaled = apply_temperature(probabilities, divisor)
        row[f"log_loss{suffix}"] = float(log_loss(labels, scaled, labels=list(range(classes))))
        row[f"brier{suffix}"] = brier_score(labels, scaled)
        row[f"ece{suffix}"] = expected_calibration_error(labels, scaled)
    row["accuracy"] = float(np.mean(predicted_labels(probabilities, classes=classes) == labels))
    row["accuracy_threshold"] = float(np.mean((probabilities > threshold) == labels)) if classes == 2 else np.nan
    row["note"] = "" if temperature != 1 else temperature_obstacle(*validation_data) or NO_GAIN
    return row
