"""Layout that the figures share: panels with title and caption, labels, axis limits and logarithmic axes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks.config.labels import in_display_order, label
from tasks.evaluation.metric_record import PERCENT, Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Colors = Mapping[str, str]
Ticks = Sequence[tuple[float, str]]

# Smallest range of an axis in percentage points, so that noise does not look like a difference.
MIN_SPAN = 6.0
MAX_TICKS = 6
MAX_COLUMNS = 4
LINE_HEIGHT, ROW_HEIGHT = 0.17, 0.45  # of a line of text and of a row of a panel, in inches
ROW_LABEL_WIDTH = 30  # characters of a line
# Ticks of a logarithmic axis: value and label.
SECONDS_TICKS: Ticks = (
    (0.01, "0.01 s"), (0.03, "0.03 s"), (0.1, "0.1 s"), (0.3, "0.3 s"), (1, "1 s"), (3, "3 s"), (10, "10 s"),
    (30, "30 s"), (60, "1 min"), (180, "3 min"), (600, "10 min"), (1_800, "30 min"), (3_600, "1 h"), (10_800, "3 h"),
    (36_000, "10 h"), (108_000, "30 h"),
)  # fmt: skip
MILLISECONDS_TICKS: Ticks = (
    (0.003, "0.003 ms"), (0.01, "0.01 ms"), (0.03, "0.03 ms"), (0.1, "0.1 ms"), (0.3, "0.3 ms"), (1, "1 ms"),
    (3, "3 ms"), (10, "10 ms"), (30, "30 ms"), (100, "100 ms"), (300, "300 ms"), (1_000, "1 s"), (3_000, "3 s"),
)  # fmt: skip
TEXT_COLOR, MUTED_COLOR = "#222222", "#8A8A8A"


def create_figure(
    rows: int, columns: int, width: float, height: float, title: str, caption: str, **subplots: Any
) -> tuple[Figure, np.ndarray]:
    """Create a figure with a title, a caption and panels.

    Args:
        rows: Rows of panels.
        columns: Columns of panels.
        width: Width of the figure in inches.
        height: Height of the figure in inches.
        title: Title of the figure.
        caption: How to read the figure; it follows the title in the label of the figure.
        **subplots: Further arguments of `Figure.subplots`.

    Returns:
        The figure, and its (rows, columns) Axes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    figure.set_label(f"{title} {caption}")
    return figure, figure.subplots(rows, columns, squeeze=False, **subplots)


def create_panels(architectures: Sequence[str], title: str, caption: str, **subplots: Any) -> tuple[Figure, list[Axes]]:
    """Create a figure with one small square panel per architecture, with the name as its title."""
    columns = min(len(architectures), MAX_COLUMNS)
    rows = -(-len(architectures) // columns)
    height = 2.5 + 0.18 * max(wrap_label(name).count("\n") for name in architectures)
    figure, panels = create_figure(rows, columns, 0.6 + 2.6 * columns, 0.9 + height * rows, title, caption, **subplots)
    # A single panel is narrower than most titles.
    figure.set_figwidth(max(figure.get_figwidth(), 1.2 + 0.125 * len(title)))
    for axes in panels.flat[len(architectures) :]:
        axes.set_axis_off()
    for name, axes in zip(architectures, panels.flat, strict=False):
        axes.set_title(wrap_label(name))
    return figure, list(panels.flat[: len(architectures)])


def label_panels(panels: Sequence[Axes], xlabel: str, ylabel: str) -> None:
    """Label the axes of `create_panels`: the y axes on the left, and the x axis of the last panel of each column."""
    columns = min(len(panels), MAX_COLUMNS)
    for place, axes in enumerate(panels):
        last = place + columns >= len(panels)  # of its column, though perhaps not in the last row
        axes.set(xlabel=xlabel if last else "", ylabel="" if place % columns else ylabel)
        if last:
            axes.tick_params(labelbottom=True)


def visible_architectures(architectures: Iterable[str], colors: Colors) -> list[str]:
    """Return the architectures of a figure in their order.

    The majority class is left out unless it is alone: its scores are so far from all others that an axis that includes
    it would hide the differences between them.
    """
    names = [name for name in in_display_order(architectures) if name in colors]
    return [name for name in names if name != "majority"] or names


def omission_note(architectures: Iterable[str], names: Sequence[str]) -> str:
    """Return a sentence for the caption if `visible_architectures` left out the majority class, otherwise nothing."""
    omitted = "majority" in set(architectures) - set(names)
    return " The majority class is not shown." if omitted else ""


def wrap_label(architecture: str, width: int = 24) -> str:
    """Return the display name of an architecture in lines of at most `width` characters.

    Lines end after a space, an underscore or a dot. A longer word is cut.
    """
    words = re.findall(r"[^ _.]*[ _.]+|[^ _.]+$", label(architecture))
    pieces = [piece for word in words for piece in textwrap.wrap(word, width, drop_whitespace=False)]
    lines = [""]
    for piece in pieces:
        if lines[-1] and len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.strip() for line in lines)


