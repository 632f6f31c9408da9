"""The pictures of a report: each a function from tidy frames to a `Figure`, listed in `FIGURES`.

A function's parameters are the frames that it reads, by name, and `colours`, architecture to colour. To add a picture,
write one function in the module of its kind and give it one line in `FIGURES`. Its title asks the question that it
answers; its label says how to read it, and becomes the caption. A picture that would show nothing is None.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from tasks.figures.costs import costs, expected_best, quality_against_cost
from tasks.figures.errors import confusion_matrices, disagreement, where_they_err
from tasks.figures.nightly import nights
from tasks.figures.probabilities import reliability_diagram, roc_curves
from tasks.figures.scores import differences, scores_on_test
from tasks.figures.style import palette, style
from tasks.figures.training import learning_curve, learning_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES: dict[str, Callable[..., Figure | None]] = {
    "scores_on_test": scores_on_test,
    "differences": differences,
    "quality_against_cost": quality_against_cost,
    "costs": costs,
    "expected_best": expected_best,
    "learning_curves": learning_curves,
    "learning_curve": learning_curve,
    "confusion_matrices": confusion_matrices,
    "where_they_err": where_they_err,
    "disagreement": disagreement,
    "roc_curves": roc_curves,
    "reliability_diagram": reliability_diagram,
    "nights": nights,
}


def inputs(frames: Mapping[str, pd.DataFrame], names: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    """Gather what every figure reads whose frames are there and not empty.

    Args:
        frames: Frame name to frame: history, predictions, scores, trials, and whatever else a figure asks for.
        names: Which of `FIGURES`; all of them if not given.

    Returns:
        Figure name to its arguments by name, in the order of `FIGURES`. Colours are those of all architectures in any
        frame.
    """
    given = {name: frame for name, frame in frames.items() if len(frame)}
    known = {name for frame in given.values() if "architecture" in frame for name in frame["architecture"].unique()}
    given_and_colours: dict[str, Any] = {**given, "colours": palette(known)}
    found = {}
    for name in names or FIGURES:
        parameters = inspect.signature(FIGURES[name]).parameters.values()
        if all(p.name in given_and_colours for p in parameters if p.default is p.empty):
            found[name] = {p.name: given_and_colours[p.name] for p in parameters if p.name in given_and_colours}
    return found


def draw(frames: Mapping[str, pd.DataFrame], names: Sequence[str] | None = None) -> dict[str, Figure]:
    """Draw every figure that shows something: name to picture. The arguments are those of `inputs`."""
    with style():
        drawn = {name: FIGURES[name](**arguments) for name, arguments in inputs(frames, names).items()}
    return {name: figure for name, figure in drawn.items() if figure}
