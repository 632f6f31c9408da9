"""Pictures of the errors: which way, on which kinds of reviews, and whether the same ones."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks.config.labels import in_order
from tasks.evaluation.scores import confusion_matrices as count_confusions
from tasks.figures.layout import INK, Colours, canvas, in_lines, left_out, limits, name_tiles, places, shown, tiles
from tasks.figures.style import marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLASSES = ("negative", "positive")
INK_LUMINANCE = 0.016
SURE = 0.05  # adjusted p below which a kind of review is marked as different from the rest


def confusion_matrices(predictions: pd.DataFrame, colours: Colours) -> Figure | None:
    """Draw the confusion matrix of each architecture on the test reviews, its seeds together."""
    import seaborn

    counts = count_confusions(predictions[(predictions["split"] == "test") & predictions["probability"].notna()])
    names = [name for name in in_order(counts["architecture"]) if name in colours]
    if not names:
        return None
    figure, panels = tiles(
        names, "Which way do they err?",
        "Rows are the true class, columns the class given, on the test reviews; the percentages of a row add up to "
        "100, and below them stands the mean number of reviews a seed. Darker is more.",
    )  # fmt: skip
    for name, axes in zip(names, panels, strict=True):
        own = counts[counts["architecture"] == name]
        table = own.pivot_table(index="label", columns="predicted", values="count", aggfunc="mean").to_numpy(float)
        shares = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        words = [[f"{share:.1f}%\n{count:,.0f}" for share, count in zip(*pair)] for pair in zip(shares, table)]  # noqa: B905
        shade = seaborn.light_palette(colours[name], as_cmap=True)
        seaborn.heatmap(shares, annot=np.array(words), fmt="", cmap=shade, vmin=0, vmax=110, ax=axes, cbar=False,
                        square=True, linewidths=2, xticklabels=CLASSES, yticklabels=CLASSES)  # fmt: skip
        make_legible(axes)
    name_tiles(panels, "Given", "True")
    return figure


def make_legible(axes: Axes) -> None:
    """Write the trials of a heatmap dark or white, whichever has more contrast (WCAG 2.2, "Contrast ratio")."""
    from matplotlib.colors import to_rgba_array

    faces = to_rgba_array(axes.collections[0].get_facecolor())[:, :3]
    linear = np.where(faces > 0.04045, ((faces + 0.055) / 1.055) ** 2.4, faces / 12.92)
    for text, luminance in zip(axes.texts, linear @ [0.2126, 0.7152, 0.0722], strict=True):
        on_white, on_ink = 1.05 / (luminance + 0.05), (luminance + 0.05) / (INK_LUMINANCE + 0.05)
        text.set_color(INK if on_ink > on_white else "white")


def where_they_err(slices: pd.DataFrame, colours: Colours) -> Figure | None:
    """Draw accuracy by kind of review with its interval, a row for each kind, a mark for each architecture.

    Args:
        slices: Columns architecture, slice, accuracy, low, high (in [0, 1]), reviews, p_adjusted (against the same
            architecture's other reviews; NaN where there is no test).
        colours: Architecture to colour.
    """
    rows = slices[(slices["reviews"] > 0) & np.isfinite(slices["accuracy"])]
    names, kinds = shown(rows["architecture"], colours), list(rows.drop_duplicates("slice")["slice"])
    if not names:
        return None
    height = max(0.11 * len(names) + 0.12, 0.45)
    figure, ((axes,),) = canvas(
        1, 1, 9.6, 1.4 + height * len(kinds), "On which reviews do they err?",
        "Test accuracy by kind of review; each architecture answers with the mean probability of its seeds. The line "
        "is the 95% interval, of the reviews alone. A filled mark differs from the same architecture's other reviews "
        "by more than chance (adjusted p below 0.05), a hollow one may not. Baselines are diamonds. The axis does not "
        "begin at 0." + left_out(rows["architecture"], names),
    )  # fmt: skip
    shifts = dict(zip(names, places(len(names), 0.055 * (len(names) - 1) / height), strict=True))
    for place, kind in enumerate(kinds):
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, color="#F5F5F5", zorder=0)
        for row in rows[(rows["slice"] == kind) & rows["architecture"].isin(names)].to_dict("records"):
            slice_mark(axes, row, place + shifts[row["architecture"]], colours[row["architecture"]])
    counts = rows.drop_duplicates("slice").set_index("slice")["reviews"]
    axes.set_yticks(range(len(kinds)), [f"{kind[0].upper()}{kind[1:]}\n{counts[kind]:,} reviews" for kind in kinds])
    axes.set(ylim=(len(kinds) - 0.5, -0.5), xlabel="Test accuracy (%)")
    own = rows[rows["architecture"].isin(names)]
    axes.set_xlim(*limits(100 * own[["accuracy", "low", "high"]].to_numpy().ravel()))
    axes.grid(visible=False, axis="y")
    explain_marks(figure, names, colours)
    return figure


def slice_mark(axes: Axes, row: Mapping[Hashable, Any], height: float, colour: str) -> None:
    """Draw one architecture's accuracy on one kind of review, filled where it differs from its other reviews."""
    axes.plot([100 * row["low"], 100 * row["high"]], [height, height], color=colour, lw=1.3, alpha=0.6, zorder=2)
    face = colour if row["p_adjusted"] < SURE else "white"
    axes.plot(100 * row["accuracy"], height, marker(row["architecture"]), color=colour, markerfacecolor=face,
              markersize=5, markeredgewidth=1.3, zorder=3)  # fmt: skip


def explain_marks(figure: Figure, names: list[str], colours: Colours) -> None:
    """Add the legend of architectures, and of filled and hollow marks."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colours[name], marker=marker(name), lw=1.3) for name in names]
    filled = [Line2D([], [], color=INK, marker="o", linestyle="", markerfacecolor=face) for face in (INK, "white")]
    words = [*(in_lines(name) for name in names), "Differs from the rest", "May not differ"]
    figure.legend([*handles, *filled], words, loc="outside right center")


def disagreement(disagreement: pd.DataFrame, colours: Colours) -> Figure | None:
    """Draw the share of test reviews that each two architectures answer differently.

    Args:
        disagreement: Column architecture, and one column for each architecture: shares in [0, 1].
        colours: Architecture to colour.
    """
    import seaborn
    from matplotlib.colors import LinearSegmentedColormap

    names = shown(disagreement["architecture"], colours)
    if len(names) < 2:
        return None
    table = 100 * disagreement.set_index("architecture").loc[names, names].astype(float)
    size = 2.6 + 0.72 * len(names)
    figure, ((axes,),) = canvas(
        1, 1, max(size, 6), 0.8 * size, "How often do they answer differently?",
        "The share of test reviews (%) on which the two give different answers, each with the mean probability of its "
        "seeds. Darker is more. Two that are equally good but often differ err on different reviews, and together "
        "could do better than either." + left_out(disagreement["architecture"], names),
    )  # fmt: skip
    shade = LinearSegmentedColormap.from_list("blues", ["#F7FBFF", "#86B3D9"])
    words = [in_lines(name) for name in names]
    seaborn.heatmap(table, mask=np.eye(len(names), dtype=bool), annot=True, fmt=".1f", cmap=shade, vmin=0, ax=axes,
                    cbar=False, linewidths=2, xticklabels=words, yticklabels=words,
                    annot_kws={"color": INK})  # fmt: skip
    axes.set(xlabel="", ylabel="")
    axes.grid(visible=False)
    axes.tick_params(axis="x", rotation=35)
    axes.tick_params(axis="y", rotation=0)
    for text in axes.get_xticklabels():
        text.set(ha="right", rotation_mode="anchor")
    return figure
