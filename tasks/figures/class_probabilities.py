"""Figures of the predicted probabilities of three to five classes: each class against all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tasks.evaluation.reliability import reliability_bins
from tasks.figures.class_labels import class_labels
from tasks.figures.layout import (
    MUTED_COLOR,
    Colors,
    create_figure,
    legend_height,
    omission_note,
    visible_architectures,
    wrap_label,
)
from tasks.storage.probabilities import count_classes, probability_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_CLASSES = 5  # more panels would be too small to read
CLASS_CHARACTERS = 28
CURVE_POINTS = 200


def class_roc_curves(predictions: pd.DataFrame, class_names: Sequence[str], colors: Colors) -> Figure | None:
    """Plot the ROC curve of each of three to five classes against all others on the test reviews, mean over the seeds.

    Args:
        predictions: Columns architecture, seed, split, label, and those of the probabilities.
        class_names: Names of the classes, by their number.
        colors: Architecture to color.
    """
    caption = (
        "Test reviews; each panel is one class against all others, each curve the mean over the seeds. A curve closer "
        "to the upper left corner is better; the dotted diagonal is random guessing."
    )
    axis_labels = ("False positive rate (%)", "True positive rate (%)")
    return _plot_classes(predictions, class_names, colors, "ROC curves by class", caption, axis_labels, _roc_curve)


def class_reliability(predictions: pd.DataFrame, class_names: Sequence[str], colors: Colors) -> Figure | None:
    """Plot the observed against the predicted share of each of three to five classes, as in `class_roc_curves`."""
    caption = (
        "Test reviews in bins of equal size by the predicted probability of a class, and the share of reviews in each "
        "bin that are of this class; all seeds together. Perfectly calibrated probabilities are on the dotted diagonal."
    )
    axis_labels = ("Predicted probability (%)", "Observed share (%)")
    title = "Reliability diagrams by class"
    return _plot_classes(predictions, class_names, colors, title, caption, axis_labels, _reliability_curve)


def _plot_classes(
    predictions: pd.DataFrame, class_names: Sequence[str], colors: Colors, title: str, caption: str,
    axis_labels: tuple[str, str], compute: Callable[[pd.DataFrame, str, int], tuple[np.ndarray, np.ndarray]],
) -> Figure | None:  # fmt: skip
    """Plot a panel for each class with a line for each architecture; None for two classes, or for too many."""
    if not 3 <= len(class_names) <= MAX_CLASSES:
        return None
    columns = probability_columns(count_classes(predictions.columns))
    test = predictions[(predictions["split"] == "test") & predictions[columns[0]].notna()]
    names = visible_architectures(test["architecture"], colors)
    if not names:
        return None
    labels = class_labels(class_names, CLASS_CHARACTERS, lines=1)
    figure, (panels,) = create_figure(
        1, len(class_names), 2.8 * len(class_names) + 2, max(3.8, legend_height(names)), title,
        caption + labels.note + omission_note(test["architecture"], names), sharey=True,
    )  # fmt: skip
    for number, (axes, column) in enumerate(zip(panels, columns, strict=True)):
        for name in names:
            rows = test[test["architecture"] == name]
            x, y = compute(rows, column, number)
            axes.plot(100 * x, 100 * y, color=colors[name], lw=1.4, label=wrap_label(name))
        _finish_panel(axes, labels.texts[number], labels.fonts, axis_labels, is_first=number == 0)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def _finish_panel(axes: Axes, title: str, fonts: list[str], axis_labels: tuple[str, str], *, is_first: bool) -> None:
    axes.plot([0, 100], [0, 100], ":", color=MUTED_COLOR, lw=1)
    axes.set(xlim=(-2, 102), ylim=(-2, 102), aspect="equal", xlabel=axis_labels[0])
    axes.set_ylabel(axis_labels[1] if is_first else "")
    axes.set_title(title, fontfamily=fonts)


def _by_seed(rows: pd.DataFrame, column: str, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield whether each review is of a class, (reviews,) int8, and the probability of this class, by seed."""
    for _, trial in rows.groupby("seed"):
        yield (trial["label"] == number).to_numpy(np.int8), trial[column].to_numpy(np.float64)


def _roc_curve(rows: pd.DataFrame, column: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean ROC curve over the seeds, averaged vertically as in `probabilities.roc_curves`."""
    from sklearn.metrics import roc_curve

    grid = np.linspace(0, 1, CURVE_POINTS)
    curves = [np.interp(grid, *roc_curve(labels, values)[:2]) for labels, values in _by_seed(rows, column, number)]
    return grid, np.mean(curves, axis=0)


def _reliability_curve(rows: pd.DataFrame, column: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean probability and the share of the class in each bin."""
    labels, values = (np.concatenate(part) for part in zip(*_by_seed(rows, column, number), strict=True))
    bins = reliability_bins(labels, values)
    return bins["predicted"].to_numpy(), bins["observed"].to_numpy()