def rows_height(architectures: Sequence[str], notes: Mapping[str, str] | None = None) -> float:
    """Return the height of the rows of `label_rows` in inches: equal rows, each as high as the longest label."""
    lines = max(row_label(name, notes).count("\n") + 1 for name in architectures)
    return len(architectures) * max(ROW_HEIGHT, LINE_HEIGHT * (lines + 0.8))


def legend_height(architectures: Iterable[str], more_lines: int = 0) -> float:
    """Return the least height of a figure with a legend of architectures at its right, in inches.

    Args:
        architectures: Architectures in the legend.
        more_lines: Number of further lines in the legend.
    """
    lines = [wrap_label(name).count("\n") + 1 for name in architectures]
    return 0.7 + LINE_HEIGHT * (sum(lines) + more_lines + 0.5 * (len(lines) + more_lines))


def row_label(architecture: str, notes: Mapping[str, str] | None = None, best: str | None = None) -> str:
    """Return the label of a row: the name, with a star if it is the best one, and a note on a further line."""
    star = "★ " if architecture == best else ""
    note = (notes or {}).get(architecture)
    lines = [star + wrap_label(architecture, ROW_LABEL_WIDTH), *([f"({note})"] if note else [])]
    return "\n".join(lines)


def label_rows(
    panels: Sequence[Axes],
    architectures: Sequence[str],
    best: str | None = None,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Label the rows of panels with a shared y axis, the first on top; the best one is bold and has a star.

    Args:
        panels: Panels with a shared y axis.
        architectures: Architecture of each row.
        best: The best architecture; None if no row is marked.
        notes: Architecture to a short note below its name.
    """
    axes = panels[0]
    axes.set_yticks(range(len(architectures)), [row_label(name, notes, best) for name in architectures])
    axes.set_ylim(len(architectures) - 0.5, -0.5)
    for panel in panels:
        panel.grid(visible=False, axis="y")
    for text, name in zip(axes.get_yticklabels(), architectures, strict=True):
        text.set(fontweight="bold" if name == best else "normal", multialignment="right")


def centered_offsets(count: int, reach: float) -> np.ndarray:
    """Return `count` evenly spaced offsets, (count,) from -reach to reach; 0 for a single one."""
    return np.linspace(-reach, reach, count) if count > 1 else np.zeros(count)


def seed_offsets(seeds: pd.Series) -> np.ndarray:
    """Return the vertical offset of each seed's dot within ±0.2; a seed has the same offset in every row."""
    ordered = sorted(seeds.unique())
    offsets = dict(zip(ordered, centered_offsets(len(ordered), 0.2), strict=True))
    return np.asarray(seeds.map(offsets), dtype=float)


def metric_limits(values: Iterable[float], metric: Metric) -> tuple[float, float]:
    """Return limits of an axis around scores in the unit of a metric; NaN is ignored."""
    unit, percent = metric.unit, PERCENT.factor
    scaled = np.asarray(list(values), dtype=float) * (percent / unit.factor)
    low, high = axis_limits(scaled, highest=percent * metric.highest)
    return low * unit.factor / percent, high * unit.factor / percent


def axis_limits(values: Iterable[float], min_span: float = MIN_SPAN, highest: float = 100.0) -> tuple[float, float]:
    """Return limits of an axis around percentages, at least `min_span` apart, from 0 to `highest`; NaN is ignored."""
    known = np.asarray(list(values), dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        return 0.0, 100.0
    low, high = float(known.min()), float(known.max())
    margin = max((min_span - (high - low)) / 2, 0.08 * (high - low))
    return max(low - margin, 0.0), min(high + margin, max(highest, high))


def set_log_axis(axes: Axes, values: Iterable[float], ticks: Ticks) -> None:
    """Make the x axis logarithmic, with ticks at round numbers.

    The limits are half the smallest and twice the largest value, so that an axis with one or two points has a tick.

    Args:
        axes: The panel.
        values: Values on the axis, above 0.
        ticks: Possible ticks; at most about `MAX_TICKS` of them are used.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    known = np.asarray(list(values), dtype=float)
    low, high = known.min() / 2, known.max() * 2
    inside = [tick for tick, _ in ticks if low <= tick <= high]
    labels = dict(ticks)
    axes.set(xscale="log", xlim=(low, high))
    axes.xaxis.set_major_locator(FixedLocator(inside[:: -(-len(inside) // MAX_TICKS) or 1]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: labels.get(value, "")))
    axes.xaxis.set_minor_locator(NullLocator())


def annotate_bar(axes: Axes, row: int, end: float, text: str) -> None:
    """Write the value of a horizontal bar behind its end."""
    axes.annotate(text, (end, row), (8, 0), textcoords="offset points", va="center", fontsize=9)


def format_duration(seconds: float) -> str:
    """Format a duration: `0.4 s`, `38 s`, `2 min 05 s`, `1 h 20 min`."""
    if seconds < 10:
        return "under 1 ms" if seconds < 0.001 else f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{whole // 60} min {whole % 60:02d} s" if whole < 3_600 else f"{minutes // 60} h {minutes % 60:02d} min"
