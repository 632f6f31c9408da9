"""The pictures of a report: each a function from tidy frames to a `Figure`, listed in `FIGURES`.

A function's parameters are the frames that it reads, by name, and `colours`, architecture to colour. To add a picture,
write one function and give it one line in `FIGURES`. Its title asks the question that it answers; its label says how
to read it, and becomes the caption.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks.appearance import in_order, label, palette, style
from tasks.evaluation import confusion_matrices as count_confusions
from tasks.evaluation import rank_by_validation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Colours = Mapping[str, str]
Frames = Mapping[str, pd.DataFrame]
Panels = tuple["Figure", np.ndarray]

CURVES = ("loss", "accuracy", "precision", "recall")
SHOWN_METRICS = ("accuracy", "f1", "auc")
# Points of a percentage that an axis spans at least: noise must not look like a difference.
LEAST_SPAN = 6.0
# Marks of a time axis whose steps multiply, in seconds.
TIMES = ((0.1, "0.1 s"), (0.3, "0.3 s"), (1, "1 s"), (3, "3 s"), (10, "10 s"), (30, "30 s"), (60, "1 min"),
         (180, "3 min"), (600, "10 min"), (1_800, "30 min"), (3_600, "1 h"), (10_800, "3 h"),
         (36_000, "10 h"))  # fmt: skip
INK, FAINT = "#222222", "#8A8A8A"


def canvas(
    rows: int,
    columns: int,
    width: float,
    height: float,
    title: str,
    note: str,
    **shared: Any,
) -> Panels:
    """Make a titled figure and its panels, (rows, columns) Axes; sizes in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    figure.set_label(f"{title} {note}")
    return figure, figure.subplots(rows, columns, squeeze=False, **shared)


def name_rows(panels: Sequence[Axes], architectures: Sequence[str], best: str | None = None) -> None:
    """Write architectures beside the rows of panels that share them, the first on top; the best bold, with a star."""
    axes = panels[0]
    names = [f"★ {label(name)}" if name == best else label(name) for name in architectures]
    axes.set_yticks(range(len(architectures)), names)
    axes.set_ylim(len(architectures) - 0.5, -0.5)
    for panel in panels:
        panel.grid(visible=False, axis="y")
    for text, name in zip(axes.get_yticklabels(), architectures, strict=True):
        text.set_fontweight("bold" if name == best else "normal")


def spread(seeds: pd.Series) -> np.ndarray:
    """Place the dots of seeds beside one another, the same seed at the same height in every row; within ±0.2."""
    order = sorted(seeds.unique())
    heights = np.linspace(-0.2, 0.2, len(order)) if len(order) > 1 else np.zeros(1)
    return np.asarray(seeds.map(dict(zip(order, heights, strict=True))), dtype=float)


def widen(axes: Axes, values: np.ndarray, least: float = LEAST_SPAN, top: float = 100.0) -> None:
    """Set the limits of an x axis around values, `least` apart or more, ending at `top` at the latest."""
    low, high = float(np.min(values)), float(np.max(values))
    margin = max((least - (high - low)) / 2, 0.08 * (high - low))
    axes.set_xlim(max(low - margin, 0), min(high + margin, max(top, high)))


