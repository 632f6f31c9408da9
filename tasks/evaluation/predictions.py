"""Predictions of one split as arrays, and their contributions to the metrics."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.config.errors import UserError
from tasks.evaluation.grouping import GROUP_COLUMN, ReviewGroups, groups_of_rows
from tasks.evaluation.metrics import METRICS, Floats, predicted_labels
from tasks.storage.probabilities import count_classes, probability_columns, read_probabilities

PREDICTION_COLUMNS = ["architecture", "seed", "split", "review_id", "label"]  # besides the probabilities
TRIAL_COLUMNS = ["architecture", "seed"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of all trials for the reviews of one split.

    Attributes:
        architectures: Names of the architectures.
        seeds: Seeds, ascending.
        review_ids: (reviews,) str, ascending.
        labels: (reviews,) int8, from 0 to `classes` - 1.
        probabilities: (architectures, seeds, reviews) float32, of class 1; (architectures, seeds, reviews, classes)
            with more than two classes; NaN for a missing trial.
        present: (architectures, seeds) bool, False for a missing trial.
        groups: Which reviews belong together; None if each one is independent of the others as far as is known.
    """

    architectures: list[str]
    seeds: list[int]
    review_ids: NDArray[np.object_]
    labels: NDArray[np.int8]
    probabilities: NDArray[np.float32]
    present: NDArray[np.bool_]
    groups: ReviewGroups | None = None

    @property
    def classes(self) -> int:
        """Return the number of classes."""
        return 2 if self.probabilities.ndim == 3 else self.probabilities.shape[-1]


def predictions_of_split(predictions: pd.DataFrame, split: str) -> Predictions:
    """Return the predictions of one split as arrays.

    A trial whose probabilities are all NaN (a diverged one) counts as missing. Reviews are sorted by their id, so the
    order of the rows does not change any random draw.

    Args:
        predictions: Columns architecture, seed, split, review_id, label, those of the probabilities (see
            `tasks.storage.probabilities`), and cluster where it is known (see `add_groups`).
        split: "validation" or "test".

    Raises:
        UserError: If the split is empty, a probability is not in [0, 1], a label is not one of the classes or differs
            between trials, a trial has two predictions of one review, or a trial lacks reviews that others have.
    """
    classes = count_classes(predictions.columns)
    columns = [*PREDICTION_COLUMNS, *probability_columns(classes), *({GROUP_COLUMN} & set(predictions))]
    rows = predictions.loc[predictions["split"] == split, columns]
    known = rows.groupby(TRIAL_COLUMNS, observed=True)[probability_columns(classes)[0]].transform("count")
    rows = rows[known > 0]
    if rows.empty:
        raise UserError(f"There are no predictions of the split {split!r}. Predict it with at least one trial.")
    architecture, architectures = pd.factorize(rows["architecture"].astype(str))
    seed, seeds = pd.factorize(rows["seed"].astype(int), sort=True)
    review, review_ids = pd.factorize(rows["review_id"].astype(str), sort=True)
    shape = (len(architectures), len(seeds), len(review_ids))
    trial = architecture * shape[1] + seed
    counts = np.bincount(trial * shape[2] + review, minlength=int(np.prod(shape))).reshape(shape)
    present = np.asarray(counts.any(axis=2))
    labels = np.zeros(shape[2], dtype=np.int8)
    labels[review] = rows["label"].to_numpy(dtype=np.int8, na_value=-1)
    incomplete = int(((counts == 0) & present[..., None]).any(axis=2).sum())
    _check_predictions(rows, split, expected_labels=labels[review], incomplete=incomplete, reviews=shape[2])
    values = read_probabilities(rows)
    probabilities = np.full((*shape, *values.shape[1:]), np.nan, dtype=np.float32)
    probabilities[architecture, seed, review] = values
    seed_list = [int(value) for value in seeds]
    ids = np.asarray(review_ids)
    _, first_rows = np.unique(review, return_index=True)
    groups = groups_of_rows(rows.iloc[first_rows])
    return Predictions(list(architectures), seed_list, ids, labels, probabilities, present, groups)


