"""Do the probabilities mean what they say: calibration error, temperature, and the threshold, both from validation."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.evaluation.metrics import CLIP, Floats
from tasks.evaluation.predictions import TRIAL

Labels = NDArray[np.int8]
BINS = 15


def brier_score(labels: Labels, probabilities: Floats) -> float:
    """Compute the mean squared distance of the probability from the label, in [0, 1] (Brier 1950)."""
    from sklearn.metrics import brier_score_loss

    return float(brier_score_loss(labels, probabilities, pos_label=1))


def reliability(labels: Labels, probabilities: Floats, *, bins: int = BINS) -> pd.DataFrame:
    """Hold predicted probabilities against what came true, in bins of equal mass.

    Reviews of the same probability stay in one bin, so that the order of rows has no say; there may be fewer bins.

    Returns:
        Columns bin (from 1), predicted (mean probability), observed (share of positives), low, high (95% Wilson
        interval of observed) and reviews.
    """
    from statsmodels.stats.proportion import proportion_confint

    edges = np.unique(np.quantile(probabilities, np.linspace(0, 1, bins + 1)[1:-1]))
    frame = pd.DataFrame({"bin": np.searchsorted(edges, probabilities), "p": probabilities, "label": labels})
    found = frame.groupby("bin").agg(predicted=("p", "mean"), observed=("label", "mean"), reviews=("label", "size"))
    low, high = proportion_confint(found["observed"] * found["reviews"], found["reviews"], method="wilson")
    found = found.assign(low=low, high=high).reset_index(drop=True)
    found.insert(0, "bin", np.arange(1, len(found) + 1))
    return found[["bin", "predicted", "observed", "low", "high", "reviews"]]


def expected_calibration_error(labels: Labels, probabilities: Floats, *, bins: int = BINS) -> float:
    """Compute the mean distance of predicted from observed over bins of equal mass, in [0, 1].

    Source: Nguyen & O'Connor 2015, "Posterior calibration and exploratory analysis for natural language processing
    models" (adaptive binning).
    """
    found = reliability(labels, probabilities, bins=bins)
    return float(np.average((found["predicted"] - found["observed"]).abs(), weights=found["reviews"]))


def scaled(probabilities: Floats, temperature: float) -> Floats:
    """Divide the log-odds of probabilities by a temperature above 0."""
    from scipy.special import expit, logit

    clipped = np.clip(np.asarray(probabilities, dtype=np.float64), CLIP, 1 - CLIP)
    return np.asarray(expit(logit(clipped) / temperature))


def fitted_temperature(labels: Labels, probabilities: Floats) -> float:
    """Find the temperature with the lowest log-loss, in [0.05, 20]: above 1 where the model is too sure of itself.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks". To be given the validation reviews.
    """
    from scipy.optimize import minimize_scalar
    from sklearn.metrics import log_loss

    def loss(logarithm: float) -> float:
        return float(log_loss(labels, scaled(probabilities, float(np.exp(logarithm))), labels=[0, 1]))

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def best_threshold(labels: Labels, probabilities: Floats) -> float:
    """Find the threshold with the highest accuracy; of equally good ones the nearest to one half.

    A review is called positive where its probability is above the threshold. To be given the validation reviews.
    """
    order = np.argsort(probabilities, kind="stable")
    values, positive = np.asarray(probabilities, dtype=np.float64)[order], np.asarray(labels)[order] == 1
    cuts = np.concatenate([[0.0], (values[:-1] + values[1:]) / 2, [1.0], [0.5]])
    rights = np.concatenate([[0], np.cumsum(~positive)]) + np.concatenate([np.cumsum(positive[::-1])[::-1], [0]])
    below = np.searchsorted(values, cuts, side="right")
    scores = rights[below]
    best = np.flatnonzero(scores == scores.max())
    return float(cuts[best[np.argmin(np.abs(cuts[best] - 0.5))]])


def calibrate(predictions: pd.DataFrame) -> pd.DataFrame:
    """Fit temperature and threshold of each trial on its validation reviews, and report their effect on test.

    Returns:
        Columns architecture, seed, temperature, threshold, then on the test reviews log_loss, brier, ece,
        log_loss_scaled, brier_scaled, ece_scaled, accuracy (threshold one half) and accuracy_threshold. Trials without
        predictions of both splits are left out.
    """
    kept = predictions[predictions["probability"].notna()]
    rows = []
    for (architecture, seed), group in kept.groupby(TRIAL, sort=False, observed=True):
        parts = dict(iter(group.groupby("split", observed=True)))
        if {"validation", "test"} <= parts.keys():
            rows.append(
                {"architecture": architecture, "seed": seed, **_calibrate_trial(parts["validation"], parts["test"])}
            )
    return pd.DataFrame(rows)


def reliabilities(predictions: pd.DataFrame) -> pd.DataFrame:
    """Hold each trial's probabilities against what came true on the test reviews.

    Returns:
        Columns architecture, seed, and those of `reliability`; trials without predictions are left out.
    """
    test = predictions[(predictions["split"] == "test") & predictions["probability"].notna()]
    trials = {
        trial: reliability(rows["label"].to_numpy(), rows["probability"].to_numpy(dtype=np.float64))
        for trial, rows in test.groupby(TRIAL, sort=False, observed=True)
    }
    return pd.concat(trials, names=TRIAL).reset_index(TRIAL).reset_index(drop=True)


def _calibrate_trial(validation: pd.DataFrame, test: pd.DataFrame) -> dict[str, float]:
    from sklearn.metrics import log_loss

    given, labels = (part["label"].to_numpy() for part in (validation, test))
    known, raw = (part["probability"].to_numpy(dtype=np.float64) for part in (validation, test))
    temperature, threshold = fitted_temperature(given, known), best_threshold(given, known)
    row = {"temperature": temperature, "threshold": threshold}
    for ending, values in (("", scaled(raw, 1.0)), ("_scaled", scaled(raw, temperature))):
        row[f"log_loss{ending}"] = float(log_loss(labels, values, labels=[0, 1]))
        row[f"brier{ending}"] = brier_score(labels, values)
        row[f"ece{ending}"] = expected_calibration_error(labels, values)
    row["accuracy"] = float(np.mean((raw > 0.5) == labels))
    row["accuracy_threshold"] = float(np.mean((raw > threshold) == labels))
    return row
