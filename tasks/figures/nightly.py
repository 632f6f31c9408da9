"""Figure of the nightly runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from tasks.evaluation.metric_record import Metric
from tasks.figures.layout import MUTED_COLOR, Colors, create_panels, label_panels, metric_limits, visible_architectures
from tasks.statistics.main_metric import main_metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ALARM_COLOR = "#D00000"


def nights(
    nights: pd.DataFrame,
    colors: Colors,
    alarms: pd.DataFrame | None = None,
    setup: pd.DataFrame | None = None,
) -> Figure | None:
    """Plot the test score of each nightly run, the mean of all seeds with its interval, and the alarms.

    Args:
        nights: Columns night, architecture, missing, mean, low, high and new_mean (scores); one row
            per nightly run and architecture.
        colors: Architecture to color.
        alarms: Columns night and architecture (or "all"); None if there are none.
        setup: Column metric, the main metric; None for the default.
    """
    metric = main_metric(setup)
    rows = nights[nights["architecture"].isin(colors)]
    if rows.loc[np.isfinite(rows["mean"]), "night"].nunique() < 2:
        return None
    names = visible_architectures(rows["architecture"], colors)
    figure, panels = create_panels(
        names, f"Test {metric.text} of the nightly runs",
        f"A dot is the mean test {metric.text} of the new seeds of a nightly run. The line is the mean of all seeds "
        "so far, the band its 95% confidence interval over the seeds. A red line is an alarm for this architecture or "
        "for all architectures together. A cross at the bottom is a nightly run without a new "
        f"score.{metric.direction} The vertical axis does not start at 0.",
        sharex=True, sharey=True,
    )  # fmt: skip
    for name, axes in zip(names, panels, strict=True):
        alarm_nights = () if alarms is None else alarms[alarms["architecture"].isin([name, "all"])]["night"]
        plot_nights(axes, rows[rows["architecture"] == name].sort_values("night"), alarm_nights, colors[name], metric)
    panels[0].set_ylim(
        *metric_limits(metric.unit.factor * rows[["mean", "low", "high", "new_mean"]].to_numpy().ravel(), metric)
    )
    set_date_ticks(panels[0])
    label_panels(panels, "Nightly run", metric.header("Test"))
    return figure


def plot_nights(axes: Axes, rows: pd.DataFrame, alarm_nights: Iterable[object], color: str, metric: Metric) -> None:
    """Plot the nightly runs of one architecture, in the unit of the metric."""
    factor = metric.unit.factor
    for night in set(alarm_nights):
        axes.axvline(cast(float, night), color=ALARM_COLOR, lw=1.2, zorder=1)
    axes.fill_between(rows["night"], factor * rows["low"], factor * rows["high"], color=color, alpha=0.25, lw=0)
    axes.plot(rows["night"], factor * rows["mean"], color=color, lw=1.6)
    axes.scatter(
        rows["night"], factor * rows["new_mean"], s=14, color=color, edgecolors="white", linewidths=0.5, zorder=4
    )
    without = rows[(rows["missing"] > 0) & ~np.isfinite(rows["new_mean"])]
    axes.scatter(without["night"], np.full(len(without), 0.04), marker="x", s=24, color=MUTED_COLOR,
                 transform=axes.get_xaxis_transform())  # fmt: skip


def set_date_ticks(axes: Axes) -> None:
    """Set a few short dates as the ticks of the x axis."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=2, maxticks=4)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
