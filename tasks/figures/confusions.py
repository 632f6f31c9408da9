"""Figures of the confusions between classes: confusion matrices of two to a hundred classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks.config.labels import in_display_order, label
from tasks.figures.class_labels import ClassLabels, class_labels
from tasks.figures.layout import TEXT_COLOR, Colors, create_figure, create_panels, label_panels, wrap_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEXT_COLOR_LUMINANCE = 0.016
CLASS_CHARACTERS = 26  # that fit along one side of a small confusion matrix
# Up to so many classes, the panels are small and their cells contain counts; the cells contain percentages; there is a
# panel for each architecture and the classes are in their own order.
MAX_COUNTED, MAX_ANNOTATED = 4, 12
LONG_LABEL = 28  # characters of a class name beside a large matrix
SMALLEST_SHOWN = 0.5  # percent, in the cells of more than `MAX_COUNTED` classes


def confusion_matrices(confusions: pd.DataFrame, class_names: Sequence[str], colors: Colors) -> Figure | None:
    """Plot the confusion matrix of each architecture on the test reviews, averaged over the seeds.

    Of more than `MAX_ANNOTATED` classes, only that of one architecture is shown, the one with the highest accuracy on
    the validation reviews. Its classes are ordered so that those that are often confused are next to each other.

    Args:
        confusions: Columns architecture, seed, split, label, predicted, count. A count of 0 may be left out.
        class_names: Names of the classes, by their number.
        colors: Architecture to color.
    """
    names = [name for name in in_display_order(confusions["architecture"]) if name in colors]
    tables = {name: mean_matrix(confusions, name, "test", len(class_names)) for name in names}
    names = [name for name in names if tables[name].any()]
    if not names:
        return None
    if len(class_names) <= MAX_COUNTED:
        return _plot_small(tables, names, class_names, colors)
    if len(class_names) <= MAX_ANNOTATED:
        return _plot_annotated(tables, names, class_names, colors)
    best = max(names, key=lambda name: _accuracy(mean_matrix(confusions, name, "validation", len(class_names))))
    return _plot_large(tables[best], best, class_names, colors[best])


def mean_matrix(confusions: pd.DataFrame, architecture: str, split: str, classes: int) -> np.ndarray:
    """Return the mean numbers of reviews over the seeds of an architecture, (true class, predicted class) float."""
    rows = confusions[(confusions["architecture"] == architecture) & (confusions["split"] == split)]
    table = np.zeros((classes, classes))
    np.add.at(table, (rows["label"].to_numpy(int), rows["predicted"].to_numpy(int)), rows["count"].to_numpy(float))
    return table / max(rows["seed"].nunique(), 1)


def row_shares(table: np.ndarray) -> np.ndarray:
    """Return the numbers of a confusion matrix in percent of their row."""
    return np.asarray(100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1e-300))


def _accuracy(table: np.ndarray) -> float:
    return float(np.trace(table) / max(table.sum(), 1))


def order_by_similarity(table: np.ndarray) -> np.ndarray:
    """Return the classes, (classes,) int, ordered so that those that are often confused are next to each other.

    The distance of two classes is 1 minus the mean of the two shares of confusion. They are clustered by average
    linkage, and the leaves are ordered by Bar-Joseph, Gifford and Jaakkola 2001, "Fast optimal leaf ordering for
    hierarchical clustering".
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    shares = row_shares(table) / 100
    distances = 1 - (shares + shares.T) / 2
    np.fill_diagonal(distances, 0)
    return np.asarray(leaves_list(linkage(squareform(distances, checks=False), "average", optimal_ordering=True)))


