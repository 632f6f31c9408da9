"""Figures of training: curves over the epochs, and accuracy against the size of the training split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tasks.config.labels import in_display_order, label
from tasks.evaluation.scores import class_keys
from tasks.figures.layout import (
    TEXT_COLOR,
    Colors,
    centered_offsets,
    create_figure,
    legend_height,
    metric_limits,
    omission_note,
    visible_architectures,
    wrap_label,
)
from tasks.figures.style import BASELINE_COLORS, marker
from tasks.statistics.main_metric import main_metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAINING_METRICS = ("loss", "accuracy", "precision", "recall")
# Style and opacity of the lines of each split; validation is the last one, on top.
LINE_STYLES = {"train": ("--", 0.6), "validation": ("-", 1.0)}
Lines = Mapping[str, Mapping[str, np.ndarray]]


def learning_curves(
    history: pd.DataFrame, trials: pd.DataFrame, colors: Colors, class_names: Sequence[str] = class_keys(2)
) -> Figure | None:
    """Plot loss, accuracy, precision and recall over the epochs, a row per architecture, a line per seed and split.

    Baselines have no epochs and are not part of the figure.

    Args:
        history: Columns architecture, seed, epoch, split, and `TRAINING_METRICS`.
        trials: Columns architecture, seed, best_epoch and, where it is known, status.
        colors: Architecture to color.
        class_names: Names of the classes. Metrics that are averaged over more than two are called macro.
    """
    from matplotlib.ticker import MaxNLocator

    names = [name for name in in_display_order(history["architecture"]) if name in colors]
    if not names:
        return None
    figure, panels = create_figure(
        len(names), len(TRAINING_METRICS), 11, 1.2 + 1.7 * len(names), "Training curves",
        "A line is one seed: solid for the validation split, dashed for the training split. A dot marks the epoch "
        "whose weights are kept. Overfitting: the dashed line continues to improve while the solid line gets worse. "
        "The line of a seed that diverged ends early. All rows of a column have the same scale, which does not start "
        "at 0.",
        sharex=True, sharey="col",
    )  # fmt: skip
    best_epochs = trials.set_index(["architecture", "seed"])["best_epoch"]
    status = trials["status"] if "status" in trials else pd.Series("finished", trials.index)
    for name, row in zip(names, panels, strict=True):
        for seed, rows in history[history["architecture"] == name].groupby("seed"):
            lines = lines_of_splits(rows)
            for metric, axes in zip(TRAINING_METRICS, row, strict=True):
                plot_training_curve(axes, lines, metric, colors[name], best_epochs.get((name, seed)))
        diverged = int((status[trials["architecture"] == name] == "diverged").sum())
        note = f"\n({diverged} diverged)" if diverged else ""
        row[0].set_ylabel(wrap_label(name, 18) + note, fontweight="bold", fontsize=9)
    for metric, top, bottom in zip(TRAINING_METRICS, panels[0], panels[-1], strict=True):
        top.set_title("Loss (nats)" if metric == "loss" else f"{label(metric, len(class_names))} (%)")
        bottom.set_xlabel("Epoch")
        bottom.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    add_split_legend(figure)
    return figure


def add_split_legend(figure: Figure) -> None:
    """Add the legend of the splits and of the epoch that is kept."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=TEXT_COLOR),
        Line2D([], [], color=TEXT_COLOR, linestyle="--", alpha=0.6),
        Line2D([], [], color=TEXT_COLOR, marker="o", linestyle=""),
    ]
    figure.legend(handles, ["Validation", "Training", "Epoch kept"], loc="outside upper right", ncols=3)


def lines_of_splits(history: pd.DataFrame) -> Lines:
    """Return the epochs and metrics of one trial as arrays (epochs,) by split and column, ordered by epoch."""
    ordered = history.sort_values("epoch")
    splits = {split: ordered[ordered["split"] == split] for split in LINE_STYLES}
    return {
        split: {column: rows[column].to_numpy() for column in ("epoch", *TRAINING_METRICS)}
        for split, rows in splits.items()
    }


