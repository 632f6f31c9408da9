"""Table of the most frequent confusions of more than two classes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tasks.config.labels import in_display_order, label
from tasks.reporting.formatting import Cell, TextTable, format_number
from tasks.statistics.ranking import MAJORITY_BASELINE

SHOWN_CONFUSIONS = 20
CONFUSION_NOTE = (
    f"The {SHOWN_CONFUSIONS} most frequent confusions on the test reviews, by the mean number of reviews over the "
    "architectures and seeds. Numbers are shares (%) of the reviews with the true label, mean over the seeds."
)


def confusion_table(confusions: pd.DataFrame, classes: Sequence[str]) -> TextTable:
    """Tabulate the most frequent confusions of more than two classes; the majority class is left out.

    Args:
        confusions: Columns architecture, seed, split, label, predicted, count. A count of 0 may be left out.
        classes: Names of the classes.
    """
    test = confusions[(confusions["split"] == "test") & (confusions["architecture"] != MAJORITY_BASELINE)]
    names = in_display_order(test["architecture"])
    seeds = test.groupby("architecture")["seed"].nunique()
    counts = test.groupby(["label", "predicted", "architecture"])["count"].sum().unstack(fill_value=0)  # noqa: PD010
    means = counts[names] / seeds[names] if names else counts
    sizes = means.groupby("label").sum()
    labels, predicted = (means.index.get_level_values(level).to_numpy() for level in ("label", "predicted"))
    wrong = means[labels != predicted].mean(axis=1)
    wrong = wrong.iloc[np.lexsort([np.arange(len(wrong)), -wrong.to_numpy().round(9)])]
    rows: list[list[Cell]] = [
        [
            classes[true],
            classes[found],
            *(format_number(100 * float(means.loc[(true, found), name] / sizes.loc[true, name]), 1) for name in names),
        ]
        for true, found in wrong.index[:SHOWN_CONFUSIONS]
    ]
    return TextTable(["True label", "Predicted label", *map(label, names)], rows)
