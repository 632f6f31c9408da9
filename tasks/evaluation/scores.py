"""How good each trial is: scores, reports per class, confusion matrices, and what they come to over the seeds."""

import pandas as pd

from tasks.evaluation.metrics import METRICS, predicted_labels

CLASSES = {0: "negative", 1: "positive"}
TRIAL = ["architecture", "seed", "split"]


def evaluate(predictions: pd.DataFrame) -> pd.DataFrame:
    """Score every trial on every split that it predicted.

    Args:
        predictions: Columns architecture, seed, split, review_id, label, probability.

    Returns:
        The frame scores: architecture, seed, split, metric, value; one row for each of `METRICS`.

    Raises:
        ValueError: Where a probability is not a number in [0, 1]: a trial that diverged has no predictions.
    """
    wrong = ~predictions["probability"].between(0, 1)
    if wrong.any():
        trials = predictions.loc[wrong, TRIAL].drop_duplicates().astype(str).agg("/".join, axis=1)
        raise ValueError(f"{wrong.sum()} probabilities outside [0, 1], in {', '.join(trials.head())}")
    rows = [
        (*trial, name, metric.score(group["label"].to_numpy(), group["probability"].to_numpy()))
        for trial, group in predictions.groupby(TRIAL, sort=False, observed=True)
        for name, metric in METRICS.items()
    ]
    return pd.DataFrame(rows, columns=[*TRIAL, "metric", "value"])


def classification_reports(predictions: pd.DataFrame) -> pd.DataFrame:
    """Score every trial class by class.

    Returns:
        Columns architecture, seed, split, class ("negative", "positive"), precision, recall, f1 (all in [0, 1], 0
        where they have nothing to count) and support (reviews of that class).
    """
    from sklearn.metrics import precision_recall_fscore_support

    rows: list[tuple[object, ...]] = []
    for trial, group in predictions.groupby(TRIAL, sort=False, observed=True):
        measures = precision_recall_fscore_support(
            group["label"], predicted_labels(group["probability"].to_numpy()), labels=list(CLASSES), zero_division=0
        )
        rows += [(*trial, name, *values) for name, *values in zip(CLASSES.values(), *measures, strict=True)]
    return pd.DataFrame(rows, columns=[*TRIAL, "class", "precision", "recall", "f1", "support"])


def confusion_matrices(predictions: pd.DataFrame) -> pd.DataFrame:
    """Count how often each trial took each class for which.

    Returns:
        Columns architecture, seed, split, label, predicted (both 0 or 1), count; four rows a trial and split, so that
        what never happened is there as 0.
    """
    marked = predictions.assign(predicted=predicted_labels(predictions["probability"].to_numpy()))
    counts = marked.groupby([*TRIAL, "label", "predicted"], sort=False, observed=True).size()
    trials = predictions[TRIAL].drop_duplicates()
    outcomes = pd.DataFrame([(label, guess) for label in CLASSES for guess in CLASSES], columns=["label", "predicted"])
    complete = trials.merge(outcomes, how="cross")
    index = pd.MultiIndex.from_frame(complete)
    return complete.assign(count=counts.reindex(index, fill_value=0).to_numpy())


def generalisation_gaps(history: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Compare training with validation at the epoch whose weights each trial keeps.

    Returns:
        Columns architecture, seed, best_epoch, train_accuracy, validation_accuracy, accuracy_gap, train_loss,
        validation_loss, loss_gap. Gaps are training minus validation: a large positive accuracy gap, or a large
        negative loss gap, means that the trial knows its training reviews better than new ones.
    """
    trial = ["architecture", "seed"]
    best = trials[[*trial, "best_epoch"]].merge(
        history, left_on=[*trial, "best_epoch"], right_on=[*trial, "epoch"], validate="one_to_many"
    )
    wide = best.pivot_table(index=[*trial, "best_epoch"], columns="split", values=["accuracy", "loss"], sort=False)
    gaps = pd.DataFrame(
        {
            f"{split}_{measure}": wide[measure, split]
            for measure in ("accuracy", "loss")
            for split in ("train", "validation")
        }
    )
    gaps.insert(2, "accuracy_gap", gaps["train_accuracy"] - gaps["validation_accuracy"])
    gaps["loss_gap"] = gaps["train_loss"] - gaps["validation_loss"]
    return gaps.reset_index()


def rank_by_validation(scores: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Order the architectures by their mean validation accuracy, best first.

    The test split has no say: choosing on it would make its own score too good to be true. Equal means are ordered
    by fewer parameters, then by name.

    Returns:
        Columns architecture, mean (validation accuracy in [0, 1]), seeds, parameters (NaN where no trial tells).
    """
    rows = scores.query("split == 'validation' and metric == 'accuracy'")
    ranking = rows.groupby("architecture", observed=True).agg(mean=("value", "mean"), seeds=("seed", "nunique"))
    # Onto the ranking's own rows: assigned to an empty frame, a series would bring its rows with it.
    ranking["parameters"] = trials.groupby("architecture", observed=True)["parameters"].max().reindex(ranking.index)
    # Rounded, for the same scores summed in another order differ in the last bits.
    ordered = ranking.reset_index().assign(rounded=lambda frame: frame["mean"].round(12))
    ordered = ordered.sort_values(["rounded", "parameters", "architecture"], ascending=[False, True, True])
    return ordered.drop(columns="rounded").reset_index(drop=True)
