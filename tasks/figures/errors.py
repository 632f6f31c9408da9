"""Figures of the errors: scores by slice, and disagreement between architectures."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks.figures.layout import (
    LINE_HEIGHT,
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
from tasks.figures.style import marker
from tasks.statistics.main_metric import main_metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Adjusted p-value below which a slice is marked as different from the remaining reviews.
SIGNIFICANCE_LEVEL = 0.05


def accuracy_by_slice(
    slices: pd.DataFrame, colors: Colors, slice_scores: pd.DataFrame | None = None, setup: pd.DataFrame | None = None
) -> Figure | None:
    """Plot the main metric by slice with its interval, a row per slice, a marker per architecture.

    Args:
        slices: Columns architecture, slice, accuracy, low, high (in [0, 1]), reviews, p_adjusted (against the
            remaining reviews; NaN if there is no test).
        colors: Architecture to color.
        slice_scores: The same with score instead of accuracy, in the main metric; None if that is accuracy.
        setup: Column metric, the main metric; None for the default.
    """
    metric = main_metric(None if slice_scores is None else setup)
    scores = slices.rename(columns={"accuracy": "score"}) if slice_scores is None else slice_scores
    rows = scores[(scores["reviews"] > 0) & np.isfinite(scores["score"])]
    ends = ["score", "low", "high"]
    rows = rows.assign(**(metric.unit.factor * rows[ends]))
    names, slice_names = visible_architectures(rows["architecture"], colors), list(rows["slice"].unique())
    if not names:
        return None
    height = max(0.11 * len(names) + 0.12, 0.45)
    figure, ((axes,),) = create_figure(
        1, 1, 9.6, max(1.4 + height * len(slice_names), legend_height(names, more_lines=4)),
        f"Test {metric.text} by slice",
        "A slice is a subset of the test reviews, such as long reviews. Each architecture predicts with the mean "
        "probability over its seeds. Bars are 95% confidence intervals and reflect sampling of reviews only. A filled "
        f"marker is significantly different from the {metric.text} of the same architecture on the remaining reviews "
        f"(adjusted p < {SIGNIFICANCE_LEVEL}).{metric.direction} Baselines are diamonds. The axis does not start at 0."
        + omission_note(rows["architecture"], names),
    )  # fmt: skip
    rows = rows[rows["architecture"].isin(names)]
    shifts = dict(zip(names, centered_offsets(len(names), 0.055 * (len(names) - 1) / height), strict=True))
    for place, slice_name in enumerate(slice_names):
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, color="#F5F5F5", zorder=0)
        for row in rows[rows["slice"] == slice_name].to_dict("records"):
            plot_slice_score(axes, row, place + shifts[row["architecture"]], colors[row["architecture"]])
    counts = rows.drop_duplicates("slice").set_index("slice")["reviews"]
    axes.set_yticks(range(len(slice_names)), [f"{n[0].upper()}{n[1:]}\n{counts[n]:,} reviews" for n in slice_names])
    axes.set(ylim=(len(slice_names) - 0.5, -0.5), xlabel=metric.header("Test"))
    axes.set_xlim(*metric_limits(rows[ends].to_numpy().ravel(), metric))
    axes.grid(visible=False, axis="y")
    add_slice_legend(figure, names, colors)
    return figure


def plot_slice_score(axes: Axes, row: Mapping[Hashable, Any], height: float, color: str) -> None:
    """Plot the score of one architecture on one slice; the marker is filled if it is significantly different."""
    axes.plot([row["low"], row["high"]], [height, height], color=color, lw=1.3, alpha=0.6, zorder=2)
    face = color if row["p_adjusted"] < SIGNIFICANCE_LEVEL else "white"
    axes.plot(row["score"], height, marker(row["architecture"]), color=color, markerfacecolor=face,
              markersize=5, markeredgewidth=1.3, zorder=3)  # fmt: skip


def add_slice_legend(figure: Figure, names: list[str], colors: Colors) -> None:
    """Add the legend of the architectures and of filled and hollow markers."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colors[name], marker=marker(name), lw=1.3) for name in names]
    significance = [
        Line2D([], [], color=TEXT_COLOR, marker="o", linestyle="", markerfacecolor=face)
        for face in (TEXT_COLOR, "white")
    ]
    labels = [
        *(wrap_label(name) for name in names),
        "Differs significantly\nfrom other reviews",
        "Does not differ\nsignificantly",
    ]
    figure.legend([*handles, *significance], labels, loc="outside right center")


def disagreement(disagreement: pd.DataFrame, colors: Colors) -> Figure | None:
    """Plot the share of test reviews for which two architectures predict different labels.

    Args:
        disagreement: Column architecture, and one column per architecture: shares in [0, 1].
        colors: Architecture to color.
    """
    import seaborn
    from matplotlib.colors import LinearSegmentedColormap

    names = visible_architectures(disagreement["architecture"], colors)
    if len(names) < 2:
        return None
    table = 100 * disagreement.set_index("architecture").loc[names, names].astype(float)
    labels = [wrap_label(name) for name in names]
    lines = max(text.count("\n") for text in labels) + 1
    size = 2.6 + max(0.72, 1.3 * LINE_HEIGHT * lines) * len(names)
    figure, ((axes,),) = create_figure(
        1, 1, max(size, 6), 0.8 * size, "Disagreement between architectures",
        "Share of test reviews (%) for which two architectures predict different labels. Each architecture predicts "
        "with the mean probability over its seeds. Darker cells have a larger share. Two architectures of equal "
        "accuracy that often disagree make different errors; an ensemble of both may be more accurate."
        + omission_note(disagreement["architecture"], names),
    )  # fmt: skip
    color_map = LinearSegmentedColormap.from_list("blues", ["#F7FBFF", "#86B3D9"])
    seaborn.heatmap(table, mask=np.eye(len(names), dtype=bool), annot=True, fmt=".1f", cmap=color_map, vmin=0, ax=axes,
                    cbar=False, linewidths=2, xticklabels=labels, yticklabels=labels,
                    annot_kws={"color": TEXT_COLOR})  # fmt: skip
    axes.set(xlabel="", ylabel="")
    axes.grid(visible=False)
    axes.tick_params(axis="y", rotation=0)
    for text in axes.get_xticklabels():  # slanted lines of one name would overlap those of the next
        text.set(rotation=35, ha="right", rotation_mode="anchor") if lines == 1 else text.set(rotation=90)
    return figure
