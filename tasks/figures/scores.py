"""Pictures of the scores: how good each is on test, and how far from the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks.config.labels import in_order, label
from tasks.evaluation.scores import rank_by_validation
from tasks.figures.layout import FAINT, INK, Colours, canvas, left_out, limits, name_rows, shown, spread
from tasks.statistics.ranking import versus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN_METRICS = ("accuracy", "f1", "auc")
MARGIN = 0.005  # of the band of practical equivalence, where the frame setup does not tell it
# Points from the best that an axis of differences shows: at least, and at most.
NEAR, FAR = 1.5, 10.0


def scores_on_test(
    scores: pd.DataFrame, trials: pd.DataFrame, colours: Colours, summary: pd.DataFrame | None = None
) -> Figure | None:
    """Draw test accuracy, F1 and AUC side by side: a dot for each seed, the mean, and its interval where it is known.

    Args:
        scores: The frame scores.
        trials: The frame trials: parameters decide between equal validation means.
        colours: Architecture to colour.
        summary: Intervals: columns architecture, split, metric, low, high.
    """
    test = scores[(scores["split"] == "test") & np.isfinite(scores["value"])]
    rows = [name for name in in_order(test["architecture"]) if name in colours]
    metrics = [metric for metric in SHOWN_METRICS if (test["metric"] == metric).any()]
    if not metrics:
        return None
    ranking = rank_by_validation(scores, trials)["architecture"]
    interval = "" if summary is None else " The thin bar is the 95% interval."
    figure, panels = canvas(
        1, len(metrics), 11, 1.5 + 0.45 * len(rows), "How good is each on reviews it has never seen?",
        f"Test reviews. A small dot is one seed, the large one the mean of the seeds.{interval} The star marks the "
        "best by validation. No axis begins at 0; what lies left of an axis is written at its edge.",
        sharey=True,
    )  # fmt: skip
    for metric, axes in zip(metrics, panels[0], strict=True):
        own = test[test["metric"] == metric]
        intervals = None if summary is None else summary.query("split == 'test' and metric == @metric")
        score_rows(axes, own, rows, colours, intervals)
        axes.set(title=label(metric), xlabel=f"Test {label(metric) if metric != 'accuracy' else metric} (%)")
    name_rows(panels[0], rows, None if ranking.empty else ranking.iloc[0])
    explain_dots(figure, intervals=summary is not None)
    return figure


def explain_dots(figure: Figure, *, intervals: bool) -> None:
    """Add the legend of seeds, means and intervals."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=INK, marker="o", linestyle="", markersize=size) for size in (4, 8)]
    words = ["One seed", "Mean of the seeds"]
    if intervals:
        handles, words = [*handles, Line2D([], [], color=INK, lw=3, alpha=0.5)], [*words, "95% interval"]
    figure.legend(handles, words, loc="outside upper right", ncols=3)


def score_rows(
    axes: Axes, scores: pd.DataFrame, rows: Sequence[str], colours: Colours, intervals: pd.DataFrame | None
) -> None:
    """Draw one metric's seeds, means and intervals, a row for each architecture, in percent."""
    inside = scores[scores["architecture"] != "majority"]
    kept = 100 * (inside if len(inside) else scores)["value"].to_numpy()
    bounds = None if intervals is None else intervals.set_index("architecture")[["low", "high"]] * 100
    if bounds is not None:
        kept = np.concatenate([kept, bounds.drop(index="majority", errors="ignore").to_numpy().ravel()])
    axes.set_xlim(*limits(kept))
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


def differences(
    pairs: pd.DataFrame, groups: pd.DataFrame, colours: Colours, setup: pd.DataFrame | None = None
) -> Figure:
    """Draw how far each is from the best by validation in test accuracy, with interval and verdict, in points.

    Args:
        pairs: The frame pairs: columns first, second, metric, difference, low, high, verdict.
        groups: The frame groups: columns architecture, best.
        colours: Architecture to colour.
        setup: The frame setup, whose margin is the half-width of the band of practical equivalence.
    """
    best = str(groups.loc[groups["best"], "architecture"].iloc[0])
    against = {best: {"difference": 0.0, "low": 0.0, "high": 0.0, "verdict": "best"}, **versus(pairs, best, "accuracy")}
    rows = shown([name for name in groups["architecture"] if name in against and name != best], colours)
    rows = in_order([*rows, best])
    margin = 100 * (MARGIN if setup is None else float(setup["margin"].iloc[0]))
    figure, ((axes,),) = canvas(
        1, 1, 9.6, 1.7 + 0.45 * len(rows), "How far is each from the best, and is the difference real?",
        f"Test accuracy compared with {label(best)} (star), the best by validation. A dot left of the line at 0 is "
        "worse than the best, one on its right is better; the bar is the 95% interval of the difference. Inside the "
        f"grey band, ±{margin:g} points, a difference is practically nothing. The words on the right say what the "
        "tests allow to claim: an interval that reaches over 0 claims nothing. What lies beyond the axis is marked at "
        "its edge." + left_out(groups["architecture"], rows),
    )  # fmt: skip
    axes.axvspan(-margin, margin, color="#EDEDED", zorder=0, label=f"Practically nothing (±{margin:g} points)")
    axes.axvline(0, color=FAINT, lw=1.2, zorder=1)
    axes.set_xlim(*difference_limits([against[name] for name in rows]))
    for row, name in enumerate(rows):
        difference_row(axes, row, against[name], colours[name])
    name_rows([axes], rows, best)
    write_beside(axes, (1, 1.02), "Points", "Verdict", xycoords="axes fraction", fontweight="bold")
    axes.set_xlabel("Points of test accuracy below (−) or above (+) the best by validation")
    figure.legend(loc="outside upper right")
    return figure


def difference_limits(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Choose the limits of an axis of differences around 0, in points, no further out than `FAR`."""
    known = 100 * np.array([[row["low"], row["difference"], row["high"]] for row in rows], dtype=float)
    known = known[np.isfinite(known)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    return max(1.08 * min(low, -NEAR), -FAR), min(1.08 * max(high, NEAR), FAR)


def difference_row(axes: Axes, row: int, against: Mapping[str, Any], colour: str) -> None:
    """Draw one difference to the best with its interval, and write it and its verdict beside the axis."""
    low, middle, high = (100 * float(against[name]) for name in ("low", "difference", "high"))
    left, right = axes.get_xlim()
    axes.plot(np.clip([low, high], left, right), [row, row], color=colour, lw=3, alpha=0.55, solid_capstyle="butt")
    for edge, beyond, arrow in ((left, low < left, "<"), (right, high > right, ">")):
        if beyond:
            axes.plot(edge, row, arrow, color=colour, markersize=7, clip_on=False, zorder=4)
    if left <= middle <= right:
        axes.scatter(middle, row, s=75, color=colour, edgecolors="white", linewidths=1.2, zorder=4)
    verdict = "best by validation" if against["verdict"] == "best" else str(against["verdict"])
    number = "" if against["verdict"] == "best" else f"{middle:+.2f}".replace("-", "−")
    write_beside(axes, (1, row), number, verdict, xycoords=("axes fraction", "data"), va="center")


def write_beside(axes: Axes, place: tuple[float, float], number: str, words: str, **how: Any) -> None:
    """Write a number and words in two columns on the right of the axis."""
    for text, offset, align in ((number, 50, "right"), (words, 60, "left")):
        axes.annotate(text, place, (offset, 0), textcoords="offset points", ha=align, **how)
