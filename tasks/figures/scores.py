"""Figures of the test scores and of the differences to the best architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks.config.labels import in_display_order, label
from tasks.evaluation.scores import rank_by_validation
from tasks.figures.failures import FAILURE_CAPTION, FailedSeeds, failed_counts, failed_seeds, failure_notes, is_failed
from tasks.figures.layout import (
    MUTED_COLOR,
    TEXT_COLOR,
    Colors,
    axis_limits,
    create_figure,
    label_rows,
    omission_note,
    rows_height,
    seed_offsets,
    visible_architectures,
)
from tasks.figures.verdict_labels import verdict_label
from tasks.statistics.ranking import PairDifference, differences_to

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLOTTED_METRICS = ("accuracy", "f1", "auc")
# Columns of the frame pairs: name and color of the source of variance.
SOURCES = {
    "seed_variance": ("Seed", "#4477AA"),
    "item_variance": ("Sample of test reviews", "#BBBBBB"),
    "training_std": ("Sample of training reviews", "#CCBB44"),
}
SOURCES_CAPTION = (
    " The panel on the right shows how far each source varies the difference of a single run: its standard deviation. "
    "More seeds reduce the part of the seeds, more test reviews the part of the test reviews. A source without a bar "
    "has an estimate of 0; the seed has no effect on the baselines."
)
# Equivalence margin, used if the frame setup does not contain it.
DEFAULT_MARGIN = 0.005
# Smallest and largest absolute limit of an axis of differences, in percentage points.
MIN_DIFFERENCE_LIMIT, MAX_DIFFERENCE_LIMIT = 1.5, 10.0
# The same of an axis of standard deviations.
MIN_DEVIATION_LIMIT, MAX_DEVIATION_LIMIT = 0.5, 5.0


def scores_on_test(
    scores: pd.DataFrame, trials: pd.DataFrame, colors: Colors, summary: pd.DataFrame | None = None
) -> Figure | None:
    """Plot test accuracy, F1 and AUC: a dot per seed, the mean, its interval if it is known, and seeds that failed.

    Args:
        scores: Columns architecture, seed, split, metric, value.
        trials: Columns architecture, seed, status and parameters; parameters break ties of validation accuracy.
        colors: Architecture to color.
        summary: Intervals: columns architecture, split, metric, low, high, and failed_seeds if it is known.
    """
    test = scores[(scores["split"] == "test") & np.isfinite(scores["value"])]
    failed = failed_seeds(summary)
    notes = failure_notes(trials, failed)
    rows = [name for name in in_display_order([*test["architecture"], *notes]) if name in colors]
    metrics = [metric for metric in PLOTTED_METRICS if (test["metric"] == metric).any()]
    if not metrics:
        return None
    ranking = rank_by_validation(scores, trials)["architecture"]
    interval = "" if summary is None else " A bar is the 95% confidence interval of the mean."
    failures = FAILURE_CAPTION if notes else ""
    figure, panels = create_figure(
        1, len(metrics), 11, 1.5 + rows_height(rows, notes), "Scores on the test reviews",
        f"A small dot is one seed, a large dot the mean over the seeds.{interval}{failures} The star marks the "
        "architecture with the highest validation accuracy. The axes do not start at 0; a value below "
        "an axis is written at its edge.",
        sharey=True,
    )  # fmt: skip
    for metric, axes in zip(metrics, panels[0], strict=True):
        rows_of_metric = test[test["metric"] == metric]
        intervals = None if summary is None else summary.query("split == 'test' and metric == @metric")
        plot_scores(axes, rows_of_metric, rows, colors, intervals, failed)
        axes.set(title=label(metric), xlabel=f"Test {label(metric) if metric != 'accuracy' else metric} (%)")
    label_rows(panels[0], rows, None if ranking.empty else ranking.iloc[0], notes)
    add_dot_legend(figure, intervals=summary is not None, failed=any(failed.values()))
    return figure


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
) -> None:
    """Plot the seeds, means and intervals of one metric, a row per architecture, in percent."""
    bounds = None if intervals is None else intervals.set_index("architecture")[["low", "high"]] * 100
    axes.set_xlim(*score_limits(scores, bounds, failed))
    for row, name in enumerate(rows):
        seeds = scores[scores["architecture"] == name]
        if not len(seeds):
            axes.annotate("no score", (0.5, row), xycoords=("axes fraction", "data"), ha="center", va="center",
                          color=MUTED_COLOR)  # fmt: skip
            continue
        if bounds is not None and name in bounds.index:
            axes.plot(bounds.loc[name], [row, row], color=colors[name], lw=3, alpha=0.5, solid_capstyle="butt",
                      zorder=2)  # fmt: skip
        plot_seeds(axes, row, seeds, colors[name], is_failed(seeds, failed))


def plot_seeds(axes: Axes, row: int, seeds: pd.DataFrame, color: str, failed: np.ndarray) -> None:
    """Plot the seeds of one architecture and their mean; what is below the axis is written at its edge.

    Args:
        axes: The panel.
        row: Row of the architecture.
        seeds: Columns seed and value.
        color: Color of the architecture.
        failed: (seeds,) bool, whether the training failed.
    """
    left, values, heights = axes.get_xlim()[0], 100 * seeds["value"].to_numpy(), row + seed_offsets(seeds["seed"])
    inside = values >= left
    # Not clipped: a score of 100% is on the edge of the axis.
    for chosen, shape, size in ((inside & ~failed, "o", 22), (inside & failed, "X", 40)):
        if chosen.any():
            axes.scatter(values[chosen], heights[chosen], s=size, color=color, marker=shape, edgecolors="white",
                         linewidths=0.6, zorder=5, clip_on=False)  # fmt: skip
    mean, below = values.mean(), sorted(values[failed & ~inside])
    if mean >= left:
        axes.scatter(mean, row, s=75, color=color, edgecolors="white", linewidths=1.2, zorder=4, clip_on=False)
    texts = [f"{value:.1f} ✖" for value in below] if len(below) < 3 else [f"{len(below)} ✖"]
    if mean < left:
        texts.insert(0, f"mean {mean:.1f}" if len(values) > 1 else f"{mean:.1f}")
    if texts:
        # Below the bar of the interval, which may reach the edge; in the middle of the row if there is none.
        place = row + 0.37 if inside.any() else row
        axes.annotate(f"◂ {', '.join(texts)}", (left, place), (4, 0), textcoords="offset points", va="center",
                      color=MUTED_COLOR, fontsize=8, zorder=6)  # fmt: skip


def score_limits(scores: pd.DataFrame, bounds: pd.DataFrame | None, failed: FailedSeeds) -> tuple[float, float]:
    """Return axis limits for scores and interval bounds in percent.

    The majority class, failed seeds, and intervals of means that contain failed seeds would hide the differences
    between all others. They count only if there is nothing else.
    """
    others = scores[(scores["architecture"] != "majority") & ~is_failed(scores, failed)]
    values = 100 * (others if len(others) else scores)["value"].to_numpy()
    if bounds is not None:
        values = np.concatenate([values, bounds.drop(index=["majority", *failed], errors="ignore").to_numpy().ravel()])
    return axis_limits(values)


def differences(pairs: pd.DataFrame, groups: pd.DataFrame, colors: Colors, setup: pd.DataFrame | None = None) -> Figure:
    """Plot the difference in test accuracy of each architecture to the best one, and how far each source varies it.

    Args:
        pairs: Columns first, second, metric, difference, low, high, verdict; seed_variance, item_variance (squared
            fractions) and training_std (points) if they are known.
        groups: Columns architecture, best.
        colors: Architecture to color.
        setup: Column margin, the half-width of the equivalence band; None for `DEFAULT_MARGIN`.
    """
    best = str(groups.loc[groups["best"], "architecture"].iloc[0])
    to_best = {best: PairDifference(0.0, 0.0, 0.0, "best"), **differences_to(pairs, best, "accuracy")}
    rows = [name for name in groups["architecture"] if name in to_best and name != best]
    rows = in_display_order([*visible_architectures(rows, colors), best])
    margin = 100 * (DEFAULT_MARGIN if setup is None else float(setup["margin"].iloc[0]))
    deviations, notes = difference_deviations(pairs, best, rows), failed_counts(pairs)
    figure, (panels,) = create_figure(
        1, 2 if deviations else 1, 13 if deviations else 10.2, 1.9 + rows_height(rows, notes),
        "Differences in test accuracy to the best architecture",
        f"Test accuracy minus that of {label(best)} (star), the architecture with the highest validation accuracy, in "
        "percentage points. A bar is the 95% confidence interval of the difference. The gray band is the equivalence "
        f"margin of ±{margin:g} points. The column beside it states the result of the significance test; it is "
        f"corrected for the number of pairs. Values outside the axis are marked at its edge."
        f"{SOURCES_CAPTION if deviations else ''}{omission_note(groups['architecture'], rows)}",
        sharey=True, **({"width_ratios": [2.2, 1]} if deviations else {}),
    )  # fmt: skip
    axes = panels[0]
    axes.axvspan(-margin, margin, color="#EDEDED", zorder=0, label=f"Equivalence margin (±{margin:g} points)")
    axes.axvline(0, color=MUTED_COLOR, lw=1.2, zorder=1)
    axes.set_xlim(*difference_limits([to_best[name] for name in rows]))
    for row, name in enumerate(rows):
        plot_difference(axes, row, to_best[name], colors[name])
    if deviations:
        plot_deviations(panels[1], rows, deviations)
    label_rows(panels, rows, best, notes)
    annotate_beside(axes, (1, 1), "Points", "Result", height=8, xycoords="axes fraction", fontweight="bold")
    axes.set_xlabel("Difference in test accuracy (percentage points)")
    figure.legend(loc="outside lower left", ncols=4)
    return figure


def difference_deviations(pairs: pd.DataFrame, best: str, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return how far each known source varies the difference of an architecture to the best one.

    Returns:
        Source (`SOURCES`) to architecture to the standard deviation of the difference of a single run, in points; NaN
        where it is not known. Sources that are not in the frame, or not known for any pair, are left out.
    """
    rows = pairs[(pairs["metric"] == "accuracy") & ((pairs["first"] == best) | (pairs["second"] == best))]
    others = rows["first"].where(rows["second"] == best, rows["second"]).map(str)
    points = {column: 100 * rows[column] ** 0.5 for column in ("seed_variance", "item_variance") if column in rows}
    if "training_std" in rows:
        points["training_std"] = rows["training_std"]
    deviations = {
        column: {name: value for name, value in zip(others, values.astype(float), strict=True) if name in names}
        for column, values in points.items()
    }
    return {column: values for column, values in deviations.items() if np.isfinite([*values.values()]).any()}


