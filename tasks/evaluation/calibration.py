"""Calibration of probabilities: calibration error, temperature scaling and the decision threshold.

Temperature and threshold are fitted on the validation split and reported on the test split.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.evaluation.grouping import ReviewGroups, groups_of_rows, proportion_interval
from tasks.evaluation.metrics import CLIP, Floats
from tasks.evaluation.predictions import TRIAL_COLUMNS

Labels = NDArray[np.int8]
BINS = 15


def brier_score(labels: Labels, probabilities: Floats) -> float:
    """Compute the mean squared difference of probability and label, in [0, 1] (Brier 1950)."""
    from sklearn.metrics import brier_score_loss

    return float(brier_score_loss(labels, probabilities, pos_label=1))


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
    table = reliability_bins(labels, probabilities, bins=bins)
    return float(np.average((table["predicted"] - table["observed"]).abs(), weights=table["reviews"]))


def apply_temperature(probabilities: Floats, temperature: float) -> Floats:
    """Return probabilities whose log-odds are divided by a temperature above 0."""
    from scipy.special import expit, logit

    clipped = np.clip(np.asarray(probabilities, dtype=np.float64), CLIP, 1 - CLIP)
    return np.asarray(expit(logit(clipped) / temperature))


def fit_temperature(labels: Labels, probabilities: Floats) -> float:
    """Compute the temperature with the lowest log-loss, in [0.05, 20]; above 1 for overconfident probabilities.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks".

    Args:
        labels: (reviews,) int8, labels of the validation split.
        probabilities: (reviews,) float, predictions for the validation split.
    """
    from scipy.optimize import minimize_scalar
    from sklearn.metrics import log_loss

    def loss(log_temperature: float) -> float:
        return float(log_loss(labels, apply_temperature(probabilities, float(np.exp(log_temperature))), labels=[0, 1]))

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def fit_threshold(labels: Labels, probabilities: Floats) -> float:
    """Compute the threshold with the highest accuracy; of equally good ones the nearest to 0.5.

    A review is predicted as positive if its probability is above the threshold.

    Args:
        labels: (reviews,) int8, labels of the validation split.
        probabilities: (reviews,) float, predictions for the validation split.

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
        predictions: Columns architecture, seed, split, label, probability.

    Returns:
        Columns architecture, seed, temperature, threshold, then for the test split log_loss, brier, ece,
        log_loss_scaled, brier_scaled, ece_scaled, accuracy (at the threshold 0.5) and accuracy_threshold. Trials
        without predictions of both splits are left out.
    """
    finished = predictions[predictions["probability"].notna()]
    rows = []
    for (architecture, seed), group in finished.groupby(TRIAL_COLUMNS, sort=False, observed=True):
        splits = dict(iter(group.groupby("split", observed=True)))
        if {"validation", "test"} <= splits.keys():
            row = _calibration_columns(splits["validation"], splits["test"])
            rows.append({"architecture": architecture, "seed": seed, **row})
    return pd.DataFrame(rows)


def reliability_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Compute the reliability bins of each trial on the test split.

    Args:
        predictions: Columns architecture, seed, split, label, probability, and cluster where it is known.

    Returns:
        Columns architecture, seed and those of `reliability_bins`. Trials without predictions are left out.
    """
    test = predictions[(predictions["split"] == "test") & predictions["probability"].notna()]
    tables = {
        trial: reliability_bins(*_labels_and_probabilities(rows), groups=groups_of_rows(rows))
        for trial, rows in test.groupby(TRIAL_COLUMNS, sort=False, observed=True)
    }
    return pd.concat(tables, names=TRIAL_COLUMNS).reset_index(TRIAL_COLUMNS).reset_index(drop=True)


def _labels_and_probabilities(predictions: pd.DataFrame) -> tuple[Labels, Floats]:
    return predictions["label"].to_numpy(), predictions["probability"].to_numpy(dtype=np.float64)


def _calibration_columns(validation: pd.DataFrame, test: pd.DataFrame) -> dict[str, float]:
    """Calibrate one trial; see `calibrate` for the columns."""
    from sklearn.metrics import log_loss

    validation_data = _labels_and_probabilities(validation)
    labels, probabilities = _labels_and_probabilities(test)
    temperature, threshold = fit_temperature(*validation_data), fit_threshold(*validation_data)
    row = {"temperature": temperature, "threshold": threshold}
    for suffix, divisor in (("", 1.0), ("_scaled", temperature)):
        scaled = apply_temperature(probabilities, divisor)
        row[f"log_loss{suffix}"] = float(log_loss(labels, scaled, labels=[0, 1]))
        row[f"brier{suffix}"] = brier_score(labels, scaled)
        row[f"ece{suffix}"] = expected_calibration_error(labels, scaled)
    row["accuracy"] = float(np.mean((probabilities > 0.5) == labels))
    row["accuracy_threshold"] = float(np.mean((probabilities > threshold) == labels))
    return row