def learning_curves(history: pd.DataFrame, cells: pd.DataFrame, colours: Colours) -> Figure:
    """Draw loss, accuracy, precision and recall over the epochs, a row for each architecture, a line for each seed."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    rows = [name for name in in_order(history["architecture"]) if name in colours]
    figure, panels = canvas(
        len(rows), len(CURVES), 11, 1.2 + 1.7 * len(rows), "How did training go?",
        "One line is one seed: solid on validation reviews, dashed on training reviews. A dot marks the epoch whose "
        "weights are kept. Dashed lines that run on while solid ones turn back are reviews learned by heart. Each "
        "column has the same scale from top to bottom, which does not begin at 0.",
        sharex=True, sharey="col",
    )  # fmt: skip
    best = cells.set_index(["architecture", "seed"])["best_epoch"]
    for name, row in zip(rows, panels, strict=True):
        for cell, lines in history[history["architecture"] == name].groupby("seed"):
            for measure, axes in zip(CURVES, row, strict=True):
                curve(axes, lines, measure, colours[name], best.get((name, cell)))
        row[0].set_ylabel(label(name), fontweight="bold", fontsize=9.5)
    for measure, top, bottom in zip(CURVES, panels[0], panels[-1], strict=True):
        top.set_title("Loss (nats)" if measure == "loss" else f"{label(measure)} (%)")
        bottom.set_xlabel("Epoch")
        bottom.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    styles = [
        Line2D([], [], color=INK),
        Line2D([], [], color=INK, linestyle="--", alpha=0.6),
        Line2D([], [], color=INK, marker="o", linestyle=""),
    ]
    figure.legend(styles, ["Validation", "Training", "Epoch kept"], loc="outside upper right", ncols=3)
    return figure


def curve(axes: Axes, lines: pd.DataFrame, measure: str, colour: str, best_epoch: float | None) -> None:
    """Draw one cell's measure over its epochs, training and validation."""
    factor = 1 if measure == "loss" else 100
    for split, dashes, strength in (("train", "--", 0.6), ("validation", "-", 1.0)):
        part = lines[lines["split"] == split].sort_values("epoch")
        marker = "." if len(part) == 1 else None
        axes.plot(part["epoch"], factor * part[measure], dashes, color=colour, alpha=strength, lw=1.4, marker=marker)
        kept = part[part["epoch"] == best_epoch]
        if split == "validation":
            axes.plot(kept["epoch"], factor * kept[measure], "o", color=colour, markersize=5, markeredgecolor="white")


