"""Figure of the test scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tasks.config.labels import in_display_order, label, label_in_sentence
from tasks.evaluation.metric_record import PERCENT, Metric
from tasks.evaluation.metrics import METRICS
from tasks.evaluation.scores import class_keys, rank_by_validation
from tasks.figures.failures import FAILURE_CAPTION, FailedSeeds, failed_seeds, failure_notes, is_failed
from tasks.figures.layout import (
    MUTED_COLOR,
    TEXT_COLOR,
    Colors,
    create_figure,
    label_rows,
    metric_limits,
    rows_height,
    seed_offsets,
)
from tasks.statistics.main_metric import main_metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = 3


def scores_on_test(
    scores: pd.DataFrame,
    trials: pd.DataFrame,
    colors: Colors,
    summary: pd.DataFrame | None = None,
    setup: pd.DataFrame | None = None,
    class_names: Sequence[str] = class_keys(2),
) -> Figure | None:
    """Plot test scores in three metrics: a dot per seed, the mean, its interval if it is known, and seeds that failed.

    Args:
        scores: Columns architecture, seed, split, metric, value.
        trials: Columns architecture, seed, status and parameters; parameters break ties of validation scores.
        colors: Architecture to color.
        summary: Intervals: columns architecture, split, metric, low, high, and failed_seeds if it is known.
        setup: Column metric, the main metric; None for the default.
        class_names: Names of the classes. Metrics that are averaged over more than two are called macro.
    """
    classes = len(class_names)
    main = main_metric(setup)
    test = scores[(scores["split"] == "test") & np.isfinite(scores["value"])]
    failed = failed_seeds(summary)
    notes = failure_notes(trials, failed)
    rows = [name for name in in_display_order([*test["architecture"], *notes]) if name in colors]
    metrics = plotted_metrics(test, main)
    if not metrics:
        return None
    ranking = rank_by_validation(scores, trials, main.name)["architecture"]
    interval = "" if summary is None else " A bar is the 95% confidence interval of the mean."
    failures = FAILURE_CAPTION if notes else ""
    figure, panels = create_figure(
        1, len(metrics), 11, 1.5 + rows_height(rows, notes), "Scores on the test reviews",
        f"A small dot is one seed, a large dot the mean over the seeds.{interval}{failures} The star marks the "
        f"architecture with the {main.best} validation {label_in_sentence(main.name, classes)}.{main.direction} The "
        "axes do not start at 0; a value outside an axis is written at its edge.",
        sharey=True,
    )  # fmt: skip
    for metric, axes in zip(metrics, panels[0], strict=True):
        intervals = None
        if summary is not None:
            intervals = summary[(summary["split"] == "test") & (summary["metric"] == metric.name)]
        plot_scores(axes, test[test["metric"] == metric.name], rows, colors, intervals, failed, metric)
        axes.set(title=label(metric.name, classes), xlabel=metric.header("Test", classes))
    label_rows(panels[0], rows, None if ranking.empty else ranking.iloc[0], notes)
    add_dot_legend(figure, intervals=summary is not None, failed=any(failed.values()))
    return figure


def plotted_metrics(scores: pd.DataFrame, main: Metric) -> list[Metric]:
    """Return the metrics of the panels that have scores: the main metric, then others whose scores are in percent."""
    others = [each for each in METRICS.values() if each.unit == PERCENT and not each.is_for_imbalance]
    metrics = [main, *(each for each in others if each.contributions and each != main)][:PANELS]
    return [metric for metric in metrics if (scores["metric"] == metric.name).any()]


def add_dot_legend(figure: Figure, *, intervals: bool, failed: bool) -> None:
    """Add the legend of seeds, means, intervals and failed seeds."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=TEXT_COLOR, marker="o", linestyle="", markersize=size) for size in (4, 8)]
    labels = ["One seed", "Mean over the seeds"]
    if intervals:
        handles, labels = [*handles, Line2D([], [], color=TEXT_COLOR, lw=3, alpha=0.5)], [*labels, "95% interval"]
    if failed:
        cross = Line2D([], [], color=TEXT_COLOR, marker="X", linestyle="", markersize=8, markeredgecolor="white")
        handles, labels = [*handles, cross], [*labels, "Failed seed"]
    figure.legend(handles, labels, loc="outside upper right", ncols=len(labels))


