"""Figures of the test scores and of the differences to the best architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks.config.labels import in_display_order, label
from tasks.evaluation.scores import rank_by_validation
from tasks.figures.layout import (
    MUTED_COLOR,
    TEXT_COLOR,
    Colors,
    axis_limits,
    create_figure,
    label_rows,
    omission_note,
    seed_offsets,
    visible_architectures,
)
from tasks.figures.verdict_labels import verdict_label
from tasks.statistics.ranking import PairDifference, differences_to

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLOTTED_METRICS = ("accuracy", "f1", "auc")
# Equivalence margin, used if the frame setup does not contain it.
DEFAULT_MARGIN = 0.005
# Smallest and largest absolute limit of an axis of differences, in percentage points.
MIN_DIFFERENCE_LIMIT, MAX_DIFFERENCE_LIMIT = 1.5, 10.0


def scores_on_test(
    scores: pd.DataFrame, trials: pd.DataFrame, colors: Colors, summary: pd.DataFrame | None = None
) -> Figure | None:
    """Plot test accuracy, F1 and AUC: a dot per seed, the mean, and its interval if it is known.

    Args:
        scores: Columns architecture, seed, split, metric, value.
        trials: Columns architecture and parameters; parameters break ties of validation accuracy.
        colors: Architecture to color.
        summary: Intervals: columns architecture, split, metric, low, high.
    """
    test = scores[(scores["split"] == "test") & np.isfinite(scores["value"])]
    rows = [name for name in in_display_order(test["architecture"]) if name in colors]
    metrics = [metric for metric in PLOTTED_METRICS if (test["metric"] == metric).any()]
    if not metrics:
        return None
    ranking = rank_by_validation(scores, trials)["architecture"]
    interval = "" if summary is None else " A bar is the 95% confidence interval of the mean."
    figure, panels = create_figure(
        1, len(metrics), 11, 1.5 + 0.45 * len(rows), "Scores on the test reviews",
        f"A small dot is one seed, a large dot the mean over the seeds.{interval} The star marks the architecture with "
        "the highest validation accuracy. The axes do not start at 0; a value below an axis is written at its edge.",
        sharey=True,
    )  # fmt: skip
    for metric, axes in zip(metrics, panels[0], strict=True):
        rows_of_metric = test[test["metric"] == metric]
        intervals = None if summary is None else summary.query("split == 'test' and metric == @metric")
        plot_scores(axes, rows_of_metric, rows, colors, intervals)
        axes.set(title=label(metric), xlabel=f"Test {label(metric) if metric != 'accuracy' else metric} (%)")
    label_rows(panels[0], rows, None if ranking.empty else ranking.iloc[0])
    add_dot_legend(figure, intervals=summary is not None)
    return figure


def add_dot_legend(figure: Figure, *, intervals: bool) -> None:
    """Add the legend of seeds, means and intervals."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=TEXT_COLOR, marker="o", linestyle="", markersize=size) for size in (4, 8)]
    labels = ["One seed", "Mean over the seeds"]
    if intervals:
        handles, labels = [*handles, Line2D([], [], color=TEXT_COLOR, lw=3, alpha=0.5)], [*labels, "95% interval"]
    figure.legend(handles, labels, loc="outside upper right", ncols=3)


def plot_scores(
    axes: Axes, scores: pd.DataFrame, rows: Sequence[str], colors: Colors, intervals: pd.DataFrame | None
) -> None:
    """Plot the seeds, means and intervals of one metric, a row per architecture, in percent."""
    bounds = None if intervals is None else intervals.set_index("architecture")[["low", "high"]] * 100
    axes.set_xlim(*score_limits(scores, bounds))
    for row, name in enumerate(rows):
        seeds = scores[scores["architecture"] == name]
        if not len(seeds):
            continue
        values, color = 100 * seeds["value"].to_numpy(), colors[name]
        if values.mean() < axes.get_xlim()[0]:
            axes.annotate(f"◂ {values.mean():.1f}", (axes.get_xlim()[0], row), (4, 0), textcoords="offset points",
                          va="center", color=MUTED_COLOR)  # fmt: skip
            continue
        if bounds is not None and name in bounds.index:
            axes.plot(bounds.loc[name], [row, row], color=color, lw=3, alpha=0.5, solid_capstyle="butt", zorder=2)
        axes.scatter(values, row + seed_offsets(seeds["seed"]), s=22, color=color, edgecolors="white", linewidths=0.6,
                     zorder=5)  # fmt: skip
        axes.scatter(values.mean(), row, s=75, color=color, edgecolors="white", linewidths=1.2, zorder=4)


