"""What the figures share: a canvas with title and caption, rows with names, limits, and axes whose steps multiply."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks.config.labels import in_order, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Colours = Mapping[str, str]
Marks = Sequence[tuple[float, str]]

# Points of a percentage that an axis spans at least: noise must not look like a difference.
LEAST_SPAN = 6.0
MOST_MARKS = 6  # on an axis
MOST_TILES = 4  # beside one another
# Marks of an axis whose steps multiply: value and words.
SECONDS: Marks = (
    (0.01, "0.01 s"), (0.03, "0.03 s"), (0.1, "0.1 s"), (0.3, "0.3 s"), (1, "1 s"), (3, "3 s"), (10, "10 s"),
    (30, "30 s"), (60, "1 min"), (180, "3 min"), (600, "10 min"), (1_800, "30 min"), (3_600, "1 h"), (10_800, "3 h"),
    (36_000, "10 h"), (108_000, "30 h"),
)  # fmt: skip
MILLISECONDS: Marks = (
    (0.003, "0.003 ms"), (0.01, "0.01 ms"), (0.03, "0.03 ms"), (0.1, "0.1 ms"), (0.3, "0.3 ms"), (1, "1 ms"),
    (3, "3 ms"), (10, "10 ms"), (30, "30 ms"), (100, "100 ms"), (300, "300 ms"), (1_000, "1 s"), (3_000, "3 s"),
)  # fmt: skip
INK, FAINT = "#222222", "#8A8A8A"


def canvas(
    rows: int, columns: int, width: float, height: float, title: str, note: str, **shared: Any
) -> tuple[Figure, np.ndarray]:
    """Make a titled figure and its panels, (rows, columns) Axes; sizes in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    figure.set_label(f"{title} {note}")
    return figure, figure.subplots(rows, columns, squeeze=False, **shared)


def tiles(names: Sequence[str], title: str, note: str, **shared: Any) -> tuple[Figure, list[Axes]]:
    """Make a titled figure of small square panels, one for each architecture, its name above it."""
    columns = min(len(names), MOST_TILES)
    rows = -(-len(names) // columns)
    height = 2.5 + 0.18 * max(in_lines(name).count("\n") for name in names)
    figure, panels = canvas(rows, columns, 0.6 + 2.6 * columns, 0.9 + height * rows, title, note, **shared)
    # A lone panel is narrower than most titles.
    figure.set_figwidth(max(figure.get_figwidth(), 1.2 + 0.125 * len(title)))
    for axes in panels.flat[len(names) :]:
        axes.set_axis_off()
    for name, axes in zip(names, panels.flat, strict=False):
        axes.set_title(in_lines(name))
    return figure, list(panels.flat[: len(names)])


def name_tiles(panels: Sequence[Axes], across: str, up: str) -> None:
    """Write what the axes of `tiles` are: on the left of the figure, and below the last panel of each column."""
    columns = min(len(panels), MOST_TILES)
    for place, axes in enumerate(panels):
        last = place + columns >= len(panels)  # of its column, though perhaps not in the last row
        axes.set(xlabel=across if last else "", ylabel="" if place % columns else up)
        if last:
            axes.tick_params(labelbottom=True)


def shown(architectures: Iterable[str], colours: Colours) -> list[str]:
    """Order the architectures of a figure, the majority class left out where there are others.

    It learns nothing, and lies so far from all others that an axis with it would squeeze them together.
    """
    names = [name for name in in_order(architectures) if name in colours]
    return [name for name in names if name != "majority"] or names


def left_out(architectures: Iterable[str], names: Sequence[str]) -> str:
    """Say so where `shown` has left the majority class out: a sentence for the caption, or nothing."""
    lacking = "majority" in set(architectures) - set(names)
    return " The majority class, which learns nothing, is left out." if lacking else ""


def in_lines(name: str, width: int = 24) -> str:
    """Say a name in words, in lines of at most `width` letters: a user's own architecture may carry a long one."""
    return textwrap.fill(label(name), width)


def name_rows(panels: Sequence[Axes], architectures: Sequence[str], best: str | None = None) -> None:
    """Write architectures beside the rows of panels that share them, the first on top; the best bold, with a star."""
    axes = panels[0]
    names = [f"★ {in_lines(name)}" if name == best else in_lines(name) for name in architectures]
    axes.set_yticks(range(len(architectures)), names)
    axes.set_ylim(len(architectures) - 0.5, -0.5)
    for panel in panels:
        panel.grid(visible=False, axis="y")
    for text, name in zip(axes.get_yticklabels(), architectures, strict=True):
        text.set_fontweight("bold" if name == best else "normal")


def places(count: int, reach: float) -> np.ndarray:
    """Place `count` marks beside one another in a row: (count,) from -reach to reach, a single one at 0."""
    return np.linspace(-reach, reach, count) if count > 1 else np.zeros(count)


def spread(seeds: pd.Series) -> np.ndarray:
    """Place the dots of seeds beside one another, the same seed at the same height in every row; within ±0.2."""
    order = sorted(seeds.unique())
    return np.asarray(seeds.map(dict(zip(order, places(len(order), 0.2), strict=True))), dtype=float)


def limits(values: Iterable[float], least: float = LEAST_SPAN) -> tuple[float, float]:
    """Choose limits of an axis around percentages, `least` apart or more, within 0 and 100; NaN has no say."""
    known = np.asarray(list(values), dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        return 0.0, 100.0
    low, high = float(known.min()), float(known.max())
    margin = max((least - (high - low)) / 2, 0.08 * (high - low))
    return max(low - margin, 0.0), min(high + margin, max(100.0, high))


def multiply(axes: Axes, values: Iterable[float], marks: Marks) -> None:
    """Let the steps of an x axis multiply, with marks in round numbers; values above 0.

    There is room on both sides, so that one or two points do not leave the axis without a mark.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    known = np.asarray(list(values), dtype=float)
    low, high = known.min() / 2, known.max() * 2
    inside = [mark for mark, _ in marks if low <= mark <= high]
    words = dict(marks)
    axes.set(xscale="log", xlim=(low, high))
    axes.xaxis.set_major_locator(FixedLocator(inside[:: -(-len(inside) // MOST_MARKS) or 1]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.get(value, "")))
    axes.xaxis.set_minor_locator(NullLocator())


def write_value(axes: Axes, row: int, end: float, words: str) -> None:
    """Write the value of a bar behind its end."""
    axes.annotate(words, (end, row), (8, 0), textcoords="offset points", va="center", fontsize=9)


def spoken(seconds: float) -> str:
    """Say a duration as a person would: `0.4 s`, `38 s`, `2 min 05 s`, `1 h 20 min`."""
    if seconds < 10:
        return "under 1 ms" if seconds < 0.001 else f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{whole // 60} min {whole % 60:02d} s" if whole < 3_600 else f"{minutes // 60} h {minutes % 60:02d} min"
