"""All figures of a report, as the tasks of a run draw them, but in this process."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tasks.figures.render import load_or_render, plan_figures, render_files
from tasks.figures.rendered_figure import RenderedFigure


def render_figures(
    frames: Mapping[str, pd.DataFrame], cache_dir: Path, class_names: Sequence[str] = ("negative", "positive")
) -> list[RenderedFigure]:
    """Return every figure that has something to show, from the cache or rendered."""
    specs = plan_figures(frames, cache_dir, class_names)
    return [figure for spec in specs for figure in load_or_render(spec, render_files)[0]]
