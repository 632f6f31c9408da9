"""The predictions as arrays (architecture x seed x review), and what each review contributes to each metric."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.config.errors import UserError
from tasks.evaluation.metrics import METRICS, THRESHOLD, Floats

COLUMNS = ["architecture", "seed", "split", "review_id", "label", "probability"]
TRIAL = ["architecture", "seed"]


class Panel(NamedTuple):
    """The predictions of one split, every trial on the same reviews."""

    architectures: list[str]
    seeds: list[int]
    review_ids: NDArray[np.object_]  # (reviews,) sorted
    labels: NDArray[np.int8]  # (reviews,) 0 or 1
    probabilities: NDArray[np.float32]  # (architectures, seeds, reviews); NaN throughout where a trial is missing
    present: NDArray[np.bool_]  # (architectures, seeds)


def panel(predictions: pd.DataFrame, split: str) -> Panel:
    """Arrange the predictions of one split as arrays.

    Trials whose probabilities are all NaN (they diverged) count as missing. Reviews are sorted by their id, so that
    the order of rows has no say in any random draw.

    Args:
        predictions: Columns architecture, seed, split, review_id, label, probability.
        split: "validation" or "test".

    Raises:
        UserError: Where the split is empty, a probability is not in [0, 1], a label not 0 or 1 or not the same in
            every trial, a review there twice, or a trial that covers fewer reviews than the others.
    """
    rows = predictions.loc[predictions["split"] == split, COLUMNS]
    rows = rows[rows.groupby(TRIAL, observed=True)["probability"].transform("count") > 0]
    if rows.empty:
        raise UserError(f"The predictions hold nothing for the split {split!r}. Predict it with at least one trial.")
    architecture, architectures = pd.factorize(rows["architecture"].astype(str))
    seed, seeds = pd.factorize(rows["seed"].astype(int), sort=True)
    review, review_ids = pd.factorize(rows["review_id"].astype(str), sort=True)
    shape = (len(architectures), len(seeds), len(review_ids))
    trial = architecture * shape[1] + seed
    counts = np.bincount(trial * shape[2] + review, minlength=int(np.prod(shape))).reshape(shape)
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
        "whose label is not the same in every trial": rows["label"].to_numpy() != agreed,
        "that give a review to the same trial a second time": rows.duplicated([*TRIAL, "review_id"]),
    }
    problems = [
        f"{int(wrong.sum())} rows {fault}, first {rows.loc[wrong, [*TRIAL, 'review_id']].head().to_numpy().tolist()}"
        for fault, wrong in ((fault, np.asarray(wrong)) for fault, wrong in faults.items())
        if wrong.any()
    ]
    lacking = int(((counts == 0) & present[..., None]).any(axis=2).sum())
    if lacking:
        problems.append(f"{lacking} trials miss some of the {counts.shape[2]} reviews that others predicted")
    if problems:
        raise UserError(
            f"The predictions of the {split} split cannot be compared: {'; '.join(problems)}. "
            "Predict the same reviews once with every trial, and leave out a trial that diverged."
        )


def right(data: Panel) -> NDArray[np.bool_]:
    """Tell which answers are right: (architectures, seeds, reviews) bool, False for missing trials."""
    return np.asarray(((data.probabilities > THRESHOLD) == data.labels.astype(bool)) & data.present[..., None])


def averaged_answers(data: Panel) -> NDArray[np.bool_]:
    """Tell which reviews each architecture has right with its mean probability over seeds: (architectures, reviews).

    A review then counts once however many seeds there are, as the tests on answers (McNemar, Cochran) need it.
    """
    means = np.stack([each[there].mean(axis=0) for each, there in zip(data.probabilities, data.present, strict=True)])
    return np.asarray((means > THRESHOLD) == data.labels.astype(bool))


def contributions(data: Panel, metrics: Collection[str] | None = None) -> dict[str, Floats]:
    """Compute what each review contributes to each metric that these labels can tell.

    Args:
        data: The predictions of one split.
        metrics: Which metrics that have contributions to compute; all of them where None.

    Returns:
        Metric to (architectures, seeds, reviews) float64, NaN throughout where a trial is missing. With one class
        alone in the labels, F1 and AUC say nothing and are left out.
    """
    one_class = len(np.unique(data.labels)) < 2
    found: dict[str, Floats] = {}
    for name, metric in METRICS.items():
        if metric.contributions is None or (one_class and metric.needs_both_classes):
            continue
        if metrics is None or name in metrics:
            found[name] = np.full(data.probabilities.shape, np.nan)
            probabilities = data.probabilities[data.present].astype(np.float64)
            found[name][data.present] = metric.contributions(data.labels, probabilities)
    return found
