"""Figure of the scores of more than two classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tasks.evaluation.scores import class_keys
from tasks.figures.class_labels import class_labels
from tasks.figures.layout import (
    Colors,
    centered_offsets,
    create_figure,
    legend_height,
    omission_note,
    visible_architectures,
    wrap_label,
)
from tasks.figures.style import marker

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCORES = ("precision", "recall")
CLASS_CHARACTERS = 28


def scores_by_class(classes: pd.DataFrame, class_names: Sequence[str], colors: Colors) -> Figure | None:
    """Plot precision and recall of each of more than two classes on the test reviews, a row per class.

    Args:
        classes: Columns architecture, seed, split, class (see `class_keys`), precision, recall (in [0, 1]).
        class_names: Names of the classes, by their number.
        colors: Architecture to color.
    """
    rows = classes[classes["split"] == "test"]
    names = visible_architectures(rows["architecture"], colors)
    if len(class_names) < 3 or not names:
        return None
    height = 0.2 if len(class_names) > 12 else max(0.07 * len(names) + 0.1, 0.3)
    labels = class_labels(class_names, CLASS_CHARACTERS, lines=1)
    figure, (panels,) = create_figure(
        1, 2, 11, max(1.5 + height * len(class_names), legend_height(names)), "Precision and recall by class",
        "Test reviews, mean over the seeds. Recall is the share of the reviews of a class that are found; precision is "
        "the share of those predicted as this class that are of it, 0 if there are none. Baselines are diamonds."
        + labels.note + omission_note(rows["architecture"], names), sharey=True,
    )  # fmt: skip
    means = rows.groupby(["architecture", "class"])[list(SCORES)].mean()
    places, shifts = np.arange(len(class_names)), centered_offsets(len(names), 0.3)
    for axes, score in zip(panels, SCORES, strict=True):
        for name, shift in zip(names, shifts, strict=True):
            values = 100 * means.loc[name].reindex(class_keys(len(class_names)))[score].to_numpy()
            axes.plot(values, places + shift, marker(name), color=colors[name], markersize=4, label=wrap_label(name))
        axes.set(xlabel=f"{score.capitalize()} (%)", xlim=(-2, 102), ylim=(len(class_names) - 0.5, -0.5))
        for place in places[1::2]:
            axes.axhspan(place - 0.5, place + 0.5, color="#F5F5F5", zorder=0)
        axes.grid(visible=False, axis="y")
    panels[0].set_yticks(places, labels.texts, fontfamily=labels.fonts, fontsize=9 if len(class_names) <= 40 else 7)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")
    return figure
