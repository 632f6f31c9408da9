"""Figures of costs: training time, parameters, latency and memory, and scores against them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tasks.config.labels import in_display_order
from tasks.evaluation.metric_record import Metric
from tasks.figures.failures import FAILURE_CAPTION, failed_seeds, is_failed
from tasks.figures.layout import (
    MILLISECONDS_TICKS,
    SECONDS_TICKS,
    TEXT_COLOR,
    Colors,
    Ticks,
    annotate_bar,
    create_figure,
    format_duration,
    label_rows,
    legend_height,
    metric_limits,
    omission_note,
    rows_height,
    seed_offsets,
    set_log_axis,
    visible_architectures,
    wrap_label,
)
from tasks.figures.style import marker
from tasks.statistics.main_metric import main_metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class CostPanel:
    """A panel of bars that shows one cost column of the frame trials.

    Attributes:
        column: Column of the frame trials.
        title: Title of the panel.
        unit: Unit of the x axis.
        factor: Factor from the unit of the column to the unit of the axis.
        format_value: Format a value in the unit of the column.
        note: Sentence for the caption.
    """

    column: str
    title: str
    unit: str
    factor: float
    format_value: Callable[[float], str]
    note: str = ""


@dataclass(frozen=True)
class CostAxis:
    """A logarithmic axis of a cost: column of the frame trials, label, and ticks."""

    column: str
    label: str
    ticks: Ticks


COST_PANELS = (
    CostPanel("train_seconds", "Training time of one seed", "Seconds", 1, format_duration),
    CostPanel("cpu_seconds", "CPU time of one seed", "Seconds", 1, format_duration,
              "CPU time is that of the whole trial; other programs hardly change it."),
    CostPanel("parameters", "Parameters", "Thousands", 1e-3, "{:,.0f}".format),
    CostPanel("latency_ms", "Latency of one review", "Milliseconds", 1, lambda value: f"{value:.3g} ms",
              "Latency is the time to predict a single review."),
    CostPanel("peak_memory_mb", "Peak memory", "MB", 1, "{:,.0f} MB".format,
              "Peak memory is that of the whole training process."),
)  # fmt: skip
OUTSIDE = (
    " The axis is chosen for the other seeds: a triangle at its {} is a mean {} it, with its value, and a cross there "
    "a seed {} it."
)
# These panels are always shown; the others only if a trial has a value.
REQUIRED_COSTS = ("train_seconds", "parameters")
COST_AXES = (
    CostAxis("train_seconds", "Training time of one seed", SECONDS_TICKS),
    CostAxis("latency_ms", "Latency of one review", MILLISECONDS_TICKS),
)


def costs(trials: pd.DataFrame, colors: Colors) -> Figure | None:
    """Plot training time and parameters of each architecture, and CPU time, latency and peak memory if they are known.

    Args:
        trials: Columns architecture and seed, and the columns of `COST_PANELS`.
        colors: Architecture to color.
    """
    rows = [name for name in in_display_order(trials["architecture"]) if name in colors]
    costs = [
        cost for cost in COST_PANELS
        if cost.column in REQUIRED_COSTS or trials.get(cost.column, pd.Series()).notna().any()
    ]  # fmt: skip
    if not rows:
        return None
    notes = "".join(f" {cost.note}" for cost in costs if cost.note)
    width = max(12 if len(costs) > 2 else 11, 3 * len(costs))
    figure, (panels,) = create_figure(
        1, len(costs), width, 1.4 + rows_height(rows), "Cost of each architecture",
        "A bar is the mean over the seeds and starts at 0; a dot is one seed. Training time is the time inside the "
        f"training loop of one trial, on the hardware listed in the report.{notes}",
        sharey=True,
    )  # fmt: skip
    for cost, axes in zip(costs, panels, strict=True):
        for row, name in enumerate(rows):
            plot_cost(axes, row, trials[trials["architecture"] == name], cost, colors[name])
        axes.set(title=cost.title, xlabel=cost.unit)
        # Space for the text behind the longest bar: the narrower the panel, the more.
        axes.set_xlim(0, axes.dataLim.x1 * (1.2 if len(costs) == 2 else 1.55) or 1)
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter("{x:,g}")
    label_rows(panels, rows)
    return figure


def plot_cost(axes: Axes, row: int, trials: pd.DataFrame, cost: CostPanel, color: str) -> None:
    """Plot one cost of one architecture: a bar for the mean, a dot per seed, and the mean as text."""
    known = trials[np.isfinite(trials[cost.column].astype(float))]
    values = known[cost.column].to_numpy(dtype=float)
    axes.barh(row, cost.factor * values.mean() if len(values) else 0, height=0.62, color=color, zorder=2)
    if len(set(values)) > 1:  # dots of equal values, such as parameters, would only mark the end of the bar
        axes.scatter(
            cost.factor * values, row + seed_offsets(known["seed"]), s=14, color=TEXT_COLOR, linewidths=0, zorder=4
        )
    end = cost.factor * max(values, default=0)
    annotate_bar(axes, row, end, cost.format_value(values.mean()) if len(values) else "not known")


def quality_against_cost(
    scores: pd.DataFrame,
    trials: pd.DataFrame,
    colors: Colors,
    summary: pd.DataFrame | None = None,
    setup: pd.DataFrame | None = None,
) -> Figure | None:
    """Plot test scores against training time and latency, with the Pareto front.

    Args:
        scores: Columns architecture, seed, split, metric, value.
        trials: Columns architecture and seed, and the columns of `COST_AXES` that are known.
        colors: Architecture to color.
        summary: Columns architecture, split and failed_seeds; None if it is not known which seeds failed.
        setup: Column metric, the main metric; None for the default.
    """
    metric = main_metric(setup)
    test = scores[(scores["split"] == "test") & (scores["metric"] == metric.name)]
    points = test.assign(score=metric.unit.factor * test["value"]).merge(trials, on=["architecture", "seed"])
    names = visible_architectures(points["architecture"], colors)
    note = omission_note(points["architecture"], names)
    points = points[points["architecture"].isin(names)]
    points = points.assign(failed=is_failed(points, failed_seeds(summary)))
    cost_axes = [cost for cost in COST_AXES if cost.column in points and has_cost(points, cost.column).any()]
    if not cost_axes:
        return None
    outside = OUTSIDE.format(*(("bottom", "below", "below") if metric.greater_is_better else ("top", "above", "above")))
    failures = FAILURE_CAPTION + outside if points["failed"].any() else ""
    figure, (panels,) = create_figure(
        1, len(cost_axes), 8.6 if len(cost_axes) == 1 else 12, max(4.6, legend_height(names)),
        f"Test {metric.text} against cost",
        f"{'Higher' if metric.greater_is_better else 'Lower'} is better, further left is cheaper. A small "
        f"marker is one seed, a large marker the mean over the seeds; baselines are diamonds.{failures} The "
        "gray line is the Pareto front: for every architecture "
        f"{'below' if metric.greater_is_better else 'above'} it there is one that is at least as good and at "
        "least as cheap. Cost axes are logarithmic; the vertical axis does not start at 0." + note,
        sharey=True,
    )  # fmt: skip
    successful = points[~points["failed"]]
    limits = metric_limits((successful if len(successful) else points)["score"], metric)
    panels[0].set(ylabel=metric.header("Test"), ylim=limits)
    for cost, axes in zip(cost_axes, panels, strict=True):
        plot_quality_against_cost(axes, points[has_cost(points, cost.column)], cost, colors, metric)
    handles = {text: handle for axes in panels for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside right center")
    return figure


def has_cost(points: pd.DataFrame, column: str) -> pd.Series:
    """Return which points have a score and a cost above 0, as a logarithmic axis requires."""
    costs = points[column].astype(float)
    return np.isfinite(points["score"]) & np.isfinite(costs) & (costs > 0)


def plot_quality_against_cost(axes: Axes, points: pd.DataFrame, cost: CostAxis, colors: Colors, metric: Metric) -> None:
    """Plot seeds, means and the Pareto front of scores against one cost."""
    means, sign = points.groupby("architecture")[[cost.column, "score"]].mean(), 1 if metric.greater_is_better else -1
    edge = axes.get_ylim()[0 if sign > 0 else 1]  # at the worst scores
    clip = np.maximum if sign > 0 else np.minimum
    for name in (name for name in in_display_order(means.index) if name in colors):
        seeds, mean, color, shape = points[points["architecture"] == name], means.loc[name], colors[name], marker(name)
        failed, others = seeds[seeds["failed"]], seeds[~seeds["failed"]]
        axes.scatter(others[cost.column], others["score"], s=18, color=color, marker=shape, alpha=0.6, linewidths=0,
                     zorder=3, clip_on=False)  # fmt: skip
        if len(failed):
            axes.scatter(failed[cost.column], clip(failed["score"], edge), s=40, color=color, marker="X",
                         linewidths=0, zorder=5, clip_on=False)  # fmt: skip
        is_outside = sign * mean["score"] < sign * edge
        axes.scatter(mean[cost.column], clip(mean["score"], edge), s=110, color=color,
                     marker=("v" if sign > 0 else "^") if is_outside else shape, edgecolors="white", zorder=4,
                     clip_on=False, label=wrap_label(name))  # fmt: skip
        if is_outside:
            axes.annotate(f"{mean['score']:.{metric.unit.digits - 1}f}", (mean[cost.column], edge), (0, 9 * sign),
                          textcoords="offset points", ha="center", va="bottom" if sign > 0 else "top",
                          fontsize=8.5)  # fmt: skip
    front = means.iloc[pareto_front(means[cost.column].to_numpy(), sign * means["score"].to_numpy())]
    # The line continues to the right edge: the best at some cost is also available at a higher one.
    ends = [*front[cost.column], 2 * points[cost.column].max()]
    heights = [*front["score"], front["score"].iloc[-1]]
    axes.plot(ends, heights, color="#BDBDBD", drawstyle="steps-post", zorder=1, lw=2)
    set_log_axis(axes, points[cost.column], cost.ticks)
    axes.set_xlabel(cost.label)


def pareto_front(costs: np.ndarray, values: np.ndarray) -> list[int]:
    """Return the indices of the points that no other point beats in both cost (lower) and value (higher).

    Args:
        costs: (points,) float.
        values: (points,) float.

    Returns:
        Indices, cheapest first.
    """
    order = np.lexsort((-values, costs))
    best = np.maximum.accumulate(values[order])
    return [int(i) for place, i in enumerate(order) if place == 0 or values[i] > best[place - 1]]


def expected_best(expected: pd.DataFrame, colors: Colors, setup: pd.DataFrame | None = None) -> Figure | None:
    """Plot the expected best validation score of n runs against their total training time.

    Source: Dodge et al. 2019, "Show Your Work: Improved Reporting of Experimental Results".

    Args:
        expected: Columns architecture, runs, expected (score) and train_seconds; rows without train_seconds are
            left out.
        colors: Architecture to color.
        setup: Column metric, the main metric; None for the default.

    Returns:
        The figure; None if every architecture has one run only.
    """
    metric = main_metric(setup)
    factor = metric.unit.factor
    rows = expected[
        np.isfinite(expected["expected"]) & np.isfinite(expected["train_seconds"]) & (expected["train_seconds"] > 0)
    ]
    names = visible_architectures(rows["architecture"], colors)
    if not names or rows["runs"].max() < 2:
        return None
    figure, ((axes,),) = create_figure(
        1, 1, 9.6, max(4.6, legend_height(names)), f"Expected best validation {metric.text}",
        f"Expected validation {metric.text} of the best of n runs against the total training time of the n runs; the "
        "first marker of a line is n = 1, the second n = 2, and so on. At equal training time, the "
        f"{'higher' if metric.greater_is_better else 'lower'} line is preferable. A flat line gains nothing from "
        "further seeds. The figure is about selecting a seed by its validation score, not about test scores. The time "
        "axis is logarithmic; the vertical axis does not start at 0."
        + omission_note(rows["architecture"], names),
    )  # fmt: skip
    for name in names:
        line = rows[rows["architecture"] == name].sort_values("runs")
        axes.plot(line["train_seconds"], factor * line["expected"], color=colors[name], marker=marker(name),
                  markersize=6, markeredgecolor="white", lw=1.6, label=wrap_label(name))  # fmt: skip
    visible = rows[rows["architecture"].isin(names)]
    set_log_axis(axes, visible["train_seconds"], SECONDS_TICKS)
    axes.set_ylim(*metric_limits(factor * visible["expected"], metric))
    axes.set(xlabel="Total training time of all runs", ylabel=metric.header("Expected best validation"))
    figure.legend(loc="outside right center")
    return figure