def plot_scores(
    axes: Axes,
    scores: pd.DataFrame,
    rows: Sequence[str],
    colors: Colors,
    intervals: pd.DataFrame | None,
    failed: FailedSeeds,
    metric: Metric,
) -> None:
    """Plot the seeds, means and intervals of one metric, a row per architecture, in its unit."""
    factor = metric.unit.factor
    bounds = None if intervals is None else intervals.set_index("architecture")[["low", "high"]] * factor
    axes.set_xlim(*score_limits(scores, bounds, failed, metric))
    for row, name in enumerate(rows):
        seeds = scores[scores["architecture"] == name]
        if not len(seeds):
            axes.annotate("no score", (0.5, row), xycoords=("axes fraction", "data"), ha="center", va="center",
                          color=MUTED_COLOR)  # fmt: skip
            continue
        if bounds is not None and name in bounds.index:
            axes.plot(bounds.loc[name], [row, row], color=colors[name], lw=3, alpha=0.5, solid_capstyle="butt",
                      zorder=2)  # fmt: skip
        plot_seeds(axes, row, seeds, colors[name], is_failed(seeds, failed), metric)


def plot_seeds(axes: Axes, row: int, seeds: pd.DataFrame, color: str, failed: np.ndarray, metric: Metric) -> None:
    """Plot the seeds of one architecture and their mean; what is worse than the axis shows is written at its edge.

    Args:
        axes: The panel.
        row: Row of the architecture.
        seeds: Columns seed and value.
        color: Color of the architecture.
        failed: (seeds,) bool, whether the training failed.
        metric: Metric of the scores.
    """
    values, heights = metric.unit.factor * seeds["value"].to_numpy(), row + seed_offsets(seeds["seed"])
    edge, sign = (axes.get_xlim()[0], 1) if metric.greater_is_better else (axes.get_xlim()[1], -1)
    inside, digits = sign * values >= sign * edge, metric.unit.digits - 1
    # Not clipped: a score of 100% is on the edge of the axis.
    for chosen, shape, size in ((inside & ~failed, "o", 22), (inside & failed, "X", 40)):
        if chosen.any():
            axes.scatter(values[chosen], heights[chosen], s=size, color=color, marker=shape, edgecolors="white",
                         linewidths=0.6, zorder=5, clip_on=False)  # fmt: skip
    mean, outside = values.mean(), sorted(values[failed & ~inside])
    if sign * mean >= sign * edge:
        axes.scatter(mean, row, s=75, color=color, edgecolors="white", linewidths=1.2, zorder=4, clip_on=False)
    texts = [f"{value:.{digits}f} ✖" for value in outside] if len(outside) < 3 else [f"{len(outside)} ✖"]
    if sign * mean < sign * edge:
        texts.insert(0, f"mean {mean:.{digits}f}" if len(values) > 1 else f"{mean:.{digits}f}")
    if texts:
        # Below the bar of the interval, which may reach the edge; in the middle of the row if there is none.
        place = row + 0.37 if inside.any() else row
        text = f"◂ {', '.join(texts)}" if sign > 0 else f"{', '.join(texts)} ▸"
        axes.annotate(text, (edge, place), (4 * sign, 0), textcoords="offset points", va="center", zorder=6,
                      ha="left" if sign > 0 else "right", color=MUTED_COLOR, fontsize=8)  # fmt: skip


def score_limits(
    scores: pd.DataFrame, bounds: pd.DataFrame | None, failed: FailedSeeds, metric: Metric
) -> tuple[float, float]:
    """Return axis limits for scores and for interval bounds in the unit of the metric.

    The majority class, failed seeds, and intervals of means that contain failed seeds would hide the differences
    between all others. They count only if there is nothing else.
    """
    others = scores[(scores["architecture"] != "majority") & ~is_failed(scores, failed)]
    values = metric.unit.factor * (others if len(others) else scores)["value"].to_numpy()
    if bounds is not None:
        values = np.concatenate([values, bounds.drop(index=["majority", *failed], errors="ignore").to_numpy().ravel()])
    return metric_limits(values, metric)
