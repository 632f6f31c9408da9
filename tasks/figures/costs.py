"""Pictures of what quality costs: time, size, latency and memory, and what more runs bring."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tasks.config.labels import in_order
from tasks.figures.layout import (
    INK,
    MILLISECONDS,
    SECONDS,
    Colours,
    Marks,
    canvas,
    in_lines,
    left_out,
    limits,
    multiply,
    name_rows,
    shown,
    spoken,
    spread,
    write_value,
)
from tasks.figures.style import marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Cost(NamedTuple):
    """A column of the trials that costs something, and how to show it as bars."""

    column: str
    title: str
    unit: str
    factor: float  # from the column's unit to the shown one
    words: Callable[[float], str]  # of a value in the column's unit
    note: str = ""


COSTS = (
    Cost("train_seconds", "Training time of one seed", "Seconds", 1, spoken),
    Cost("parameters", "Parameters", "Thousands", 1e-3, "{:,.0f}".format),
    Cost("latency_ms", "Latency of one review", "Milliseconds", 1, lambda value: f"{value:.3g} ms",
         "Latency is the time that the answer to a single review takes."),
    Cost("peak_memory_mb", "Peak memory", "MB", 1, "{:,.0f} MB".format,
         "Peak memory is that of the whole process that trained."),
)  # fmt: skip
# What is always shown, with "not known" where it is so; the others once a trial knows them.
ALWAYS = ("train_seconds", "parameters")
AXES_OF_COST: tuple[tuple[str, str, Marks], ...] = (
    ("train_seconds", "Training time of one seed", SECONDS),
    ("latency_ms", "Latency of one review", MILLISECONDS),
)


def costs(trials: pd.DataFrame, colours: Colours) -> Figure | None:
    """Draw training time and parameters side by side, latency and memory where known: bars from 0, a dot a seed."""
    rows = [name for name in in_order(trials["architecture"]) if name in colours]
    known = [cost for cost in COSTS if cost.column in ALWAYS or trials.get(cost.column, pd.Series()).notna().any()]
    if not rows:
        return None
    notes = "".join(f" {cost.note}" for cost in known if cost.note)
    figure, (panels,) = canvas(
        1, len(known), 12 if len(known) > 2 else 11, 1.4 + 0.42 * len(rows), "What does each cost?",
        "Bars begin at 0 and end at the mean of the seeds; a dot is one seed. Training time is the time inside the "
        f"training loop of one trial, on the hardware that the report names.{notes}",
        sharey=True,
    )  # fmt: skip
    for cost, axes in zip(known, panels, strict=True):
        for row, name in enumerate(rows):
            cost_row(axes, row, trials[trials["architecture"] == name], cost, colours[name])
        axes.set(title=cost.title, xlabel=cost.unit)
        # Room for the words behind the longest bar: the narrower the panel, the more.
        axes.set_xlim(0, axes.dataLim.x1 * (1.2 if len(known) == 2 else 1.55) or 1)
        axes.locator_params(axis="x", nbins=5)
    name_rows(panels, rows)
    return figure


def cost_row(axes: Axes, row: int, trials: pd.DataFrame, cost: Cost, colour: str) -> None:
    """Draw one architecture's bar of a cost, its seeds, and the mean in words."""
    own = trials[np.isfinite(trials[cost.column].astype(float))]
    values = own[cost.column].to_numpy(dtype=float)
    axes.barh(row, cost.factor * values.mean() if len(values) else 0, height=0.62, color=colour, zorder=2)
    if len(set(values)) > 1:  # equal ones, as parameters, would only be a mark on the bar's end
        axes.scatter(cost.factor * values, row + spread(own["seed"]), s=14, color=INK, linewidths=0, zorder=4)
    end = cost.factor * max(values, default=0)
    write_value(axes, row, end, cost.words(values.mean()) if len(values) else "not known")


