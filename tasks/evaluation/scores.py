"""Scores of each trial: metrics, scores per class, confusion matrices, generalization gaps and the ranking."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tasks.config.metric_names import DEFAULT_METRIC
from tasks.evaluation.metrics import LOWER_IS_BETTER, METRICS, predicted_labels
from tasks.storage.probabilities import count_classes, read_probabilities

TRIAL_SPLIT_COLUMNS = ["architecture", "seed", "split"]


def class_keys(classes: int) -> tuple[str, ...]:
    """Return what stands for the names of the classes in the tables of an evaluation, which does not know them."""
    return ("negative", "positive") if classes == 2 else tuple(map(str, range(classes)))


def score_trials(predictions: pd.DataFrame) -> pd.DataFrame:
    """Score every trial on every split with every metric.

    Args:
        predictions: Columns architecture, seed, split, review_id, label, and those of the probabilities.

    Returns:
        Columns architecture, seed, split, metric, value; one row per trial, split and metric of `METRICS`.

    Raises:
        ValueError: If a probability is not in [0, 1]. A trial that diverged must not have predictions.
    """
    probabilities = read_probabilities(predictions).reshape(len(predictions), -1)
    wrong = pd.Series(~((probabilities >= 0) & (probabilities <= 1)).all(axis=1), index=predictions.index)
    if wrong.any():
        trials = predictions.loc[wrong, TRIAL_SPLIT_COLUMNS].drop_duplicates().astype(str).agg("/".join, axis=1)
        raise ValueError(f"{wrong.sum()} probabilities are not in [0, 1], in {', '.join(trials.head())}")
    classes = count_classes(predictions.columns)
    rows = [
        (*trial, name, metric.score(group["label"].to_numpy(), read_probabilities(group), classes=classes))
        for trial, group in predictions.groupby(TRIAL_SPLIT_COLUMNS, sort=False, observed=True)
        for name, metric in METRICS.items()
    ]
    return pd.DataFrame(rows, columns=[*TRIAL_SPLIT_COLUMNS, "metric", "value"])


def classification_reports(predictions: pd.DataFrame) -> pd.DataFrame:
    """Score every trial on each class.

    Args:
        predictions: Columns architecture, seed, split, label, and those of the probabilities.

    Returns:
        Columns architecture, seed, split, class (see `class_keys`), precision, recall, f1 (in [0, 1], 0 if undefined)
        and support (number of reviews of the class).
    """
    from sklearn.metrics import precision_recall_fscore_support

    classes = count_classes(predictions.columns)
    rows: list[tuple[object, ...]] = []
    for trial, labels, predicted in _predicted_by_trial(predictions):
        *scores, support = precision_recall_fscore_support(
            labels, predicted, labels=list(range(classes)), zero_division=0
        )
        counts = support.astype(int)  # scikit-learn returns floats if no prediction is correct
        rows += [(*trial, name, *values) for name, *values in zip(class_keys(classes), *scores, counts, strict=True)]
    return pd.DataFrame(rows, columns=[*TRIAL_SPLIT_COLUMNS, "class", "precision", "recall", "f1", "support"])


def confusion_matrices(predictions: pd.DataFrame) -> pd.DataFrame:
    """Count the reviews of every trial by true and predicted label.

    Args:
        predictions: Columns architecture, seed, split, label, and those of the probabilities.

    Returns:
        Columns architecture, seed, split, label, predicted (classes from 0), count. Two classes have four rows per
        trial and split, also if a count is 0; of more classes, counts of 0 are left out.
    """
    classes = count_classes(predictions.columns)
    rows: list[tuple[object, ...]] = []
    for trial, labels, predicted in _predicted_by_trial(predictions):
        counts = np.bincount(labels.astype(int) * classes + predicted, minlength=classes**2)
        cells = np.arange(classes**2) if classes == 2 else np.flatnonzero(counts)
        rows += [(*trial, *divmod(cell, classes), counts[cell]) for cell in cells.tolist()]
    return pd.DataFrame(rows, columns=[*TRIAL_SPLIT_COLUMNS, "label", "predicted", "count"])


def _predicted_by_trial(predictions: pd.DataFrame) -> Iterator[tuple[tuple[object, ...], np.ndarray, np.ndarray]]:
    """Yield architecture, seed and split of each trial, its labels and the predicted ones, (reviews,) int."""
    classes = count_classes(predictions.columns)
    for trial, group in predictions.groupby(TRIAL_SPLIT_COLUMNS, sort=False, observed=True):
        yield trial, group["label"].to_numpy(), predicted_labels(read_probabilities(group), classes=classes)


def generalization_gaps(history: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Compare training with validation at the epoch whose weights each trial keeps.

    Args:
        history: Columns architecture, seed, epoch, split ("train", "validation"), accuracy, loss.
        trials: Columns architecture, seed, best_epoch.

    Returns:
        Columns architecture, seed, best_epoch, train_accuracy, validation_accuracy, accuracy_gap, train_loss,
        validation_loss, loss_gap. Gaps are training minus validation. A large positive accuracy gap or a large negative
        loss gap indicates overfitting.
    """
    trial = ["architecture", "seed"]
    best = trials[[*trial, "best_epoch"]].merge(
        history, left_on=[*trial, "best_epoch"], right_on=[*trial, "epoch"], validate="one_to_many"
    )
    wide = best.pivot_table(index=[*trial, "best_epoch"], columns="split", values=["accuracy", "loss"], sort=False)
    gaps = pd.DataFrame(
        {
            f"{split}_{metric}": wide[metric, split]
            for metric in ("accuracy", "loss")
            for split in ("train", "validation")
        }
    )
    gaps.insert(2, "accuracy_gap", gaps["train_accuracy"] - gaps["validation_accuracy"])
    gaps["loss_gap"] = gaps["train_loss"] - gaps["validation_loss"]
    return gaps.reset_index()


def rank_by_validation(scores: pd.DataFrame, trials: pd.DataFrame, metric: str = DEFAULT_METRIC) -> pd.DataFrame:
    """Rank the architectures by mean validation score, best first.

    The test split is not used, because choosing by it would bias the test scores of the chosen architecture. Equal
    means are ordered by number of parameters, then by name.

    Args:
        scores: Columns architecture, seed, split, metric, value.
        trials: Columns architecture, parameters.
        metric: Metric of the score.

    Returns:
        Columns architecture, mean (of the validation scores), seeds, parameters (NaN if unknown).
    """
    rows = scores.query("split == 'validation' and metric == @metric")
    ranking = rows.groupby("architecture", observed=True).agg(mean=("value", "mean"), seeds=("seed", "nunique"))
    # Reindexed, because assigning a series to an empty frame would add the rows of the series.
    ranking["parameters"] = trials.groupby("architecture", observed=True)["parameters"].max().reindex(ranking.index)
    # Rounded, because equal scores can differ in the last bits by the order of summation.
    ordered = ranking.reset_index().assign(rounded=lambda frame: frame["mean"].round(12))
    ordered = ordered.sort_values(
        ["rounded", "parameters", "architecture"], ascending=[metric in LOWER_IS_BETTER, True, True]
    )
    return ordered.drop(columns="rounded").reset_index(drop=True)