def plot_deviations(axes: Axes, rows: Sequence[str], deviations: Mapping[str, Mapping[str, float]]) -> None:
    """Plot a bar per architecture and source of variance: the standard deviation of the difference, in points."""
    height = 0.66 / len(deviations)
    all_values = np.array([value for values in deviations.values() for value in values.values()])
    limit = min(1.1 * max(all_values[np.isfinite(all_values)].max(), MIN_DEVIATION_LIMIT), MAX_DEVIATION_LIMIT)
    for place, (source, values) in enumerate(deviations.items()):
        name, color = SOURCES[source]
        known = [(row, values[each]) for row, each in enumerate(rows) if np.isfinite(values.get(each, np.nan))]
        shift = (place - (len(deviations) - 1) / 2) * height
        axes.barh([row + shift for row, _ in known], [value for _, value in known], height=0.85 * height, color=color,
                  label=name, zorder=2)  # fmt: skip
        for row, value in ((row, value) for row, value in known if value > limit):
            axes.annotate(f"▸ {value:.1f}", (limit, row + shift), (2, 0), textcoords="offset points", va="center",
                          fontsize=8)  # fmt: skip
        for row in (row for row, each in enumerate(rows) if np.isnan(values.get(each, 0))):
            axes.annotate("not known", (0, row + shift), (4, 0), textcoords="offset points", va="center", fontsize=8,
                          color=color)  # fmt: skip
    axes.set(title="Sources of variance", xlabel="Standard deviation of the\ndifference of one run (points)")
    axes.set_xlim(0, limit)
    axes.locator_params(axis="x", nbins=5)


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


def annotate_beside(
    axes: Axes, place: tuple[float, float], number: str, text: str, height: float = 0, **options: Any
) -> None:
    """Write a number and a text in two columns to the right of the axes, `height` points above the place."""
    for content, offset, align in ((number, 50, "right"), (text, 60, "left")):
        axes.annotate(content, place, (offset, height), textcoords="offset points", ha=align, **options)