def plot_training_curve(axes: Axes, lines: Lines, metric: str, color: str, best_epoch: float | None) -> None:
    """Plot one metric of one trial over its epochs, for training and validation."""
    factor = 1 if metric == "loss" else 100
    for split, (line_style, alpha) in LINE_STYLES.items():
        epochs, values = lines[split]["epoch"], factor * lines[split][metric]
        point = "." if np.isfinite(values).sum() == 1 else None
        axes.plot(epochs, values, line_style, color=color, alpha=alpha, lw=1.4, marker=point)
    kept = epochs == best_epoch
    axes.plot(epochs[kept], values[kept], "o", color=color, markersize=5, markeredgecolor="white")


def learning_curve(learning_curve: pd.DataFrame, colors: Colors, setup: pd.DataFrame | None = None) -> Figure | None:
    """Plot test scores against the number of training reviews, with 95% intervals.

    Args:
        learning_curve: Columns architecture, train_reviews, mean, low, high (scores; an unknown bound is NaN).
        colors: Architecture to color.
        setup: Column metric, the main metric; None for the default.
    """
    metric = main_metric(setup)
    factor = metric.unit.factor
    rows = learning_curve[np.isfinite(learning_curve["mean"])]
    names = visible_architectures(rows["architecture"], colors)
    if not names:
        return None
    figure, ((axes,),) = create_figure(
        1, 1, 9.6, max(4.8, legend_height(names)), "Learning curve",
        f"Test {metric.text} after training on subsets of the training "
        f"reviews.{metric.direction} Bars are 95% confidence intervals; "
        "points are shifted horizontally so that bars do not overlap. If "
        "a line is not yet level at its right end, more training reviews "
        "are likely to help. Baselines are dashed. The horizontal axis "
        "is logarithmic; the vertical axis does not start at 0." + omission_note(rows["architecture"], names),
    )  # fmt: skip
    visible = rows[rows["architecture"].isin(names)]
    reach = shift_of_bars(visible["train_reviews"], len(names))
    for name, shift in zip(names, centered_offsets(len(names), reach), strict=True):
        points = rows[rows["architecture"] == name].sort_values("train_reviews")
        mean = factor * points["mean"].to_numpy()
        bars = [mean - factor * points["low"], factor * points["high"] - mean]
        # errorbar refuses negative lengths; rounding errors can put a mean outside of its interval.
        axes.errorbar(points["train_reviews"] * np.exp(shift), mean, yerr=np.maximum(bars, 0), color=colors[name],
                      marker=marker(name), markersize=5, lw=1.6, elinewidth=1.1, capsize=2.5,
                      linestyle="--" if name in BASELINE_COLORS else "-", label=wrap_label(name))  # fmt: skip
    set_size_axis(axes, visible["train_reviews"], reach)
    axes.set_ylim(*metric_limits(factor * visible[["mean", "low", "high"]].to_numpy().ravel(), metric))
    axes.set(xlabel="Training reviews", ylabel=metric.header("Test"))
    figure.legend(loc="outside right center")
    return figure


def shift_of_bars(sizes: pd.Series, count: int) -> float:
    """Return how far the first and the last of `count` architectures are shifted, on the scale of log(size)."""
    gaps = np.diff(np.log(sorted(sizes.unique())))
    # The bars of many architectures would be on top of each other within the reach that suffices for few.
    reach = min(0.012 * (count - 1), 0.05) if count <= 8 else 0.018 * (count - 1)
    return float(min([reach, *gaps / 3]))


def set_size_axis(axes: Axes, sizes: pd.Series, reach: float) -> None:
    """Make the x axis logarithmic, with a tick at each measured size; `reach` is the largest shift of a bar."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    measured = sorted(sizes.unique())
    margin = 1.25 * np.exp(reach)
    axes.set(xscale="log", xlim=(measured[0] / margin, measured[-1] * margin))
    axes.xaxis.set_major_locator(FixedLocator(measured))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
