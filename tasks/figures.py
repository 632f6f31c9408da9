"""The pictures of a report: each a function from tidy frames to a `Figure`, listed in `FIGURES`.

A function's parameters are the frames that it reads, by name, and `colours`, architecture to colour. To add a picture,
write one function in the module of its kind and give it one line in `FIGURES`. Its title asks the question that it
answers; its label says how to read it, and becomes the caption. A picture that would show nothing is None.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from tasks.appearance import palette, style
from tasks.cost_figures import costs, expected_best, quality_against_cost
from tasks.error_figures import confusion_matrices, disagreement, where_they_err
from tasks.probability_figures import reliability_diagram, roc_curves
from tasks.score_figures import differences, scores_on_test
from tasks.training_figures import learning_curve, learning_curves

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
}


def draw(frames: Mapping[str, pd.DataFrame], names: Sequence[str] | None = None) -> dict[str, Figure]:
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
                if figure := FIGURES[name](**asked):
                    figures[name] = figure
    return figures
