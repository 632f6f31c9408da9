"""Figures of the predicted probabilities: ROC curves and reliability diagrams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tasks.config.escape import escape_terminal
from tasks.config.labels import in_display_order
from tasks.figures.class_labels import class_labels
from tasks.figures.layout import (
    MUTED_COLOR,
    Colors,
    create_figure,
    create_panels,
    label_panels,
    legend_height,
    omission_note,
    visible_architectures,
    wrap_label,
)

CLASS_CHARACTERS = 14  # of the name of the class on an axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def roc_curves(
    predictions: pd.DataFrame, scores: pd.DataFrame, class_names: Sequence[str], colors: Colors
) -> Figure | None:
    """Plot the ROC curves of two classes on the test reviews, in full and enlarged at the upper left corner.

    The curves of the seeds are averaged vertically, at equal false positive rates (Fawcett 2006, "An introduction to
    ROC analysis").

    Args:
        predictions: Columns architecture, seed, split, label, probability.
        scores: Columns architecture, split, metric, value.
        class_names: Names of the classes, by their number.
        colors: Architecture to color.
    """
    if len(class_names) > 2:
        return None  # see `class_probabilities`
    test = predictions[(predictions["split"] == "test") & predictions["probability"].notna()]
    by_architecture = {str(name): rows for name, rows in test.groupby("architecture", observed=True)}
    aucs = scores.query("split == 'test' and metric == 'auc'").groupby("architecture")["value"].mean()
    names = [
        name for name in in_display_order(by_architecture) if name in colors and np.isfinite(aucs.get(name, np.nan))
    ]
    if not names:
        return None
    figure, (panels,) = create_figure(
        1, 2, 13, max(4.9, legend_height(names)), "ROC curves",
        "Test reviews. A thick curve is the mean over the seeds, a thin curve is one seed. A curve closer to the upper "
        "left corner is better; the dotted diagonal is random guessing. The right panel enlarges the upper left "
        f"corner of the left panel. The positive class is {escape_terminal(class_names[1])}.",
    )  # fmt: skip
    for name in names:
        plot_roc_curves(panels, by_architecture[name], name, colors[name], 100 * aucs[name])
    for axes in panels:
        axes.plot([0, 100], [0, 100], ":", color=MUTED_COLOR, lw=1)
        axes.set(xlabel="False positive rate (%)", ylabel="True positive rate (%)", aspect="equal")
    panels[0].set(xlim=(-1, 101), ylim=(-1, 101), title="Full range")
    panels[1].set(xlim=(0, 30), ylim=(70, 100), title="Upper left corner")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def plot_roc_curves(panels: np.ndarray, test: pd.DataFrame, name: str, color: str, auc: float) -> None:
    """Plot the ROC curves of one architecture, of each seed and their mean, in every panel; `auc` in percent."""
    from sklearn.metrics import roc_curve

    # Finer where the curves are steep.
    grid = np.concatenate([np.linspace(0, 0.3, 121), np.linspace(0.31, 1, 70)])
    curves = []
    for _, trial in test.groupby("seed"):
        labels, probabilities = trial["label"].to_numpy(), trial["probability"].to_numpy()
        false_positive_rate, true_positive_rate, _ = roc_curve(labels, probabilities)
        curves.append(np.interp(grid, false_positive_rate, true_positive_rate))
    line_style = "--" if name == "majority" else "-"
    for axes in panels:
        axes.plot(100 * grid, 100 * np.transpose(curves), color=color, lw=0.6, alpha=0.35)
        axes.plot(100 * grid, 100 * np.mean(curves, axis=0), line_style, color=color, lw=1.8,
                  label=f"{wrap_label(name)}, AUC {auc:.1f}%")  # fmt: skip


def reliability_diagram(reliability: pd.DataFrame, class_names: Sequence[str], colors: Colors) -> Figure | None:
    """Plot the observed against the predicted share of the positive class, a panel per architecture, a line per seed.

    Of more than two classes, it is the share of correct predictions against the probability of the predicted label.

    Args:
        reliability: Columns architecture, seed, bin, predicted, observed, low, high (shares in [0, 1]).
        class_names: Names of the classes, by their number.
        colors: Architecture to color.
    """
    rows = reliability[np.isfinite(reliability["predicted"]) & np.isfinite(reliability["observed"])]
    names = visible_architectures(rows["architecture"], colors)
    if not names:
        return None
    if len(class_names) == 2:
        labels = class_labels(class_names, CLASS_CHARACTERS, lines=1)
        what, share = f"class 1, {escape_terminal(class_names[1])}", "that are of this class"
        observed, fonts = f"Observed {labels.texts[1]} (%)", labels.fonts
    else:
        what, share = "the predicted label", "whose true label it is"
        observed, fonts = "Correct (%)", class_labels([], CLASS_CHARACTERS).fonts
    figure, panels = create_panels(
        names, "Reliability diagrams",
        f"Test reviews in bins of equal size by predicted probability of {what}, and the share of reviews in each "
        f"bin {share}. A line is one seed, the band is the 95% confidence interval of the first "
        "seed. Perfectly calibrated probabilities are on the dotted diagonal. A line flatter than the diagonal "
        "indicates overconfident probabilities, a steeper line underconfident ones."
        + omission_note(rows["architecture"], names),
        sharex=True, sharey=True,
    )  # fmt: skip
    for name, axes in zip(names, panels, strict=True):
        plot_reliability(axes, rows[rows["architecture"] == name], colors[name])
    label_panels(panels, "Predicted probability (%)", observed)
    for axes in panels:
        axes.yaxis.label.set_fontfamily(fonts)
    return figure


def plot_reliability(axes: Axes, rows: pd.DataFrame, color: str) -> None:
    """Plot the seeds of one architecture and the interval of the first seed, in percent."""
    axes.plot([0, 100], [0, 100], ":", color=MUTED_COLOR, lw=1.2, zorder=1)
    for place, (_, trial) in enumerate(rows.groupby("seed")):
        bins = 100 * trial.sort_values("bin")[["predicted", "observed", "low", "high"]]
        axes.plot(bins["predicted"], bins["observed"], color=color, lw=1, marker=".", markersize=4, alpha=0.85)
        if place == 0:
            axes.fill_between(bins["predicted"], bins["low"], bins["high"], color=color, alpha=0.2, linewidth=0)
    ticks = [0, 25, 50, 75, 100]
    axes.set(xlim=(-2, 102), ylim=(-2, 102), xticks=ticks, yticks=ticks, aspect="equal")
