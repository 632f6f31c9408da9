"""Error analysis: scores on slices of the test reviews, disagreement of architectures, and confident errors."""

import itertools
import re
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.data.tokenization import text_array
from tasks.evaluation.grouping import ReviewGroups, compare_proportions, proportion_interval
from tasks.evaluation.predictions import (
    Predictions,
    correct_mean_predictions,
    correct_predictions,
    mean_predicted_labels,
)

LENGTH_BOUNDS = (0, 100, 200, 400, np.inf)  # words; a slice starts above a bound and includes the next one
NEGATION = re.compile(r"\b(?:not|no|never|none|nothing|nobody|neither|nor|cannot|\w+n['’]t)\b", re.IGNORECASE)


def assign_slices(reviews: pd.DataFrame) -> pd.DataFrame:
    """Return which slices each test review belongs to.

    Args:
        reviews: Columns review_id, split, text.

    Returns:
        Index review_id (test reviews), one bool column per slice: ranges of the length in words, with and without a
        negation, and "not in training" (reviews whose text is not in the training or validation split).
    """
    test = reviews[reviews["split"] == "test"].set_index("review_id")
    words = test["text"].map(lambda text: len(text.split()))
    slices = {}
    for low, high in itertools.pairwise(LENGTH_BOUNDS):
        name = f"over {low:.0f} words" if np.isinf(high) else f"{low + 1:.0f} to {high:.0f} words"
        slices[name] = words.between(low, high, inclusive="right") if low else words <= high
    negated = test["text"].map(lambda text: bool(NEGATION.search(text))).astype(bool)
    others = reviews.loc[reviews["split"] != "test", "text"]
    # pandas would convert every text to a Python string.
    seen = pc.is_in(text_array(test["text"]), text_array(others)).to_numpy(zero_copy_only=False)
    return pd.DataFrame({**slices, "with negation": negated, "without negation": ~negated, "not in training": ~seen})


def score_slices(predictions: Predictions, slices: pd.DataFrame) -> pd.DataFrame:
    """Compare the accuracy of each architecture on each slice with its accuracy on all other test reviews.

    Each architecture predicts with its mean probability over the seeds, so each review counts once. The intervals
    contain no seed variance.

    Args:
        predictions: Predictions of the test split.
        slices: From `assign_slices`.

    Returns:
        Columns architecture, slice, accuracy, low, high (95% Wilson interval), reviews, rest_accuracy, p and p_adjusted
        (Fisher's exact test against the rest, Benjamini & Hochberg 1995 over all rows), note. A slice that contains no
        review or every review has no p-value; the note contains the reason. An empty slice has no accuracy. If groups
        of reviews are known, the interval and the test are by group (`proportion_interval`, `compare_proportions`).
    """
    correct = correct_mean_predictions(predictions)
    return tabulate_slices(
        predictions, slices, lambda index, inside: _slice_columns(correct[index], inside, predictions.groups)
    )


def tabulate_slices(
    predictions: Predictions, slices: pd.DataFrame, score: Callable[[int, NDArray[np.bool_]], Mapping[str, object]]
) -> pd.DataFrame:
    """Score each architecture on each slice, and correct the p-values (Benjamini & Hochberg 1995 over all rows).

    Args:
        predictions: Predictions of the test split.
        slices: From `assign_slices`.
        score: Function from the number of an architecture and (reviews,) whether each review is in the slice to columns
            of a row, among them p and p_adjusted (NaN).

    Returns:
        Columns architecture, slice, and those of `score`.
    """
    from statsmodels.stats.multitest import multipletests

    members = slices.reindex(predictions.review_ids).fillna(False).astype(bool)
    rows = [
        {"architecture": name, "slice": column, **score(index, members[column].to_numpy())}
        for index, name in enumerate(predictions.architectures)
        for column in slices.columns
    ]
    scores = pd.DataFrame(rows)
    tested = scores["p"].notna()
    if tested.any():
        scores.loc[tested, "p_adjusted"] = multipletests(scores.loc[tested, "p"], method="fdr_bh")[1]
    return scores


