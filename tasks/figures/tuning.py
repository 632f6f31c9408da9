"""Figures of a search over configurations: expected validation score against its budget, and scores by parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks.config.labels import in_display_order, label
from tasks.evaluation.metric_record import Metric
from tasks.figures.layout import (
    SECONDS_TICKS,
    Colors,
    centered_offsets,
    create_figure,
    legend_height,
    metric_limits,
    set_log_axis,
    wrap_label,
)
from tasks.figures.style import marker
from tasks.statistics.main_metric import main_metric
from tasks.statistics.tuning import finished_configurations, searched_parameters, tuning_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_BANDS = 6  # architectures; more bands would cover each other
BANDS = "A band contains 90% of the sets; it is no confidence interval, and closes at the last n. "
SHARED = "An open marker is the shared recipe, which every search contains. "
PARAMETER_COLUMNS = 3
SHARES = ("dropout", "layer_dropout", "warmup")  # parameters with a linear axis
MAX_CHOICES = 5  # different values of a parameter that get a tick each
FENCE = 1.5  # interquartile ranges beyond a quartile from which a score is outside of the axis (Tukey 1977)


def tuning_curves(tuning: pd.DataFrame, colors: Colors, setup: pd.DataFrame | None = None) -> Figure | None:
    """Plot the expected validation score of the selected configuration against number and cost of configurations.

    Args:
        tuning: The table tuning, see `tasks.statistics.tuning`.
        colors: Architecture to color.
        setup: Column metric, the main metric; None for the default.

    Returns:
        The figure; None if no configuration finished.
    """
    metric = main_metric(setup)
    curve = tuning_curve(tuning, metric)
    names = [name for name in in_display_order(curve["architecture"]) if name in colors]
    if not names:
        return None
    finished = finished_configurations(tuning, metric)
    shared = finished[(finished["configuration"] == 1) & finished["architecture"].isin(names)].assign(configurations=1)
    timed = np.isfinite(curve["cpu_seconds"]) & (curve["cpu_seconds"] > 0)
    has_bands = len(names) <= MAX_BANDS
    figure, (panels,) = create_figure(
        1, 1 + timed.any(), 12 if timed.any() else 8.6, max(4.6, legend_height(names)),
        f"Validation {metric.text} of a search",
        f"Expected validation {metric.text} of the configuration that a search selects by its validation loss, among n "
        "of the configurations that were tried: the mean over all sets of n. "
        f"{'Left: against' if timed.any() else 'Against'} the number of configurations"
        f"{'; right: against the CPU time that n configurations take on average' if timed.any() else ''}. Where lines "
        f"cross, the better architecture depends on the budget.{metric.direction} "
        f"{BANDS if has_bands else ''}{SHARED if len(shared) else ''}These are validation scores of one seed each; "
        "that of the selected configuration tends to be optimistic. The vertical axis does not start at 0.",
        sharey=True,
    )  # fmt: skip
    for axes, column in zip(panels, ("configurations", "cpu_seconds"), strict=False):
        for name in names:
            plot_tuning_curve(axes, curve[curve["architecture"] == name], column, colors[name], metric, has_bands)
            own = shared[(shared["architecture"] == name) & (shared[column] > 0)]
            axes.scatter(own[column], metric.unit.factor * own["score"], s=42, marker=marker(name), facecolors="white",
                         edgecolors=colors[name], linewidths=1.4, zorder=4)  # fmt: skip
    panels[0].set(xlabel="Configurations", ylabel=metric.header("Expected validation"))
    panels[0].set_xlim(0.5, curve["configurations"].max() + 0.5)
    panels[0].xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    drawn = pd.concat([curve["expected"], shared["score"]])
    panels[0].set_ylim(*metric_limits(metric.unit.factor * drawn, metric))
    if timed.any():
        set_log_axis(panels[1], curve.loc[timed, "cpu_seconds"], SECONDS_TICKS)
        panels[1].set_xlabel("CPU time of all configurations")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def plot_tuning_curve(axes: Axes, curve: pd.DataFrame, column: str, color: str, metric: Metric, has_band: bool) -> None:
    """Plot the curve of one architecture against a column, with a band from low to high."""
    rows, factor = curve[np.isfinite(curve[column]) & (curve[column] > 0)], metric.unit.factor
    name = str(curve["architecture"].iloc[0])
    axes.plot(rows[column], factor * rows["expected"], color=color, marker=marker(name), markersize=5,
              markeredgecolor="white", lw=1.6, label=wrap_label(name), zorder=3)  # fmt: skip
    if has_band:
        axes.fill_between(rows[column], factor * rows["low"], factor * rows["high"], color=color, alpha=0.09, lw=0)


def tuned_parameters(tuning: pd.DataFrame, colors: Colors, setup: pd.DataFrame | None = None) -> Figure | None:
    """Plot the validation score of each configuration against each searched parameter.

    Args:
        tuning: The table tuning, see `tasks.statistics.tuning`.
        colors: Architecture to color.
        setup: Column metric, the main metric; None for the default.

    Returns:
        The figure; None if no configuration finished.
    """
    metric = main_metric(setup)
    finished = finished_configurations(tuning, metric)
    names = [name for name in in_display_order(finished["architecture"]) if name in colors]
    parameters = searched_parameters(tuning)
    if not names or not parameters:
        return None
    finished = finished[finished["architecture"].isin(names)]
    unfinished = tuning[~tuning.index.isin(finished.index) & tuning["architecture"].isin(names)]
    columns = min(PARAMETER_COLUMNS, len(parameters))
    rows = -(-len(parameters) // columns)
    figure, panels = create_figure(
        rows, columns, 2.2 + 3.3 * columns, max(0.9 + 2.8 * rows, legend_height(names)),
        f"Validation {metric.text} by searched parameter",
        f"A marker is one configuration of one architecture, with one seed.{metric.direction} Large markers are the "
        "selected configurations. All parameters change at once, so the markers of one value differ by the other "
        f"parameters as well. {describe_edge(metric, len(unfinished) > 0)}Axes of parameters are logarithmic, except "
        "for dropout; the vertical axis does not start at 0.",
        sharey=True,
    )  # fmt: skip
    limits = score_limits(metric.unit.factor * finished["score"], metric)
    panels[0, 0].set_ylim(*limits)
    for axes in panels.flat[len(parameters) :]:
        axes.set_axis_off()
    for axes, parameter in zip(panels.flat, parameters, strict=False):
        plot_parameter(axes, finished, unfinished, parameter, names, colors, metric)
    for row in panels:
        row[0].set_ylabel(metric.header("Validation"))
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside right center")
    return figure


def describe_edge(metric: Metric, has_unfinished: bool) -> str:
    """Return the sentences for the caption on the markers at the edge of a panel."""
    edge = "bottom" if metric.greater_is_better else "top"
    crosses = f" A cross at the {edge} is a configuration without a score, because its training diverged or failed."
    return f"A triangle at the {edge} is a score outside of the axis.{crosses if has_unfinished else ''} "


def score_limits(scores: pd.Series, metric: Metric) -> tuple[float, float]:
    """Return limits of an axis around scores, without those that are far worse than most (Tukey's fence)."""
    quartiles = scores.quantile([0.25, 0.75])
    reach = FENCE * (quartiles[0.75] - quartiles[0.25])
    is_near = scores >= quartiles[0.25] - reach if metric.greater_is_better else scores <= quartiles[0.75] + reach
    return metric_limits(scores[is_near], metric)


def plot_parameter(
    axes: Axes,
    finished: pd.DataFrame,
    unfinished: pd.DataFrame,
    parameter: str,
    names: list[str],
    colors: Colors,
    metric: Metric,
) -> None:
    """Plot the configurations of all architectures against one parameter, side by side where values are equal."""
    values = pd.concat([finished[parameter], unfinished[parameter]]).astype(float)
    is_log = parameter not in SHARES and values.min() > 0
    choices = sorted(values.unique())
    edge = axes.get_ylim()[0 if metric.greater_is_better else 1]
    clip, outside = (np.maximum, "v") if metric.greater_is_better else (np.minimum, "^")
    shifts = parameter_shifts(choices, len(names), is_log)
    for name, shift in zip(names, shifts, strict=True):

        def place(rows: pd.DataFrame, shift: float = shift) -> pd.Series:
            return rows[parameter] * np.exp(shift) if is_log else rows[parameter] + shift

        own, without = (rows[rows["architecture"] == name] for rows in (finished, unfinished))
        scores = metric.unit.factor * own["score"]
        is_outside = clip(scores, edge) != scores
        style: dict[str, Any] = {"color": colors[name], "edgecolors": "white", "linewidths": 0.5, "clip_on": False}
        chosen = own["selected"].astype(bool)
        axes.scatter(place(own)[~chosen & ~is_outside], scores[~chosen & ~is_outside], s=22, marker=marker(name),
                     alpha=0.75, zorder=3, label=wrap_label(name), **style)  # fmt: skip
        axes.scatter(place(own)[chosen & ~is_outside], scores[chosen & ~is_outside], s=95, marker=marker(name),
                     zorder=5, **style)  # fmt: skip
        axes.scatter(place(own)[is_outside], np.full(is_outside.sum(), edge), s=30, marker=outside, zorder=4, **style)
        axes.scatter(place(without), np.full(len(without), edge), s=34, marker="X", zorder=4, **style)
    axes.set_xlabel(label(parameter))
    set_parameter_axis(axes, choices, is_log, float(np.max(np.abs(shifts))))


def parameter_shifts(choices: list[float], count: int, is_log: bool) -> np.ndarray:
    """Return how far the markers of each architecture are shifted, (architectures,), in log(value) or in the value."""
    if len(choices) < 2:
        return centered_offsets(count, 0.05)
    positions = np.log(choices) if is_log else np.asarray(choices)
    # The parameters of a choice have few values, and room between them.
    share = min(0.04 * (count - 1), 0.25) if len(choices) <= MAX_CHOICES else 0.0
    return centered_offsets(count, share * float(np.diff(positions).min()))


def set_parameter_axis(axes: Axes, choices: list[float], is_log: bool, reach: float) -> None:
    """Set scale, limits and ticks of the axis of a parameter with these values; `reach` is the largest shift."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    low, high = choices[0], choices[-1]
    if is_log:
        ratio = 1.15 * np.exp(reach)
        axes.set(xscale="log", xlim=(low / ratio, high * ratio))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        margin = reach + 0.05 * (high - low or 1)
        axes.set_xlim(low - margin, high + margin)
    round_numbers = [digit * 10.0**power for power in range(-6, 6) for digit in (1, 3)]
    # Values of a choice are whole numbers. Those of a range may be so close to each other that their labels overlap.
    is_choice = len(choices) <= MAX_CHOICES and all(float(each).is_integer() for each in choices)
    if is_log or is_choice:
        ticks = choices if is_choice else [each for each in round_numbers if low <= each <= high] or [low]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