def score_limits(scores: pd.DataFrame, bounds: pd.DataFrame | None) -> tuple[float, float]:
    """Return axis limits for scores and interval bounds in percent; the majority class counts only if it is alone."""
    others = scores[scores["architecture"] != "majority"]
    values = 100 * (others if len(others) else scores)["value"].to_numpy()
    if bounds is not None:
        values = np.concatenate([values, bounds.drop(index="majority", errors="ignore").to_numpy().ravel()])
    return axis_limits(values)


def differences(pairs: pd.DataFrame, groups: pd.DataFrame, colors: Colors, setup: pd.DataFrame | None = None) -> Figure:
    """Plot the difference in test accuracy of each architecture to the best one by validation accuracy.

    Args:
        pairs: Columns first, second, metric, difference, low, high, verdict.
        groups: Columns architecture, best.
        colors: Architecture to color.
        setup: Column margin, the half-width of the equivalence band; None for `DEFAULT_MARGIN`.
    """
    best = str(groups.loc[groups["best"], "architecture"].iloc[0])
    to_best = {best: PairDifference(0.0, 0.0, 0.0, "best"), **differences_to(pairs, best, "accuracy")}
    rows = [name for name in groups["architecture"] if name in to_best and name != best]
    rows = in_display_order([*visible_architectures(rows, colors), best])
    margin = 100 * (DEFAULT_MARGIN if setup is None else float(setup["margin"].iloc[0]))
    figure, ((axes,),) = create_figure(
        1, 1, 10.2, 1.7 + 0.45 * len(rows), "Differences in test accuracy to the best architecture",
        f"Test accuracy minus that of {label(best)} (star), the architecture with the highest validation accuracy, in "
        "percentage points. A bar is the 95% confidence interval of the difference. The gray band is the equivalence "
        f"margin of ±{margin:g} points. The column on the right states the result of the significance test; it is "
        "corrected for the number of pairs. Values outside the axis are marked at its edge."
        + omission_note(groups["architecture"], rows),
    )  # fmt: skip
    axes.axvspan(-margin, margin, color="#EDEDED", zorder=0, label=f"Equivalence margin (±{margin:g} points)")
    axes.axvline(0, color=MUTED_COLOR, lw=1.2, zorder=1)
    axes.set_xlim(*difference_limits([to_best[name] for name in rows]))
    for row, name in enumerate(rows):
        plot_difference(axes, row, to_best[name], colors[name])
    label_rows([axes], rows, best)
    annotate_beside(axes, (1, 1.02), "Points", "Result", xycoords="axes fraction", fontweight="bold")
    axes.set_xlabel("Difference in test accuracy (percentage points)")
    figure.legend(loc="outside upper right")
    return figure


def difference_limits(rows: Sequence[PairDifference]) -> tuple[float, float]:
    """Return limits of an axis of differences around 0, in points, within ±`MAX_DIFFERENCE_LIMIT`."""
    known = 100 * np.array([[row.low, row.difference, row.high] for row in rows], dtype=float)
    known = known[np.isfinite(known)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    return (
        max(1.08 * min(low, -MIN_DIFFERENCE_LIMIT), -MAX_DIFFERENCE_LIMIT),
        min(1.08 * max(high, MIN_DIFFERENCE_LIMIT), MAX_DIFFERENCE_LIMIT),
    )


def plot_difference(axes: Axes, row: int, to_best: PairDifference, color: str) -> None:
    """Plot one difference to the best with its interval, and write it and its verdict beside the axis."""
    low, difference, high = (100 * value for value in (to_best.low, to_best.difference, to_best.high))
    left, right = axes.get_xlim()
    axes.plot(np.clip([low, high], left, right), [row, row], color=color, lw=3, alpha=0.55, solid_capstyle="butt")
    for edge, outside, arrow in ((left, low < left, "<"), (right, high > right, ">")):
        if outside:
            axes.plot(edge, row, arrow, color=color, markersize=7, clip_on=False, zorder=4)
    if left <= difference <= right:
        axes.scatter(difference, row, s=75, color=color, edgecolors="white", linewidths=1.2, zorder=4)
    number = "" if to_best.verdict == "best" else f"{difference:+z.2f}".replace("-", "−")
    verdict = verdict_label(to_best.verdict)
    annotate_beside(axes, (1, row), number, verdict, xycoords=("axes fraction", "data"), va="center")


def annotate_beside(axes: Axes, place: tuple[float, float], number: str, text: str, **options: Any) -> None:
    """Write a number and a text in two columns to the right of the axes."""
    for content, offset, align in ((number, 50, "right"), (text, 60, "left")):
        axes.annotate(content, place, (offset, 0), textcoords="offset points", ha=align, **options)