def confusion_matrices(predictions: pd.DataFrame, colours: Colours) -> Figure:
    """Draw the confusion matrix of each architecture on the test reviews, its seeds together."""
    import seaborn

    counts = count_confusions(predictions[predictions["split"] == "test"])
    names = [name for name in in_order(counts["architecture"]) if name in colours]
    columns = min(len(names), 4)
    figure, panels = canvas(
        -(-len(names) // columns), columns, 0.6 + 2.6 * columns, 0.9 + 2.5 * -(-len(names) // columns),
        "Which way do they err?",
        "Rows are the true class, columns the class given, on the test reviews; the percentages of a row add up to "
        "100, and below them stands the mean number of reviews a seed. Darker is more.",
    )  # fmt: skip
    for axes in panels.flat[len(names) :]:
        axes.set_axis_off()
    for name, axes in zip(names, panels.flat, strict=False):
        own = counts[counts["architecture"] == name]
        table = own.pivot_table(index="label", columns="predicted", values="count", aggfunc="mean").to_numpy(float)
        shares = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        words = [[f"{share:.1f}%\n{count:,.0f}" for share, count in zip(*pair)] for pair in zip(shares, table)]  # noqa: B905
        shade = seaborn.light_palette(colours[name], as_cmap=True)
        seaborn.heatmap(shares, annot=np.array(words), fmt="", cmap=shade, vmin=0, vmax=110, ax=axes, cbar=False,
                        square=True, linewidths=2, xticklabels=["negative", "positive"],
                        yticklabels=["negative", "positive"])  # fmt: skip
        axes.set(title=label(name), xlabel="Given", ylabel="True")
    return figure


def scores_on_test(
    scores: pd.DataFrame, cells: pd.DataFrame, colours: Colours, summary: pd.DataFrame | None = None
) -> Figure:
    """Draw test accuracy, F1 and AUC side by side: a dot for each seed, the mean, and its interval where it is known.

    Args:
        scores: The frame scores.
        cells: The frame cells: parameters decide between equal validation means.
        colours: Architecture to colour.
        summary: Intervals: columns architecture, split, metric, low, high.
    """
    from matplotlib.lines import Line2D

    test = scores[(scores["split"] == "test") & np.isfinite(scores["value"])]
    rows = [name for name in in_order(test["architecture"]) if name in colours]
    shown = [metric for metric in SHOWN_METRICS if (test["metric"] == metric).any()]
    ranking = rank_by_validation(scores, cells)["architecture"]
    interval = "" if summary is None else " The thin bar is the 95% interval."
    figure, panels = canvas(
        1, len(shown), 11, 1.5 + 0.45 * len(rows), "How good is each on reviews it has never seen?",
        f"Test reviews. A small dot is one seed, the large one the mean of the seeds.{interval} The star marks the "
        "best by validation. No axis begins at 0; what lies left of an axis is written at its edge.",
        sharey=True,
    )  # fmt: skip
    for metric, axes in zip(shown, panels[0], strict=True):
        own = test[test["metric"] == metric]
        intervals = None if summary is None else summary.query("split == 'test' and metric == @metric")
        score_rows(axes, own, rows, colours, intervals)
        axes.set(title=label(metric), xlabel=f"Test {label(metric) if metric != 'accuracy' else metric} (%)")
    name_rows(panels[0], rows, None if ranking.empty else ranking.iloc[0])
    handles = [Line2D([], [], color=INK, marker="o", linestyle="", markersize=size) for size in (4, 8)]
    words = ["One seed", "Mean of the seeds"]
    if summary is not None:
        handles, words = [*handles, Line2D([], [], color=INK, lw=3, alpha=0.5)], [*words, "95% interval"]
    figure.legend(handles, words, loc="outside upper right", ncols=3)
    return figure


def score_rows(
    axes: Axes, scores: pd.DataFrame, rows: Sequence[str], colours: Colours, intervals: pd.DataFrame | None
) -> None:
    """Draw one metric's seeds, means and intervals, a row for each architecture, in percent."""
    inside = scores[scores["architecture"] != "majority"]
    kept = 100 * (inside if len(inside) else scores)["value"].to_numpy()
    bounds = None if intervals is None else intervals.set_index("architecture")[["low", "high"]] * 100
    if bounds is not None:
        kept = np.concatenate([kept, bounds.drop(index="majority", errors="ignore").to_numpy().ravel()])
    widen(axes, kept[np.isfinite(kept)])
    for row, name in enumerate(rows):
        own = scores[scores["architecture"] == name]
        values, colour = 100 * own["value"].to_numpy(), colours[name]
        if not len(own):
            continue
        if values.mean() < axes.get_xlim()[0]:
            axes.annotate(f"◂ {values.mean():.1f}", (axes.get_xlim()[0], row), (4, 0), textcoords="offset points",
                          va="center", color=FAINT)  # fmt: skip
            continue
        if bounds is not None and name in bounds.index:
            axes.plot(bounds.loc[name], [row, row], color=colour, lw=3, alpha=0.5, solid_capstyle="butt", zorder=2)
        axes.scatter(values, row + spread(own["seed"]), s=22, color=colour, edgecolors="white", linewidths=0.6,
                     zorder=5)  # fmt: skip
        axes.scatter(values.mean(), row, s=75, color=colour, edgecolors="white", linewidths=1.2, zorder=4)


def costs(cells: pd.DataFrame, colours: Colours) -> Figure:
    """Draw training time and parameters side by side: bars from 0, a dot for each seed's time."""
    rows = [name for name in in_order(cells["architecture"]) if name in colours]
    figure, (panels,) = canvas(
        1, 2, 11, 1.4 + 0.42 * len(rows), "What does each cost?",
        "Bars begin at 0 and end at the mean of the seeds; a dot is one seed. Training time is the time inside the "
        "training loop of one cell, on the hardware that the report names.",
        sharey=True,
    )  # fmt: skip
    time, size = panels
    for row, name in enumerate(rows):
        own = cells[(cells["architecture"] == name) & np.isfinite(cells["train_seconds"])]
        seconds, parameters = own["train_seconds"].to_numpy(), cells.loc[cells["architecture"] == name, "parameters"]
        time.barh(row, seconds.mean() if len(own) else 0, height=0.62, color=colours[name], zorder=2)
        write_value(time, row, max(seconds, default=0), spoken(seconds.mean()) if len(own) else "not known")
        time.scatter(seconds, row + spread(own["seed"]), s=14, color=INK, linewidths=0, zorder=4)
        size.barh(row, parameters.max() / 1_000, height=0.62, color=colours[name], zorder=2)
        write_value(size, row, parameters.max() / 1_000, f"{parameters.max():,.0f}")
    name_rows(panels, rows)
    time.set(title="Training time of one seed", xlabel="Seconds")
    size.set(title="Parameters", xlabel="Thousands")
    for axes in panels:
        axes.set_xlim(0, axes.get_xlim()[1] * 1.18)
    return figure


def write_value(axes: Axes, row: int, end: float, words: str) -> None:
    """Write the value of a bar behind its end."""
    axes.annotate(words, (end, row), (8, 0), textcoords="offset points", va="center", fontsize=9)


def spoken(seconds: float) -> str:
    """Say a duration as a person would: `0.4 s`, `38 s`, `2 min 05 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min {whole % 60:02d} s"


def quality_against_time(scores: pd.DataFrame, cells: pd.DataFrame, colours: Colours) -> Figure:
    """Draw test accuracy against training time, each seed and the means, with the line of the best for their time."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    accuracy = scores.query("split == 'test' and metric == 'accuracy'")
    points = accuracy.merge(cells, on=["architecture", "seed"])
    points = points[points["architecture"] != "majority"].assign(percent=100 * points["value"])
    figure, ((axes,),) = canvas(
        1, 1, 8.6, 4.6, "What does quality cost?",
        "Up is better, left is cheaper. A small dot is one seed, a large one the mean. Whatever lies below the grey "
        "line is beaten by something that is as good and as fast. Each step of the time axis is a multiple; the "
        "accuracy axis does not begin at 0. The majority class, which learns nothing, is left out.",
    )  # fmt: skip
    means = points.groupby("architecture")[["train_seconds", "percent"]].mean()
    for name in (name for name in in_order(points["architecture"]) if name in colours):
        own = points[points["architecture"] == name]
        axes.scatter(own["train_seconds"], own["percent"], s=18, color=colours[name], alpha=0.6, linewidths=0, zorder=3)
        axes.scatter(*means.loc[name], s=110, color=colours[name], edgecolors="white", zorder=4, label=label(name))
    front = frontier(means["train_seconds"].to_numpy(), means["percent"].to_numpy())
    corners = means.iloc[front]
    # On to the right edge: what is best at some time stays so for whoever has more.
    ends = [*corners["train_seconds"], 2 * means["train_seconds"].max()]
    heights = [*corners["percent"], corners["percent"].iloc[-1]]
    axes.plot(ends, heights, color="#BDBDBD", drawstyle="steps-post", zorder=1, lw=2)
    axes.set(xscale="log", xlabel="Training time of one seed", ylabel="Test accuracy (%)")
    # Room on both sides, so that one or two points do not leave the axis without a mark.
    axes.set_xlim(means["train_seconds"].min() / 2, means["train_seconds"].max() * 2)
    axes.xaxis.set_major_locator(FixedLocator([tick for tick, _ in TIMES]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: dict(TIMES).get(value, "")))
    axes.xaxis.set_minor_locator(NullLocator())
    low, high = axes.get_ylim()
    room = max(LEAST_SPAN - (high - low), 0) / 2
    axes.set_ylim(low - room, min(high + room, 100.5))
    figure.legend(loc="outside right center")
    return figure


def frontier(costs: np.ndarray, values: np.ndarray) -> list[int]:
    """Find the points that no other beats in both cost (lower) and value (higher): the Pareto front, cheapest first."""
    order = np.lexsort((-values, costs))
    best = np.maximum.accumulate(values[order])
    return [int(i) for place, i in enumerate(order) if place == 0 or values[i] > best[place - 1]]


def roc_curves(predictions: pd.DataFrame, scores: pd.DataFrame, colours: Colours) -> Figure:
    """Draw the ROC curves on the test reviews: all of them, and the corner that tells them apart.

    The curves of the seeds are averaged at equal false positive rates (Fawcett, "An introduction to ROC analysis",
    2006, vertical averaging).
    """
    from sklearn.metrics import roc_curve

    figure, (panels,) = canvas(
        1, 2, 11, 4.9, "How well do they order the reviews?",
        "The further up and left, the better; the dotted diagonal is guessing. A curve is the mean of the seeds, thin "
        "lines are the seeds. On the right, the same curves, the upper left corner enlarged.",
    )  # fmt: skip
    grid = np.concatenate([np.linspace(0, 0.3, 121), np.linspace(0.31, 1, 70)])
    test = predictions[predictions["split"] == "test"]
    areas = scores.query("split == 'test' and metric == 'auc'").groupby("architecture")["value"].mean()
    for name in (name for name in in_order(test["architecture"]) if name in colours and np.isfinite(areas[name])):
        curves = []
        for _, cell in test[test["architecture"] == name].groupby("seed"):
            false_positives, true_positives, _ = roc_curve(cell["label"], cell["probability"])
            curves.append(np.interp(grid, false_positives, true_positives))
        for axes in panels:
            axes.plot(100 * grid, 100 * np.transpose(curves), color=colours[name], lw=0.6, alpha=0.35)
            dashes = "--" if name == "majority" else "-"
            axes.plot(100 * grid, 100 * np.mean(curves, axis=0), dashes, color=colours[name], lw=1.8,
                      label=f"{label(name)}, AUC {100 * areas[name]:.1f}%")  # fmt: skip
    for axes in panels:
        axes.plot([0, 100], [0, 100], ":", color=FAINT, lw=1)
        axes.set(xlabel="False positive rate (%)", ylabel="True positive rate (%)", aspect="equal")
    panels[0].set(xlim=(-1, 101), ylim=(-1, 101), title="Whole")
    panels[1].set(xlim=(0, 30), ylim=(70, 100), title="Upper left corner")
    panels[0].legend(loc="lower right", fontsize=8.5)
    return figure


FIGURES: dict[str, Callable[..., Figure]] = {
    "scores_on_test": scores_on_test,
    "quality_against_time": quality_against_time,
    "costs": costs,
    "learning_curves": learning_curves,
    "confusion_matrices": confusion_matrices,
    "roc_curves": roc_curves,
}


def draw(frames: Frames, names: Sequence[str] | None = None) -> dict[str, Figure]:
    """Draw every figure whose frames are there and not empty.

    Args:
        frames: Frame name to frame: history, predictions, scores, cells, and whatever else a figure asks for.
        names: Which of `FIGURES`; all of them if not given.

    Returns:
        Figure name to picture, in the order of `FIGURES`. Colours are those of all architectures in any frame.
    """
    given = {name: frame for name, frame in frames.items() if len(frame)}
    known = [frame["architecture"] for frame in given.values() if "architecture" in frame]
    given_and_colours: dict[str, object] = {**given, "colours": palette(pd.concat(known)) if known else {}}
    figures = {}
    with style():
        for name in names or FIGURES:
            parameters = inspect.signature(FIGURES[name]).parameters.values()
            if all(p.name in given_and_colours for p in parameters if p.default is p.empty):
                asked = {p.name: given_and_colours[p.name] for p in parameters if p.name in given_and_colours}
                figures[name] = FIGURES[name](**asked)
    return figures
