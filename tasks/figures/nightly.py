"""The picture of the nights: how each architecture stands, night by night."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from tasks.figures.layout import FAINT, Colours, limits, name_tiles, shown, tiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ALARM = "#D00000"


def nights(nights: pd.DataFrame, colours: Colours, alarms: pd.DataFrame | None = None) -> Figure | None:
    """Draw for each architecture the new seeds of each night, the mean so far with its interval, and the alarms.

    Args:
        nights: One row a night and architecture: mean, low, high, fresh_mean (accuracies in [0, 1]).
        colours: Architecture to colour.
        alarms: Columns night and architecture (or "all"); None where there are none.
    """
    rows = nights[nights["architecture"].isin(colours)]
    if rows.loc[np.isfinite(rows["mean"]), "night"].nunique() < 2:
        return None
    names = shown(rows["architecture"], colours)
    figure, panels = tiles(
        names, "Does it become better or worse, night by night?",
        "Test accuracy. A dot is the mean of the seeds that a night brought, the line the mean of all seeds so far "
        "with its 95% interval over seeds. A red line marks a night with an alarm of the regression check for this "
        "architecture or for all together; a cross at the bottom a night without a new score. No axis begins at 0.",
        sharex=True, sharey=True,
    )  # fmt: skip
    for name, axes in zip(names, panels, strict=True):
        raised = () if alarms is None else alarms[alarms["architecture"].isin([name, "all"])]["night"]
        one_architecture(axes, rows[rows["architecture"] == name].sort_values("night"), raised, colours[name])
    panels[0].set_ylim(*limits(100 * rows[["mean", "low", "high", "fresh_mean"]].to_numpy().ravel()))
    mark_dates(panels[0])
    name_tiles(panels, "Night", "Test accuracy (%)")
    return figure


def one_architecture(axes: Axes, own: pd.DataFrame, raised: Iterable[object], colour: str) -> None:
    """Draw the nights of one architecture, in percent."""
    for night in set(raised):
        axes.axvline(cast(float, night), color=ALARM, lw=1.2, zorder=1)
    axes.fill_between(own["night"], 100 * own["low"], 100 * own["high"], color=colour, alpha=0.25, lw=0)
    axes.plot(own["night"], 100 * own["mean"], color=colour, lw=1.6)
    axes.scatter(
        own["night"], 100 * own["fresh_mean"], s=14, color=colour, edgecolors="white", linewidths=0.5, zorder=4
    )
    without = own[(own["missing"] > 0) & ~np.isfinite(own["fresh_mean"])]
    axes.scatter(without["night"], np.full(len(without), 0.04), marker="x", s=24, color=FAINT,
                 transform=axes.get_xaxis_transform())  # fmt: skip


def mark_dates(axes: Axes) -> None:
    """Write a few dates on the x axis, short."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=2, maxticks=4)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