def _slice_columns(
    correct: NDArray[np.bool_], inside: NDArray[np.bool_], groups: ReviewGroups | None
) -> dict[str, object]:
    """Score one architecture on one slice; see `score_slices` for the columns."""
    own, rest = correct[inside], correct[~inside]
    low, high = _interval(correct, inside, groups) if len(own) else (0.0, 1.0)
    note = "" if len(own) and len(rest) else "the slice contains every review" if len(own) else "the slice is empty"
    p = None if note else _p_value(correct, inside, groups)
    if not note and p is None:
        note = "too few groups in the slice or in the rest"
    return {
        "accuracy": own.mean() if len(own) else np.nan,
        "low": float(low),
        "high": float(high),
        "reviews": len(own),
        "rest_accuracy": rest.mean() if len(rest) else np.nan,
        "p": np.nan if p is None else p,
        "p_adjusted": np.nan,
        "note": note,
    }


def _interval(
    correct: NDArray[np.bool_], inside: NDArray[np.bool_], groups: ReviewGroups | None
) -> tuple[float, float]:
    """Return the 95% interval of the accuracy on a slice with at least one review."""
    from statsmodels.stats.proportion import proportion_confint

    if groups is not None:
        return proportion_interval(correct, inside, groups)
    low, high = proportion_confint(correct[inside].sum(), inside.sum(), method="wilson")
    return low, high


def _p_value(correct: NDArray[np.bool_], inside: NDArray[np.bool_], groups: ReviewGroups | None) -> float | None:
    """Compare the accuracy on a slice with that on the rest; both have at least one review. None if not possible."""
    from scipy.stats import fisher_exact

    if groups is not None:
        return compare_proportions(correct, inside, groups)
    own, rest = correct[inside], correct[~inside]
    return float(fisher_exact([[own.sum(), (~own).sum()], [rest.sum(), (~rest).sum()]]).pvalue)


def disagreement_matrix(predictions: Predictions) -> pd.DataFrame:
    """Compute the share of reviews for which two architectures predict different labels, in [0, 1].

    Returns:
        Square frame with the architectures as index and columns.
    """
    predicted = dict(zip(predictions.architectures, mean_predicted_labels(predictions), strict=True))
    return pd.DataFrame({a: {b: float(np.mean(predicted[a] != predicted[b])) for b in predicted} for a in predicted})


def confident_errors(predictions: Predictions, reviews: pd.DataFrame, *, limit: int = 10) -> pd.DataFrame:
    """Return the reviews that every trial predicts incorrectly, most confident first.

    Args:
        predictions: Predictions of the test split.
        reviews: Columns review_id, split, text.
        limit: Maximum number of reviews.

    Returns:
        Columns review_id, label, predicted (only with more than two classes: the wrong class with the highest mean
        probability over the trials), probability (mean over the trials, of class 1, or of the predicted one of more
        classes) and text, not escaped. Empty if there is no such review.
    """
    all_wrong = np.asarray(~correct_predictions(predictions)[predictions.present].any(axis=0))
    means = predictions.probabilities[predictions.present].mean(axis=0)
    errors = pd.DataFrame({"review_id": predictions.review_ids, "label": predictions.labels})
    if predictions.classes == 2:
        errors["probability"] = means
        errors["confidence"] = (errors["probability"] - errors["label"]).abs()
    else:
        # The trials may predict different classes, so that the mean favors the true one.
        wrong = np.where(predictions.labels[:, None] == np.arange(predictions.classes), -1, means)
        errors["predicted"], errors["probability"] = wrong.argmax(axis=1), wrong.max(axis=1)
        errors["confidence"] = errors["probability"]
    errors = errors.loc[all_wrong].sort_values(["confidence", "review_id"], ascending=[False, True])
    errors = errors.head(limit).drop(columns="confidence")
    texts = reviews.loc[reviews["split"] == "test", ["review_id", "text"]].astype({"review_id": str})
    return errors.merge(texts, on="review_id", how="left").reset_index(drop=True)