def _plot_small(
    tables: dict[str, np.ndarray], names: Sequence[str], class_names: Sequence[str], colors: Colors
) -> Figure:
    """Plot small panels with percentages and counts."""
    labels = class_labels(class_names, CLASS_CHARACTERS // len(class_names))
    figure, panels = create_panels(
        names, "Confusion matrices",
        "Test reviews. Rows are true labels, columns are predicted labels. Percentages are shares of a row; below them "
        "is the mean number of reviews over the seeds. Darker cells have a larger share." + labels.note,
    )  # fmt: skip
    for name, axes in zip(names, panels, strict=True):
        table, shares = tables[name], row_shares(tables[name])
        texts = [[f"{share:.1f}%\n{count:,.0f}" for share, count in zip(*pair)] for pair in zip(shares, table)]  # noqa: B905
        _plot_matrix(axes, shares, colors[name], labels, annot=np.array(texts), linewidths=2)
    label_panels(panels, "Predicted label", "True label")
    return figure


def _plot_annotated(
    tables: dict[str, np.ndarray], names: Sequence[str], class_names: Sequence[str], colors: Colors
) -> Figure:
    """Plot larger panels with percentages."""
    labels, side = class_labels(class_names, LONG_LABEL, lines=1), 1.4 + 0.42 * len(class_names)
    columns = min(len(names), max(int(15 / side), 1))
    rows = -(-len(names) // columns)
    figure, grid = create_figure(
        rows, columns, max(side * columns, 6), 0.8 + side * rows, "Confusion matrices",
        "Test reviews. Rows are true labels, columns are predicted labels. Numbers are shares of a row in percent, "
        f"mean over the seeds; shares below {SMALLEST_SHOWN}% are left out. Darker cells have a larger share."
        + labels.note,
    )  # fmt: skip
    panels = list(grid.flat)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    for name, axes in zip(names, panels, strict=False):
        shares = row_shares(tables[name])
        texts = np.array([[f"{share:.0f}" if share >= SMALLEST_SHOWN else "" for share in row] for row in shares])
        _plot_matrix(axes, shares, colors[name], labels, annot=texts, linewidths=1, annot_kws={"fontsize": 8})
        axes.set(title=wrap_label(name), xlabel="Predicted label", ylabel="True label")
        _slant_labels(axes)
    return figure


def _plot_large(table: np.ndarray, name: str, class_names: Sequence[str], color: str) -> Figure:
    """Plot one panel without numbers, with the classes ordered by similarity."""
    order, count = order_by_similarity(table), len(class_names)
    labels = class_labels([class_names[number] for number in order], LONG_LABEL, lines=1)
    side = 3 + max(0.13 * count, 4)
    figure, ((axes,),) = create_figure(
        1, 1, side, side, "Confusion matrix",
        f"Test reviews, predicted by {label(name)}, the architecture with the highest validation accuracy. Rows are "
        "true labels, columns are predicted labels. Darker cells have a larger share of their row (mean over the "
        "seeds). Classes that are often confused are next to each other. The most frequent confusions are in a table "
        "below." + labels.note,
    )  # fmt: skip
    _plot_matrix(axes, row_shares(table)[np.ix_(order, order)], color, labels, linewidths=0)
    axes.set(title=wrap_label(name), xlabel="Predicted label", ylabel="True label")
    _slant_labels(axes, size=min(9, 620 / count))
    return figure


def _plot_matrix(axes: Axes, shares: np.ndarray, color: str, labels: ClassLabels, **options: Any) -> None:
    """Plot the shares of a matrix, in percent of a row, in shades of a color."""
    import seaborn

    color_map, centers = seaborn.light_palette(color, as_cmap=True), np.arange(len(shares)) + 0.5
    seaborn.heatmap(shares, fmt="", cmap=color_map, vmin=0, vmax=110, ax=axes, cbar=False, square=True,
                    xticklabels=False, yticklabels=False, **options)  # fmt: skip
    set_text_contrast(axes)
    axes.set_xticks(centers, labels.texts, fontfamily=labels.fonts)
    axes.set_yticks(centers, labels.texts, fontfamily=labels.fonts, rotation=90, va="center", ma="center")


def _slant_labels(axes: Axes, size: float = 9) -> None:
    """Write the class names upwards below the columns, and from left to right beside the rows."""
    for text in axes.get_xticklabels():
        text.set(rotation=90, fontsize=size)
    for text in axes.get_yticklabels():
        text.set(rotation=0, fontsize=size, ha="right")


def set_text_contrast(axes: Axes) -> None:
    """Set the texts of a heatmap to dark or white, whichever has the higher contrast (WCAG 2.2, "Contrast ratio")."""
    from matplotlib.colors import to_rgba_array

    faces = to_rgba_array(axes.collections[0].get_facecolor())[:, :3]
    linear = np.where(faces > 0.04045, ((faces + 0.055) / 1.055) ** 2.4, faces / 12.92)
    for text, luminance in zip(axes.texts, linear @ [0.2126, 0.7152, 0.0722], strict=False):
        white_contrast, dark_contrast = 1.05 / (luminance + 0.05), (luminance + 0.05) / (TEXT_COLOR_LUMINANCE + 0.05)
        text.set_color(TEXT_COLOR if dark_contrast > white_contrast else "white")
