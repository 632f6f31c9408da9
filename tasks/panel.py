"""The predictions as arrays (architecture x seed x review), and what each review contributes to each metric.

Every statistic of the comparison works on these contributions: a metric is the mean of its contributions over the
reviews, so that one resampling and one analysis of variance serve accuracy, F1, AUC and log-loss alike.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.errors import UserError

Floats = NDArray[np.float64]
COLUMNS = ["architecture", "seed", "split", "review_id", "label", "probability"]
CELL = ["architecture", "seed"]
# As in the scores of a single cell: positive above one half; log-loss never meets an exact 0 or 1.
CUT = 0.5
NEAREST_TO_CERTAIN = 1e-7


class Panel(NamedTuple):
    """The predictions of one split, every cell on the same reviews."""

    architectures: list[str]
    seeds: list[int]
    review_ids: NDArray[np.object_]  # (reviews,) sorted
    labels: NDArray[np.int8]  # (reviews,) 0 or 1
    probabilities: NDArray[np.float32]  # (architectures, seeds, reviews); NaN throughout where a cell is missing
    present: NDArray[np.bool_]  # (architectures, seeds)


def panel(predictions: pd.DataFrame, split: str) -> Panel:
    """Arrange the predictions of one split as arrays.

    Cells whose probabilities are all NaN (they diverged) count as missing. Reviews are sorted by their id, so that
    the order of rows has no say in any random draw.

    Args:
        predictions: Columns architecture, seed, split, review_id, label, probability.
        split: "validation" or "test".

    Raises:
        UserError: Where the split is empty, a probability is not in [0, 1], a label not 0 or 1 or not the same in
            every cell, a review there twice, or a cell that covers fewer reviews than the others.
    """
    rows = predictions.loc[predictions["split"] == split, COLUMNS]
    rows = rows[rows.groupby(CELL, observed=True)["probability"].transform("count") > 0]
    if rows.empty:
        raise UserError(f"The predictions hold nothing for the split {split!r}. Predict it with at least one cell.")
    architecture, architectures = pd.factorize(rows["architecture"].astype(str))
    seed, seeds = pd.factorize(rows["seed"].astype(int), sort=True)
    review, review_ids = pd.factorize(rows["review_id"].astype(str), sort=True)
    shape = (len(architectures), len(seeds), len(review_ids))
    cell = architecture * shape[1] + seed
    counts = np.bincount(cell * shape[2] + review, minlength=int(np.prod(shape))).reshape(shape)
    present = np.asarray(counts.any(axis=2))
    labels = np.zeros(shape[2], dtype=np.int8)
    labels[review] = rows["label"].to_numpy(dtype=np.int8, na_value=-1)
    _refuse_faults(rows, split, counts=counts, present=present, agreed=labels[review])
    probabilities = np.full(shape, np.nan, dtype=np.float32)
    probabilities[architecture, seed, review] = rows["probability"].to_numpy(dtype=np.float32)
    return Panel(
        list(architectures), [int(each) for each in seeds], np.asarray(review_ids), labels, probabilities, present
    )


def _refuse_faults(
    rows: pd.DataFrame, split: str, *, counts: NDArray[np.int64], present: NDArray[np.bool_], agreed: NDArray[np.int8]
) -> None:
    """Name everything that is wrong with the rows of a split, in one message."""
    faults = {
        "with a probability that is not a number in [0, 1]": ~rows["probability"].between(0, 1),
        "with a label that is not 0 or 1": ~rows["label"].isin([0, 1]),
        "whose label is not the same in every cell": rows["label"].to_numpy() != agreed,
        "that give a review to the same cell a second time": rows.duplicated([*CELL, "review_id"]),
    }
    problems = [
        f"{int(wrong.sum())} rows {fault}, first {rows.loc[wrong, [*CELL, 'review_id']].head().to_numpy().tolist()}"
        for fault, wrong in ((fault, np.asarray(wrong)) for fault, wrong in faults.items())
        if wrong.any()
    ]
    lacking = int(((counts == 0) & present[..., None]).any(axis=2).sum())
    if lacking:
        problems.append(f"{lacking} cells miss some of the {counts.shape[2]} reviews that others predicted")
    if problems:
        raise UserError(
            f"The predictions of the {split} split cannot be compared: {'; '.join(problems)}. "
            "Predict the same reviews once with every cell, and leave out a cell that diverged."
        )


def right(data: Panel) -> NDArray[np.bool_]:
    """Tell which answers are right: (architectures, seeds, reviews) bool, False for missing cells."""
    return np.asarray(((data.probabilities > CUT) == data.labels.astype(bool)) & data.present[..., None])


def averaged_answers(data: Panel) -> NDArray[np.bool_]:
    """Tell which reviews each architecture has right with its mean probability over seeds: (architectures, reviews).

    A review then counts once however many seeds there are, as the tests on answers (McNemar, Cochran) need it.
    """
    means = np.stack([each[there].mean(axis=0) for each, there in zip(data.probabilities, data.present, strict=True)])
    return np.asarray((means > CUT) == data.labels.astype(bool))


def accuracy_contributions(labels: NDArray[np.int8], probabilities: Floats) -> Floats:
    """Give 1 for each right answer and 0 for each wrong one.

    Args:
        labels: (reviews,) int8, 0 or 1.
        probabilities: (..., reviews) float, of the positive class, in [0, 1].

    Returns:
        (..., reviews) float; their mean is the accuracy.
    """
    return np.asarray((probabilities > CUT) == labels.astype(bool), dtype=np.float64)


def log_loss_contributions(labels: NDArray[np.int8], probabilities: Floats) -> Floats:
    """Give the negative log-likelihood of each true class, in nats; shapes as in `accuracy_contributions`."""
    clipped = np.clip(probabilities, NEAREST_TO_CERTAIN, 1 - NEAREST_TO_CERTAIN)
    return -np.log(np.where(labels == 1, clipped, 1 - clipped))


def f1_contributions(labels: NDArray[np.int8], probabilities: Floats) -> Floats:
    """Give the F1 score plus each review's influence on it; shapes as in `accuracy_contributions`.

    F1 = 2 TP / (called positive + truly positive) is a ratio of two means, so that a review moves it, to first order,
    by (2 tp - F1 (called + true)) / mean(called + true). Source: Efron 1982, "The Jackknife, the Bootstrap and Other
    Resampling Plans", chapter 6 (infinitesimal jackknife). The mean of the contributions is exactly the F1 score;
    it is 0 where no review is positive and none is called so.
    """
    called = (probabilities > CUT).astype(np.float64)
    both = called + labels
    mean_both = both.mean(axis=-1, keepdims=True)
    hits = 2 * called * labels
    score = np.divide(hits.mean(axis=-1, keepdims=True), mean_both, out=np.zeros_like(mean_both), where=mean_both > 0)
    influence = np.divide(hits - score * both, mean_both, out=np.zeros_like(both), where=mean_both > 0)
    return np.asarray(score + influence)


def auc_contributions(labels: NDArray[np.int8], probabilities: Floats) -> Floats:
    """Give the AUC plus each review's influence on it; shapes as in `accuracy_contributions`.

    The influence of a positive review is the share of negatives below it, minus the AUC, over the share of
    positives; and the like for a negative one. Source: DeLong, DeLong & Clarke-Pearson 1988, "Comparing the areas
    under two or more correlated ROC curves". The mean of the contributions is exactly the AUC. Needs both classes.
    """
    flat = probabilities.reshape(-1, len(labels))
    return np.stack([_auc_of_one(labels == 1, row) for row in flat]).reshape(probabilities.shape)


def _auc_of_one(positive: NDArray[np.bool_], scores: Floats) -> Floats:
    """Give the AUC contributions of one cell, from sorted scores: ties count half."""
    own, others = np.sort(scores[positive]), np.sort(scores[~positive])

    def share_below(values: Floats, among: Floats) -> Floats:
        return (np.searchsorted(among, values, "left") + np.searchsorted(among, values, "right")) / (2 * len(among))

    placement = np.empty_like(scores, dtype=np.float64)
    placement[positive] = share_below(scores[positive], others)
    placement[~positive] = 1 - share_below(scores[~positive], own)
    area = placement[positive].mean()
    share = np.where(positive, positive.mean(), 1 - positive.mean())
    return np.asarray(area + (placement - area) / share)


# A metric whose differences are tested: what each review contributes, (labels, probabilities) -> contributions.
CONTRIBUTIONS: dict[str, Callable[[NDArray[np.int8], Floats], Floats]] = {
    "accuracy": accuracy_contributions,
    "f1": f1_contributions,
    "auc": auc_contributions,
    "log_loss": log_loss_contributions,
}
LOWER_IS_BETTER = {"log_loss"}
NEED_BOTH_CLASSES = {"f1", "auc"}


def contributions(data: Panel, metrics: Collection[str] | None = None) -> dict[str, Floats]:
    """Compute what each review contributes to each metric that these labels can tell.

    Args:
        data: The predictions of one split.
        metrics: Which of `CONTRIBUTIONS` to compute; all of them where None.

    Returns:
        Metric to (architectures, seeds, reviews) float64, NaN throughout where a cell is missing. With one class
        alone in the labels, F1 and AUC say nothing and are left out.
    """
    one_class = len(np.unique(data.labels)) < 2
    found: dict[str, Floats] = {}
    for name, contribute in CONTRIBUTIONS.items():
        if (metrics is None or name in metrics) and not (one_class and name in NEED_BOTH_CLASSES):
            found[name] = np.full(data.probabilities.shape, np.nan)
            found[name][data.present] = contribute(data.labels, data.probabilities[data.present].astype(np.float64))
    return found
