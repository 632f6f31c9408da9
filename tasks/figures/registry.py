"""Registry of the figures of a report.

A figure is a function from frames to a matplotlib `Figure`. Its parameters name the frames that it reads, `colors`
(architecture to color) and `class_names` (names of the classes, by their number). To add a figure, write one function
in the module of its topic and add one line to `FIGURES`.
The title of the figure states what is shown, and its label contains the title and the caption. A function returns None
if there is nothing to show.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from tasks.evaluation.scores import class_keys
from tasks.figures.class_probabilities import class_reliability, class_roc_curves
from tasks.figures.classes import scores_by_class
from tasks.figures.confusions import confusion_matrices
from tasks.figures.costs import costs, expected_best, quality_against_cost
from tasks.figures.differences import differences
from tasks.figures.errors import accuracy_by_slice, disagreement
from tasks.figures.nightly import nights
from tasks.figures.probabilities import reliability_diagram, roc_curves
from tasks.figures.scores import scores_on_test
from tasks.figures.style import palette, style
from tasks.figures.training import learning_curve, learning_curves
from tasks.figures.tuning import tuned_parameters, tuning_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES: dict[str, Callable[..., Figure | None]] = {
    "scores_on_test": scores_on_test,
    "differences": differences,
    "quality_against_cost": quality_against_cost,
    "costs": costs,
    "expected_best": expected_best,
    "tuning_curves": tuning_curves,
    "tuned_parameters": tuned_parameters,
    "learning_curves": learning_curves,
    "learning_curve": learning_curve,
    "confusion_matrices": confusion_matrices,
    "scores_by_class": scores_by_class,
    "accuracy_by_slice": accuracy_by_slice,
    "disagreement": disagreement,
    "roc_curves": roc_curves,
    "class_roc_curves": class_roc_curves,
    "reliability_diagram": reliability_diagram,
    "class_reliability": class_reliability,
    "nights": nights,
}


def figure_arguments(
    frames: Mapping[str, pd.DataFrame],
    names: Sequence[str] | None = None,
    class_names: Sequence[str] = class_keys(2),
) -> dict[str, dict[str, Any]]:
    """Return the arguments of every figure whose frames exist and are not empty.

    Args:
        frames: Frame name to frame.
        names: Keys in `FIGURES`; None for all.
        class_names: Names of the classes, by their number.

    Returns:
        Figure name to its keyword arguments, in the order of `FIGURES`. Colors are those of all architectures in any
        frame.
    """
    non_empty = {name: frame for name, frame in frames.items() if len(frame)}
    architectures = {
        name for frame in non_empty.values() if "architecture" in frame for name in frame["architecture"].unique()
    }
    available: dict[str, Any] = {**non_empty, "colors": palette(architectures), "class_names": list(class_names)}
    arguments = {}
    for name in names or FIGURES:
        parameters = inspect.signature(FIGURES[name]).parameters.values()
        if all(p.name in available for p in parameters if p.default is p.empty):
            arguments[name] = {p.name: available[p.name] for p in parameters if p.name in available}
    return arguments


def plot_figures(
    frames: Mapping[str, pd.DataFrame],
    names: Sequence[str] | None = None,
    class_names: Sequence[str] = class_keys(2),
) -> dict[str, Figure]:
    """Plot every figure that has something to show; the arguments are those of `figure_arguments`.

    Returns:
        Figure name to figure.
    """
    with style():
        planned = figure_arguments(frames, names, class_names)
        figures = {name: FIGURES[name](**arguments) for name, arguments in planned.items()}
    return {name: figure for name, figure in figures.items() if figure}