def _check_predictions(
    rows: pd.DataFrame, split: str, *, expected_labels: NDArray[np.int8], incomplete: int, reviews: int
) -> None:
    """Raise one UserError with all problems in the predictions of a split.

    Args:
        rows: Predictions of the split.
        split: Its name.
        expected_labels: (rows,) int8, the label that another row has for the same review.
        incomplete: Number of trials without predictions of some reviews.
        reviews: Number of reviews of the split.
    """
    probabilities, classes = read_probabilities(rows).reshape(len(rows), -1), count_classes(rows.columns)
    checks = {
        "with a probability that is not a number in [0, 1]": ~((probabilities >= 0) & (probabilities <= 1)).all(axis=1),
        f"with a label that is not {'0 or 1' if classes == 2 else f'in 0 to {classes - 1}'}": (
            ~rows["label"].isin(range(classes))
        ),
        "with a label that differs between trials": rows["label"].to_numpy() != expected_labels,
        "with a second prediction of a review by the same trial": rows.duplicated([*TRIAL_COLUMNS, "review_id"]),
    }
    problems = [
        f"{int(wrong.sum())} rows {name}, first "
        f"{rows.loc[wrong, [*TRIAL_COLUMNS, 'review_id']].head().to_numpy().tolist()}"
        for name, wrong in ((name, np.asarray(wrong)) for name, wrong in checks.items())
        if wrong.any()
    ]
    if incomplete:
        problems.append(f"{incomplete} trials lack predictions of some of the {reviews} reviews")
    if problems:
        raise UserError(
            f"The predictions of the {split} split cannot be compared: {'; '.join(problems)}. "
            "Predict the same reviews once with every trial, and leave out trials that diverged."
        )


def correct_predictions(predictions: Predictions) -> NDArray[np.bool_]:
    """Return which predictions are correct: (architectures, seeds, reviews) bool, False for a missing trial."""
    correct = predicted_labels(predictions.probabilities, classes=predictions.classes) == predictions.labels
    return np.asarray(correct & predictions.present[..., None])


def correct_mean_predictions(predictions: Predictions) -> NDArray[np.bool_]:
    """Return which reviews each architecture predicts correctly with its mean probability over the seeds.

    Each review counts once, however many seeds there are, as McNemar's and Cochran's tests require.

    Returns:
        (architectures, reviews) bool.
    """
    return np.asarray(mean_predicted_labels(predictions) == predictions.labels)


def mean_predicted_labels(predictions: Predictions) -> NDArray[np.int8]:
    """Return the class that each architecture predicts with its mean probability over the seeds.

    Returns:
        (architectures, reviews) int8.
    """
    trials = zip(predictions.probabilities, predictions.present, strict=True)
    means = np.stack([probabilities[present].mean(axis=0) for probabilities, present in trials])
    return np.asarray(predicted_labels(means, classes=predictions.classes), dtype=np.int8)


def metric_contributions(predictions: Predictions, metrics: Collection[str] | None = None) -> dict[str, Floats]:
    """Compute the contribution of each review to each metric.

    Args:
        predictions: Predictions of one split.
        metrics: Names of metrics that have contributions; all of them if None.

    Returns:
        Metric to (architectures, seeds, reviews) float64, NaN for a missing trial. Metrics that are undefined, because
        all labels are equal, are left out.
    """
    probabilities = predictions.probabilities[predictions.present].astype(np.float64)
    shape = (*predictions.present.shape, len(predictions.labels))
    contributions: dict[str, Floats] = {}
    for name, metric in METRICS.items():
        if metric.contributions is None or not metric.is_defined(predictions.labels):
            continue
        if metrics is None or name in metrics:
            values = metric.contributions(predictions.labels, probabilities, classes=predictions.classes)
            contributions[name] = np.full(shape, np.nan)
            contributions[name][predictions.present] = values
    return contributions
