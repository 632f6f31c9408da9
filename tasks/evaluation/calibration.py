"""Calibration of probabilities: calibration error, temperature scaling and the decision threshold.

Temperature and threshold are fitted on the validation split and reported on the test split. They are 1 and 0.5 unless
others are better in cross-validation, because a small validation split determines neither.
"""

import numpy as np
import pandas as pd

from tasks.evaluation.cross_validation import FOLDS, Labels, improves_held_out, make_singletons
from tasks.evaluation.grouping import ReviewGroups, groups_of_rows, proportion_interval
from tasks.evaluation.metrics import (
    CLIP,
    THRESHOLD,
    Floats,
    accuracy_contributions,
    log_loss_contributions,
    predicted_labels,
)
from tasks.evaluation.predictions import TRIAL_COLUMNS

BINS = 15
TEMPERATURES = (0.05, 20.0)
# Standard deviation of the logarithm of the temperature: 95% of the prior is between 0.68 and 1.5, as are temperatures
# of networks and baselines that are fitted to thousands of reviews. With so many reviews the prior hardly matters.
PRIOR_DEVIATION = 0.2
NO_GAIN = "no lower log-loss with another one in cross-validation"


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
    from scipy.special import expit

    return np.asarray(expit(_log_odds(probabilities) / temperature))


def _log_odds(probabilities: Floats) -> Floats:
    from scipy.special import logit

    return np.asarray(logit(np.clip(np.asarray(probabilities, dtype=np.float64), CLIP, 1 - CLIP)))


def fit_temperature(labels: Labels, probabilities: Floats, groups: ReviewGroups | None = None) -> float:
    """Compute the temperature of the probabilities; above 1 if they are overconfident.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks".

    Args:
        labels: (reviews,) int8, labels of the validation split.
        probabilities: (reviews,) float, predictions for the validation split.
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
    units = groups or make_singletons(len(labels))
    if min(int((units.sum((labels == label).astype(float)) > 0).sum()) for label in (0, 1)) < FOLDS:
        return f"fewer than {FOLDS} independent validation reviews of a class"
    if np.all(probabilities == probabilities[0]):
        return "all predictions are equal"
    # The lower the temperature, the higher the likelihood.
    if np.all(predicted_labels(probabilities) == labels):
        return "all validation predictions are correct"
    return ""


def estimate_temperature(labels: Labels, probabilities: Floats) -> float:
    """Return the most probable temperature given the reviews, in `TEMPERATURES`.

    The targets are the expected labels of further reviews instead of 0 and 1 (Platt 1999, "Probabilistic Outputs for
    Support Vector Machines"), and the logarithm of the temperature has a normal prior (Gelman et al. 2008, "A weakly
    informative default prior distribution for logistic and other regression models"). Both matter only if there are
    few reviews: they keep the temperature from values that a handful of correct predictions would suggest.
    """
    from scipy.optimize import minimize_scalar

    logits, positives, reviews = _log_odds(probabilities), int(labels.sum()), len(labels)
    targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (reviews - positives + 2))

    def loss(log_temperature: float) -> float:
        scaled = logits * np.exp(-log_temperature)
        penalty = (log_temperature / PRIOR_DEVIATION) ** 2 / 2
        return float(np.sum(np.logaddexp(0, scaled) - targets * scaled)) + penalty

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def _log_loss_decrease(labels: Labels, probabilities: Floats, temperature: float) -> Floats:
    scaled = apply_temperature(probabilities, temperature)
    return log_loss_contributions(labels, probabilities) - log_loss_contributions(labels, scaled)


def fit_threshold(labels: Labels, probabilities: Floats, groups: ReviewGroups | None = None) -> float:
    """Compute the threshold with the highest accuracy, or 0.5 if it is not clearly better in cross-validation.

    A review is predicted as positive if its probability is above the threshold. Arguments are those of
    `fit_temperature`; the threshold is in [0, 1].
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
        predictions: Columns architecture, seed, split, label, probability, and cluster where it is known.

    Returns:
        Columns architecture, seed, temperature, threshold, then for the test split log_loss, brier, ece,
        log_loss_scaled, brier_scaled, ece_scaled, accuracy (at the threshold 0.5) and accuracy_threshold, and note (why
        the temperature is 1; empty if it is another one). Trials without predictions of both splits are left out.
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


def _calibration_columns(validation: pd.DataFrame, test: pd.DataFrame) -> dict[str, float | str]:
    """Calibrate one trial; see `calibrate` for the columns."""
    from sklearn.metrics import log_loss

    validation_data = (*_labels_and_probabilities(validation), groups_of_rows(validation))
    labels, probabilities = _labels_and_probabilities(test)
    temperature, threshold = fit_temperature(*validation_data), fit_threshold(*validation_data)
    row: dict[str, float | str] = {"temperature": temperature, "threshold": threshold}
    for suffix, divisor in (("", 1.0), ("_scaled", temperature)):
        scaled = apply_temperature(probabilities, divisor)
        row[f"log_loss{suffix}"] = float(log_loss(labels, scaled, labels=[0, 1]))
        row[f"brier{suffix}"] = brier_score(labels, scaled)
        row[f"ece{suffix}"] = expected_calibration_error(labels, scaled)
    row["accuracy"] = float(np.mean((probabilities > THRESHOLD) == labels))
    row["accuracy_threshold"] = float(np.mean((probabilities > threshold) == labels))
    row["note"] = "" if temperature != 1 else temperature_obstacle(*validation_data) or NO_GAIN
    return row
