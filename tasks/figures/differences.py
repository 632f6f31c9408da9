"""Figure of the differences to the best architecture, with the sources of their variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks.config.labels import in_display_order, label
from tasks.evaluation.metric_record import PERCENT, Metric, Unit
from tasks.figures.failures import failed_counts
from tasks.figures.layout import (
    MUTED_COLOR,
    TEXT_COLOR,
    Colors,
    create_figure,
    label_rows,
    omission_note,
    rows_height,
    visible_architectures,
)
from tasks.figures.verdict_labels import verdict_label
from tasks.statistics.main_metric import main_metric
from tasks.statistics.ranking import PairDifference, differences_to

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Columns of the frames pairs and training_pairs: name and color of the source of variance.
SOURCES = {
    "seed_variance": ("Seed", "#4477AA"),
    "item_variance": ("Sample of test reviews", "#BBBBBB"),
    "training_variance": ("Sample of training reviews", "#CCBB44"),
}
SOURCES_CAPTION = (
    " The panel on the right shows how far each source varies the difference of a single run: its standard deviation. "
    "More seeds reduce the part of the seeds, more test reviews the part of the test reviews. A source without a bar "
    "has an estimate of 0; the seed has no effect on the baselines."
)
TRAINING_CAPTION = (
    " The thin line is the interval for models that are trained on other training reviews: it contains the variance "
    "between bootstrap resamples of the training reviews as well. Bar and result are about those of this run."
)
# Equivalence margin, used if the frame setup does not contain it.
DEFAULT_MARGIN = 0.005
# Lines of the intervals for the training reviews of the run, and for others.
BAR: dict[str, Any] = {"lw": 6, "alpha": 0.5, "solid_capstyle": "butt"}
THIN_LINE: dict[str, Any] = {"lw": 1.1, "marker": "|", "markersize": 8}
# Smallest and largest absolute limit of an axis of differences, in percentage points.
MIN_DIFFERENCE_LIMIT, MAX_DIFFERENCE_LIMIT = 1.5, 10.0
# The same of an axis of standard deviations.
MIN_DEVIATION_LIMIT, MAX_DEVIATION_LIMIT = 0.5, 5.0


def differences(
    pairs: pd.DataFrame,
    groups: pd.DataFrame,
    colors: Colors,
    setup: pd.DataFrame | None = None,
    training_pairs: pd.DataFrame | None = None,
) -> Figure:
    """Plot the difference in the test score of each architecture to the best one, and how far each source varies it.

    Args:
        pairs: Columns first, second, metric, difference, low, high, verdict; seed_variance and item_variance (squared
            fractions) if they are known.
        groups: Columns architecture, best.
        colors: Architecture to color.
        setup: Columns metric, the main metric, and margin, the half-width of the equivalence band; None for the default
            metric and `DEFAULT_MARGIN`.
        training_pairs: The same differences with intervals that contain the variance between training reviews, and the
            column training_variance; None without resamples of the training reviews.
    """
    best = str(groups.loc[groups["best"], "architecture"].iloc[0])
    metric = main_metric(setup)
    unit = metric.unit
    to_best = {best: PairDifference(0.0, 0.0, 0.0, "best"), **differences_to(pairs, best, metric.name)}
    rows = [name for name in groups["architecture"] if name in to_best and name != best]
    rows = in_display_order([*visible_architectures(rows, colors), best])
    margin = unit.factor * (DEFAULT_MARGIN if setup is None else float(setup["margin"].iloc[0]))
    trained = training_differences(training_pairs, best, metric)
    deviations = difference_deviations(add_training_variance(pairs, training_pairs), best, rows, metric)
    notes = failed_counts(pairs)
    figure, (panels,) = create_figure(
        1, 2 if deviations else 1, 13 if deviations else 10.2, 1.9 + rows_height(rows, notes),
        f"Differences in test {metric.text} to the best architecture",
        difference_caption(metric, best, margin, with_training=bool(trained), with_sources=bool(deviations))
        + omission_note(groups["architecture"], rows),
        sharey=True, **({"width_ratios": [2.2, 1]} if deviations else {}),
    )  # fmt: skip
    axes = panels[0]
    if metric.has_margin:
        text = f"Equivalence margin (±{margin:g} {unit.difference})"
        axes.axvspan(-margin, margin, color="#EDEDED", zorder=0, label=text)
    axes.axvline(0, color=MUTED_COLOR, lw=1.2, zorder=1)
    axes.set_xlim(*difference_limits([*(to_best[name] for name in rows), *trained.values()], unit))
    for row, name in enumerate(rows):
        plot_difference(axes, row, to_best[name], colors[name], unit, trained.get(name))
    if deviations:
        plot_deviations(panels[1], rows, deviations, unit)
    label_rows(panels, rows, best, notes)
    annotate_beside(
        axes, (1, 1), unit.difference.capitalize(), "Result", height=8, xycoords="axes fraction", fontweight="bold"
    )
    axes.set_xlabel(f"Difference in test {metric.text} ({unit.long_difference})")
    add_difference_legend(figure, with_training=bool(trained))
    return figure


def difference_caption(metric: Metric, best: str, margin: float, *, with_training: bool, with_sources: bool) -> str:
    """Return the caption of the figure `differences`.

    Args:
        metric: The main metric.
        best: The architecture with the best validation score.
        margin: Half-width of the equivalence band, in the unit of differences.
        with_training: Whether there are intervals for other training reviews.
        with_sources: Whether the figure shows standard deviations by source.
    """
    unit = metric.unit
    band = f" The gray band is the equivalence margin of ±{margin:g} {unit.difference}." if metric.has_margin else ""
    return (
        f"Test {metric.text} minus that of {label(best)} (star), the architecture with the {metric.best} validation "
        f"{metric.text}, in {unit.long_difference}.{metric.direction} A bar is the 95% confidence interval of the "
        f"difference.{TRAINING_CAPTION if with_training else ''}{band} The column beside it states the result of the "
        "significance test; it is corrected for the number of pairs. Values outside the axis are marked at its "
        f"edge.{SOURCES_CAPTION if with_sources else ''}"
    )


def training_differences(training_pairs: pd.DataFrame | None, best: str, metric: Metric) -> dict[str, PairDifference]:
    """Return the differences to the best architecture whose interval for other training reviews is known."""
    rows = {} if training_pairs is None else differences_to(training_pairs, best, metric.name)
    return {name: row for name, row in rows.items() if np.isfinite(row.low)}


def add_training_variance(pairs: pd.DataFrame, training_pairs: pd.DataFrame | None) -> pd.DataFrame:
    """Add the column training_variance to the frame pairs, if there are resamples of the training reviews."""
    if training_pairs is None:
        return pairs
    keys = ["first", "second", "metric"]
    return pairs.merge(training_pairs[[*keys, "training_variance"]], on=keys, how="left")


def add_difference_legend(figure: Figure, *, with_training: bool) -> None:
    """Add the legend of the band, the sources of variance and, if there are two of them, the intervals."""
    from matplotlib.lines import Line2D

    found = [axes.get_legend_handles_labels() for axes in figure.axes]
    handles, labels = [[*chain.from_iterable(each)] for each in zip(*found, strict=True)]
    if with_training:
        handles += [Line2D([], [], color=TEXT_COLOR, **line) for line in (BAR, THIN_LINE)]
        labels += ["95% interval, these training reviews", "95% interval, other training reviews"]
    figure.legend(handles, labels, loc="outside lower left", ncols=3 if with_training else 4)


def difference_deviations(
    pairs: pd.DataFrame, best: str, names: Sequence[str], metric: Metric
) -> dict[str, dict[str, float]]:
    """Return how far each known source varies the difference of an architecture to the best one.

    Returns:
        Source (`SOURCES`) to architecture to the standard deviation of the difference of a single run, in the unit of
        the metric; NaN where it is not known. Sources that are not known for any pair are left out.
    """
    rows = pairs[(pairs["metric"] == metric.name) & ((pairs["first"] == best) | (pairs["second"] == best))]
    others = rows["first"].where(rows["second"] == best, rows["second"]).map(str)
    shown = {column: metric.unit.factor * rows[column] ** 0.5 for column in SOURCES if column in rows}
    deviations = {
        column: {name: value for name, value in zip(others, values.astype(float), strict=True) if name in names}
        for column, values in shown.items()
    }
    return {column: values for column, values in deviations.items() if np.isfinite([*values.values()]).any()}


def plot_deviations(axes: Axes, rows: Sequence[str], deviations: Mapping[str, Mapping[str, float]], unit: Unit) -> None:
    """Plot a bar per architecture and source of variance: the standard deviation of the difference, in a unit."""
    smallest, largest = limits_in_unit(MIN_DEVIATION_LIMIT, MAX_DEVIATION_LIMIT, unit)
    height = 0.66 / len(deviations)
    all_values = np.array([value for values in deviations.values() for value in values.values()])
    limit = min(1.1 * max(all_values[np.isfinite(all_values)].max(), smallest), largest)
    for place, (source, values) in enumerate(deviations.items()):
        name, color = SOURCES[source]
        known = [(row, values[each]) for row, each in enumerate(rows) if np.isfinite(values.get(each, np.nan))]
        shift = (place - (len(deviations) - 1) / 2) * height
        axes.barh([row + shift for row, _ in known], [value for _, value in known], height=0.85 * height, color=color,
                  label=name, zorder=2)  # fmt: skip
        for row, value in ((row, value) for row, value in known if value > limit):
            axes.annotate(f"▸ {value:.{unit.digits - 1}f}", (limit, row + shift), (2, 0), textcoords="offset points",
                          va="center", fontsize=8)  # fmt: skip
        for row in (row for row, each in enumerate(rows) if np.isnan(values.get(each, 0))):
            axes.annotate("not known", (0, row + shift), (4, 0), textcoords="offset points", va="center", fontsize=8,
                          color=color)  # fmt: skip
    axes.set(
        title="Sources of variance", xlabel=f"Standard deviation of the\ndifference of one run ({unit.difference})"
    )
    axes.set_xlim(0, limit)
    axes.locator_params(axis="x", nbins=5)


def limits_in_unit(smallest: float, largest: float, unit: Unit) -> tuple[float, float]:
    """Return limits in points in another unit; differences in nats are several times larger."""
    scale = unit.factor / PERCENT.factor
    return smallest * scale, largest * scale * (1 if unit == PERCENT else 5)


def difference_limits(rows: Sequence[PairDifference], unit: Unit = PERCENT) -> tuple[float, float]:
    """Return limits of an axis of differences around 0, in a unit, within those of `limits_in_unit`."""
    smallest, largest = limits_in_unit(MIN_DIFFERENCE_LIMIT, MAX_DIFFERENCE_LIMIT, unit)
    known = unit.factor * np.array([[row.low, row.difference, row.high] for row in rows], dtype=float)
    known = known[np.isfinite(known)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    return (
        max(1.08 * min(low, -smallest), -largest),
        min(1.08 * max(high, smallest), largest),
    )


def plot_difference(
    axes: Axes, row: int, to_best: PairDifference, color: str, unit: Unit, trained: PairDifference | None = None
) -> None:
    """Plot one difference to the best with its intervals, and write it and its verdict beside the axis.

    Args:
        axes: The panel.
        row: Row of the architecture.
        to_best: Its difference to the best.
        color: Its color.
        unit: Unit of the differences.
        trained: The same with the interval for other training reviews, which is never narrower; None if it is unknown.
    """
    difference, (left, right) = unit.factor * to_best.difference, axes.get_xlim()
    low, high = unit.factor * to_best.low, unit.factor * to_best.high
    axes.plot(np.clip([low, high], left, right), [row, row], color=color, **BAR)
    if trained is not None:
        low, high = unit.factor * trained.low, unit.factor * trained.high
        axes.plot(np.clip([low, high], left, right), [row, row], color=color, **THIN_LINE)
    for edge, outside, arrow in ((left, low < left, "<"), (right, high > right, ">")):
        if outside:
            axes.plot(edge, row, arrow, color=color, markersize=7, clip_on=False, zorder=4)
    if left <= difference <= right:
        axes.scatter(difference, row, s=75, color=color, edgecolors="white", linewidths=1.2, zorder=4)
    number = "" if to_best.verdict == "best" else f"{difference:+z.{unit.digits}f}".replace("-", "−")
    verdict = verdict_label(to_best.verdict)
    annotate_beside(axes, (1, row), number, verdict, xycoords=("axes fraction", "data"), va="center")


def annotate_beside(
    axes: Axes, place: tuple[float, float], number: str, text: str, height: float = 0, **options: Any
) -> None:
    """Write a number and a text in two columns to the right of the axes, `height` points above the place."""
    for content, offset, align in ((number, 50, "right"), (text, 60, "left")):
        axes.annotate(content, place, (offset, height), textcoords="offset points", ha=align, **options)
