"""Pictures of the probabilities: how well they order the reviews, and whether they mean what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tasks.config.labels import in_order
from tasks.figures.layout import FAINT, Colours, canvas, in_lines, left_out, name_tiles, shown, tiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def roc_curves(predictions: pd.DataFrame, scores: pd.DataFrame, colours: Colours) -> Figure | None:
    """Draw the ROC curves on the test reviews: all of them, and the corner that tells them apart.

    The curves of the seeds are averaged at equal false positive rates (Fawcett, "An introduction to ROC analysis",
    2006, vertical averaging).
    """
    test = predictions[(predictions["split"] == "test") & predictions["probability"].notna()]
    areas = scores.query("split == 'test' and metric == 'auc'").groupby("architecture")["value"].mean()
    names = [
        name for name in in_order(test["architecture"]) if name in colours and np.isfinite(areas.get(name, np.nan))
    ]
    if not names:
        return None
    figure, (panels,) = canvas(
        1, 2, 10, 4.9, "How well do they order the reviews?",
        "The further up and left, the better; the dotted diagonal is guessing. A curve is the mean of the seeds, thin "
        "lines are the seeds. On the right, the same curves, the upper left corner enlarged.",
    )  # fmt: skip
    for name in names:
        draw_roc(panels, test[test["architecture"] == name], name, colours[name], 100 * areas[name])
    for axes in panels:
        axes.plot([0, 100], [0, 100], ":", color=FAINT, lw=1)
        axes.set(xlabel="False positive rate (%)", ylabel="True positive rate (%)", aspect="equal")
    panels[0].set(xlim=(-1, 101), ylim=(-1, 101), title="Whole")
    panels[1].set(xlim=(0, 30), ylim=(70, 100), title="Upper left corner")
    panels[0].legend(loc="lower right", fontsize=8.5)
    return figure


def draw_roc(panels: np.ndarray, test: pd.DataFrame, name: str, colour: str, area: float) -> None:
    """Draw one architecture's curves, of its seeds and their mean, into every panel; area in percent."""
    from sklearn.metrics import roc_curve

    # Finer where the curves bend.
    grid = np.concatenate([np.linspace(0, 0.3, 121), np.linspace(0.31, 1, 70)])
    curves = []
    for _, trial in test.groupby("seed"):
        false_positives, true_positives, _ = roc_curve(trial["label"], trial["probability"])
        curves.append(np.interp(grid, false_positives, true_positives))
    dashes = "--" if name == "majority" else "-"
    for axes in panels:
        axes.plot(100 * grid, 100 * np.transpose(curves), color=colour, lw=0.6, alpha=0.35)
        axes.plot(100 * grid, 100 * np.mean(curves, axis=0), dashes, color=colour, lw=1.8,
                  label=f"{in_lines(name)}, AUC {area:.1f}%")  # fmt: skip


def reliability_diagram(reliability: pd.DataFrame, colours: Colours) -> Figure | None:
    """Draw what came true against what was predicted, a panel for each architecture, a line for each seed.

    Args:
        reliability: Columns architecture, seed, bin, predicted, observed, low, high (all shares in [0, 1]).
        colours: Architecture to colour.
    """
    rows = reliability[np.isfinite(reliability["predicted"]) & np.isfinite(reliability["observed"])]
    names = shown(rows["architecture"], colours)
    if not names:
        return None
    figure, panels = tiles(
        names, "Do the probabilities mean what they say?",
        "Test reviews, in groups of equal size by predicted probability of being positive: how many of a group truly "
        "are. A line is one seed, the pale band the 95% interval of the first. On the dotted diagonal, 80% means 80%. "
        "A line flatter than the diagonal, below it on the right and above it on the left, is too sure of itself; a "
        "steeper one is not sure enough." + left_out(rows["architecture"], names),
        sharex=True, sharey=True,
    )  # fmt: skip
    for name, axes in zip(names, panels, strict=True):
        reliability_panel(axes, rows[rows["architecture"] == name], colours[name])
    name_tiles(panels, "Probability predicted (%)", "Truly positive (%)")
    return figure


def reliability_panel(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    """Draw one architecture's seeds, and the interval of the first, in percent."""
    axes.plot([0, 100], [0, 100], ":", color=FAINT, lw=1.2, zorder=1)
    for place, (_, trial) in enumerate(rows.groupby("seed")):
        found = 100 * trial.sort_values("bin")[["predicted", "observed", "low", "high"]]
        axes.plot(found["predicted"], found["observed"], color=colour, lw=1, marker=".", markersize=4, alpha=0.85)
        if place == 0:
            axes.fill_between(found["predicted"], found["low"], found["high"], color=colour, alpha=0.2, linewidth=0)
    marks = [0, 25, 50, 75, 100]
    axes.set(xlim=(-2, 102), ylim=(-2, 102), xticks=marks, yticks=marks, aspect="equal")
