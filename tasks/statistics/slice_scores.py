"""Scores of each architecture on slices of the test reviews in any metric that is compared.

`tasks.evaluation.error_analysis` counts correct predictions, so it needs no assumption on their distribution. Other
metrics are not counts. Their variance is that of the contributions of the reviews, or of the groups of reviews.
"""

import numpy as np
import pandas as pd
import scipy  # submodules load on first use
from numpy.typing import NDArray

from tasks.evaluation.error_analysis import tabulate_slices
from tasks.evaluation.grouping import ReviewGroups, effective_groups, make_groups
from tasks.evaluation.metric_record import Floats, Metric
from tasks.evaluation.predictions import Predictions
from tasks.statistics.confidence_intervals import estimate_variance, score_interval

Inside = NDArray[np.bool_]


def slice_scores(predictions: Predictions, slices: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Compare the score of each architecture on each slice with its score on all other test reviews.

    Each architecture predicts with its mean probability over the seeds. The intervals contain no seed variance.

    Args:
        predictions: Predictions of the test split.
        slices: From `tasks.evaluation.error_analysis.assign_slices`.
        metric: A metric with contributions.

    Returns:
        Columns architecture, slice, score, low, high (95% interval), reviews, rest_score, p and p_adjusted (a
        difference of two means of contributions, by group if groups are known; Benjamini & Hochberg 1995 over all
        rows), note. A score is NaN if the metric is not defined on the slice; the note contains the reason.
    """
    return tabulate_slices(predictions, slices, lambda index, inside: _score_slice(predictions, index, inside, metric))


def _score_slice(predictions: Predictions, index: int, inside: Inside, metric: Metric) -> dict[str, object]:
    """Score one architecture on one slice; see `slice_scores` for the columns."""
    own, rest = _contributions(predictions, index, inside, metric), _contributions(predictions, index, ~inside, metric)
    low, high = (np.nan, np.nan) if own is None else _interval(own, _groups_inside(predictions, inside), metric)
    note = _obstacle(predictions.labels, inside, metric)
    p = None if note or own is None or rest is None else _p_value(own, rest, inside, predictions.groups)
    return {
        "score": np.nan if own is None else own.mean(),
        "low": low,
        "high": high,
        "reviews": int(inside.sum()),
        "rest_score": np.nan if rest is None else rest.mean(),
        "p": np.nan if p is None else p,
        "p_adjusted": np.nan,
        "note": note or ("" if p is not None else "too few groups in the slice or in the rest"),
    }


def _obstacle(labels: NDArray[np.int8], inside: Inside, metric: Metric) -> str:
    """Return why the slice cannot be compared with the rest; empty if it can.

    A mean over other classes is another quantity.
    """
    if not inside.any():
        return "the slice is empty"
    if inside.all():
        return "the slice contains every review"
    if metric.needs_both_classes and set(labels[inside]) != set(labels[~inside]):
        return "the slice and the rest contain different classes"
    return "" if metric.is_defined(labels[inside]) else "the metric is not defined with one class"


def _contributions(predictions: Predictions, index: int, inside: Inside, metric: Metric) -> Floats | None:
    """Return the contributions of some reviews to the score of an architecture; None if it is not defined on them."""
    labels = predictions.labels[inside]
    if not len(labels) or not metric.is_defined(labels) or metric.contributions is None:
        return None
    means = predictions.probabilities[index][predictions.present[index]].mean(axis=0, dtype=np.float64)
    return metric.contributions(labels, means[None, inside], classes=predictions.classes)[0]


def _groups_inside(predictions: Predictions, inside: Inside) -> ReviewGroups | None:
    """Return the groups of some of the reviews; None if each review is a group of its own."""
    if predictions.groups is None:
        return None
    numbers = np.empty(len(inside), dtype=np.int64)
    numbers[predictions.groups.order] = np.repeat(np.arange(len(predictions.groups.sizes)), predictions.groups.sizes)
    return make_groups(numbers[inside])


def _interval(contributions: Floats, groups: ReviewGroups | None, metric: Metric) -> tuple[float, float]:
    """Return the 95% interval of a score; NaN if the reviews are of one group, which says nothing about others."""
    if groups is not None and len(groups.sizes) == 1:
        return np.nan, np.nan
    variance = estimate_variance(contributions[None], bounded=metric.is_bounded, deterministic=True, groups=groups)
    reviews = len(contributions) if groups is None else groups.effective
    return score_interval(float(contributions.mean()), variance, bounded=metric.is_bounded, reviews=reviews)


def _p_value(own: Floats, rest: Floats, inside: Inside, groups: ReviewGroups | None) -> float | None:
    """Test whether two scores are equal; None if one side is in so few groups that nothing can be tested.

    A group may have reviews on both sides.
    """
    influence, weights = np.empty(len(inside)), inside / inside.sum() - ~inside / (~inside).sum()
    influence[inside], influence[~inside] = own - own.mean(), rest - rest.mean()
    totals, sizes = influence * weights, np.square(weights)
    if groups is not None:
        totals, sizes = groups.sum(totals), groups.sum(sizes)
    effective = effective_groups(sizes)
    if effective < 2:
        return None
    variance = effective / (effective - 1) * float(np.square(totals).sum())
    distance = abs(float(own.mean() - rest.mean()))
    if variance == 0:
        return float(distance == 0)
    return float(2 * scipy.stats.t.sf(distance / variance**0.5, effective - 1))