def quality_against_cost(scores: pd.DataFrame, trials: pd.DataFrame, colours: Colours) -> Figure | None:
    """Draw test accuracy against training time and, where known, latency, with the line of the best for their cost."""
    accuracy = scores.query("split == 'test' and metric == 'accuracy'")
    points = accuracy.assign(percent=100 * accuracy["value"]).merge(trials, on=["architecture", "seed"])
    names = shown(points["architecture"], colours)
    note = left_out(points["architecture"], names)
    points = points[points["architecture"].isin(names)]
    panels_of = [axis for axis in AXES_OF_COST if axis[0] in points and priced(points, axis[0]).any()]
    if not panels_of:
        return None
    figure, (panels,) = canvas(
        1, len(panels_of), 8.6 if len(panels_of) == 1 else 12, 4.6, "What does quality cost?",
        "Up is better, left is cheaper. A small dot is one seed, a large one the mean; baselines are diamonds. "
        "Whatever lies below the grey line is beaten by something that is as good and as cheap. Each step of a time "
        "axis is a multiple; the accuracy axis does not begin at 0." + note,
        sharey=True,
    )  # fmt: skip
    for (column, words, marks), axes in zip(panels_of, panels, strict=True):
        quality_panel(axes, points[priced(points, column)], column, marks, colours)
        axes.set_xlabel(words)
    panels[0].set(ylabel="Test accuracy (%)", ylim=limits(points["percent"]))
    handles = {text: handle for axes in panels for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside right center")
    return figure


def priced(points: pd.DataFrame, column: str) -> pd.Series:
    """Tell which points have a score and a cost above 0, as an axis whose steps multiply needs it."""
    costs = points[column].astype(float)
    return np.isfinite(points["percent"]) & np.isfinite(costs) & (costs > 0)


def quality_panel(axes: Axes, points: pd.DataFrame, cost: str, marks: Marks, colours: Colours) -> None:
    """Draw the seeds, the means and the Pareto front of accuracy against one cost."""
    means = points.groupby("architecture")[[cost, "percent"]].mean()
    for name in (name for name in in_order(means.index) if name in colours):
        own, colour, shape = points[points["architecture"] == name], colours[name], marker(name)
        axes.scatter(own[cost], own["percent"], s=18, color=colour, marker=shape, alpha=0.6, linewidths=0, zorder=3)
        axes.scatter(own[cost].mean(), own["percent"].mean(), s=110, color=colour, marker=shape, edgecolors="white",
                     zorder=4, label=in_lines(name))  # fmt: skip
    corners = means.iloc[frontier(means[cost].to_numpy(), means["percent"].to_numpy())]
    # On to the right edge: what is best at some cost stays so for whoever has more.
    ends = [*corners[cost], 2 * points[cost].max()]
    heights = [*corners["percent"], corners["percent"].iloc[-1]]
    axes.plot(ends, heights, color="#BDBDBD", drawstyle="steps-post", zorder=1, lw=2)
    multiply(axes, points[cost], marks)


def frontier(costs: np.ndarray, values: np.ndarray) -> list[int]:
    """Find the points that no other beats in both cost (lower) and value (higher): the Pareto front, cheapest first."""
    order = np.lexsort((-values, costs))
    best = np.maximum.accumulate(values[order])
    return [int(i) for place, i in enumerate(order) if place == 0 or values[i] > best[place - 1]]


def expected_best(expected: pd.DataFrame, colours: Colours) -> Figure | None:
    """Draw the best validation accuracy to expect of n runs against the training time that they take together.

    Source: Dodge et al. 2019, "Show Your Work: Improved Reporting of Experimental Results".

    Args:
        expected: Columns architecture, runs, expected (in [0, 1]) and seconds; rows without seconds are left out. With
            one run of each there is nothing to show.
        colours: Architecture to colour.
    """
    rows = expected[np.isfinite(expected["expected"]) & np.isfinite(expected["seconds"]) & (expected["seconds"] > 0)]
    names = shown(rows["architecture"], colours)
    if not names or rows["runs"].max() < 2:
        return None
    figure, ((axes,),) = canvas(
        1, 1, 9.6, 4.6, "What do more runs bring?",
        "The first dot of a line is one run, the next the best of two, and so on: the best validation accuracy to "
        "expect, against the training time of so many runs together. At equal time, the upper line is the better "
        "buy; a flat line gains nothing from more seeds. It is about picking among seeds, not about test accuracy. "
        "Each step of the time axis is a multiple; the accuracy axis does not begin at 0."
        + left_out(rows["architecture"], names),
    )  # fmt: skip
    for name in names:
        own = rows[rows["architecture"] == name].sort_values("runs")
        axes.plot(own["seconds"], 100 * own["expected"], color=colours[name], marker=marker(name), markersize=6,
                  markeredgecolor="white", lw=1.6, label=in_lines(name))  # fmt: skip
    own = rows[rows["architecture"].isin(names)]
    multiply(axes, own["seconds"], SECONDS)
    axes.set_ylim(*limits(100 * own["expected"]))
    axes.set(xlabel="Training time of all runs together", ylabel="Expected best validation accuracy (%)")
    figure.legend(loc="outside right center")
    return figure
