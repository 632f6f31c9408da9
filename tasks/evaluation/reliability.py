"""Reliability of probabilities: how they agree with the observed shares, in bins and as one number.

Probabilities are (reviews,) of class 1 for two classes, and (reviews, classes) for more. The calibration of more
classes is that of the top label: the highest probability of a review, compared with how often this class is the true
one.
"""

import numpy as np
import pandas as pd

from tasks.evaluation.cross_validation import Labels
from tasks.evaluation.grouping import ReviewGroups, groups_of_rows, proportion_interval
from tasks.evaluation.metrics import Floats, predicted_labels
from tasks.evaluation.predictions import TRIAL_COLUMNS
from tasks.storage.probabilities import count_classes, probability_columns, read_probabilities

BINS = 15


def brier_score(labels: Labels, probabilities: Floats) -> float:
    """Compute the mean squared difference of probability and label (Brier 1950).

    Returns:
        In [0, 1] for two classes. The squares of more classes are added up, so that it is in [0, 2].
    """
    true = labels if probabilities.ndim == 1 else labels[:, None] == np.arange(probabilities.shape[1])
    return float(np.square(probabilities - true).sum() / len(labels))


def top_label(labels: Labels, probabilities: Floats) -> tuple[Labels, Floats]:
    """Return labels and probabilities as the calibration error compares them: those of two classes as they are.

    Returns:
        Of more classes, whether the most probable class is the true one, (reviews,) 0 or 1, and its probability,
        (reviews,).
    """
    if probabilities.ndim == 1:
        return labels, probabilities
    correct = predicted_labels(probabilities, classes=probabilities.shape[1]) == labels
    return correct.astype(np.int8), probabilities.max(axis=1)


def reliability_bins(
    labels: Labels, probabilities: Floats, *, bins: int = BINS, groups: ReviewGroups | None = None
) -> pd.DataFrame:
    """Compare predicted probabilities with the observed share of positive reviews, in bins of equal mass.

    Reviews with equal probabilities are in the same bin, so the result does not depend on the order of rows. There may
    therefore be fewer bins than requested.

    Args:
        labels: (reviews,) int8, 0 or 1.
        probabilities: (reviews,) float, of the positive class, in [0, 1].
        bins: Maximum number of bins.
        groups: Which reviews belong together; None if each one is independent of the others.

    Returns:
        Columns bin (from 1), predicted (mean probability), observed (share of positive reviews), low, high (95% Wilson
        interval of observed, by group) and reviews (number).
    """
    from statsmodels.stats.proportion import proportion_confint

    edges = np.unique(np.quantile(probabilities, np.linspace(0, 1, bins + 1)[1:-1]))
    frame = pd.DataFrame({"bin": np.searchsorted(edges, probabilities), "p": probabilities, "label": labels})
    table = frame.groupby("bin").agg(predicted=("p", "mean"), observed=("label", "mean"), reviews=("label", "size"))
    low, high = proportion_confint(table["observed"] * table["reviews"], table["reviews"], method="wilson")
    if groups is not None:
        limits = [proportion_interval(labels == 1, (frame["bin"] == bin_).to_numpy(), groups) for bin_ in table.index]
        low, high = np.transpose(limits)
    table = table.assign(low=low, high=high).reset_index(drop=True)
    table.insert(0, "bin", np.arange(1, len(table) + 1))
    return table[["bin", "predicted", "observed", "low", "high", "reviews"]]


def expected_calibration_error(labels: Labels, probabilities: Floats, *, bins: int = BINS) -> float:
    """Compute the mean absolute difference of predicted and observed over bins of equal mass, in [0, 1].

    Source: Nguyen & O'Connor 2015, "Posterior calibration and exploratory analysis for natural language processing
    models" (adaptive binning).
    """
    table = reliability_bins(*top_label(labels, probabilities), bins=bins)
    return float(np.average((table["predicted"] - table["observed"]).abs(), weights=table["reviews"]))


def reliability_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Compute the reliability bins of each trial on the test split: of class 1, or of the top label of more classes.

    Args:
        predictions: Columns architecture, seed, split, label, those of the probabilities, and cluster if it is known.

    Returns:
        Columns architecture, seed and those of `reliability_bins`. Trials without predictions are left out.
    """
    test = without_missing(predictions[predictions["split"] == "test"])
    tables = {
        trial: reliability_bins(*top_label(*labels_and_probabilities(rows)), groups=groups_of_rows(rows))
        for trial, rows in test.groupby(TRIAL_COLUMNS, sort=False, observed=True)
    }
    return pd.concat(tables, names=TRIAL_COLUMNS).reset_index(TRIAL_COLUMNS).reset_index(drop=True)


def without_missing(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions of trials that did not diverge."""
    column = probability_columns(count_classes(predictions.columns))[0]
    return predictions[predictions[column].notna()]


def labels_and_probabilities(predictions: pd.DataFrame) -> tuple[Labels, Floats]:
    """Return the labels and the probabilities (float64) of predictions."""
    return predictions["label"].to_numpy(), read_probabilities(predictions).astype(np.float64)
