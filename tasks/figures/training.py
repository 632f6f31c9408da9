"""Pictures of training: the course over the epochs, and what more reviews to train on bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tasks.config.labels import in_order, label
from tasks.figures.layout import INK, Colours, canvas, in_lines, left_out, limits, places, shown
from tasks.figures.style import BASELINE_COLOURS, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES = ("loss", "accuracy", "precision", "recall")


def learning_curves(history: pd.DataFrame, trials: pd.DataFrame, colours: Colours) -> Figure | None:
    """Draw loss, accuracy, precision and recall over the epochs, a row for each architecture, a line for each seed.

    What has no epochs, as the baselines, is not in the history and does not appear.
    """
    from matplotlib.ticker import MaxNLocator

    rows = [name for name in in_order(history["architecture"]) if name in colours]
    if not rows:
        return None
    figure, panels = canvas(
        len(rows), len(CURVES), 11, 1.2 + 1.7 * len(rows), "How did training go?",
        "One line is one seed: solid on validation reviews, dashed on training reviews. A dot marks the epoch whose "
        "weights are kept. Dashed lines that run on while solid ones turn back are reviews learned by heart. Each "
        "column has the same scale from top to bottom, which does not begin at 0.",
        sharex=True, sharey="col",
    )  # fmt: skip
    best = trials.set_index(["architecture", "seed"])["best_epoch"]
    for name, row in zip(rows, panels, strict=True):
        for trial, lines in history[history["architecture"] == name].groupby("seed"):
            for measure, axes in zip(CURVES, row, strict=True):
                curve(axes, lines, measure, colours[name], best.get((name, trial)))
        row[0].set_ylabel(in_lines(name, 20), fontweight="bold", fontsize=9.5)
    for measure, top, bottom in zip(CURVES, panels[0], panels[-1], strict=True):
        top.set_title("Loss (nats)" if measure == "loss" else f"{label(measure)} (%)")
        bottom.set_xlabel("Epoch")
        bottom.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    explain_lines(figure)
    return figure


def explain_lines(figure: Figure) -> None:
    """Add the legend of splits and of the epoch kept."""
    from matplotlib.lines import Line2D

    styles = [
        Line2D([], [], color=INK),
        Line2D([], [], color=INK, linestyle="--", alpha=0.6),
        Line2D([], [], color=INK, marker="o", linestyle=""),
    ]
    figure.legend(styles, ["Validation", "Training", "Epoch kept"], loc="outside upper right", ncols=3)


def curve(axes: Axes, lines: pd.DataFrame, measure: str, colour: str, best_epoch: float | None) -> None:
    """Draw one trial's measure over its epochs, training and validation."""
    factor = 1 if measure == "loss" else 100
    for split, dashes, strength in (("train", "--", 0.6), ("validation", "-", 1.0)):
        part = lines[lines["split"] == split].sort_values("epoch")
        dot = "." if len(part) == 1 else None
        axes.plot(part["epoch"], factor * part[measure], dashes, color=colour, alpha=strength, lw=1.4, marker=dot)
        kept = part[part["epoch"] == best_epoch]
        if split == "validation":
            axes.plot(kept["epoch"], factor * kept[measure], "o", color=colour, markersize=5, markeredgecolor="white")


def learning_curve(learning_curve: pd.DataFrame, colours: Colours) -> Figure | None:
    """Draw test accuracy against the number of reviews trained on, a line with 95% intervals for each architecture.

    Args:
        learning_curve: Columns architecture, train_reviews, mean, low, high (accuracies in [0, 1]; a bound that is
            not known is NaN).
        colours: Architecture to colour.
    """
    rows = learning_curve[np.isfinite(learning_curve["mean"])]
    names = shown(rows["architecture"], colours)
    if not names:
        return None
    figure, ((axes,),) = canvas(
        1, 1, 9.6, 4.8, "More reviews, or another architecture?",
        "Test accuracy after training on a part of the reviews; the bar is the 95% interval, and points are moved "
        "sideways a little so that bars stay apart. A line that still rises at its right end asks for more reviews; "
        "where the lines lie apart by more than they rise, the architecture matters more. Baselines are dashed. Each "
        "step of the lower axis is a multiple, and the accuracy axis does not begin at 0."
        + left_out(rows["architecture"], names),
    )  # fmt: skip
    for name, shift in zip(names, places(len(names), min(0.012 * (len(names) - 1), 0.05)), strict=True):
        own = rows[rows["architecture"] == name].sort_values("train_reviews")
        mean = 100 * own["mean"].to_numpy()
        bars = [mean - 100 * own["low"], 100 * own["high"] - mean]
        # errorbar refuses negative lengths; an interval holds its mean but for the last bits.
        axes.errorbar(own["train_reviews"] * np.exp(shift), mean, yerr=np.maximum(bars, 0), color=colours[name],
                      marker=marker(name), markersize=5, lw=1.6, elinewidth=1.1, capsize=2.5,
                      linestyle="--" if name in BASELINE_COLOURS else "-", label=in_lines(name))  # fmt: skip
    own = rows[rows["architecture"].isin(names)]
    number_sizes(axes, own["train_reviews"])
    axes.set_ylim(*limits(100 * own[["mean", "low", "high"]].to_numpy().ravel()))
    axes.set(xlabel="Reviews to train on", ylabel="Test accuracy (%)")
    figure.legend(loc="outside right center")
    return figure


def number_sizes(axes: Axes, sizes: pd.Series) -> None:
    """Let the steps of the x axis multiply, and mark the sizes that were measured in plain numbers."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    measured = sorted(sizes.unique())
    axes.set(xscale="log", xlim=(measured[0] / 1.25, measured[-1] * 1.25))
    axes.xaxis.set_major_locator(FixedLocator(measured))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
