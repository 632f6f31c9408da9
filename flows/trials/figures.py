"""Submission of the tasks that draw the figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect.futures import PrefectFuture

from tasks.execution.executor import WorkerPool
from tasks.figures.render import plan_figures, slowest_first
from tasks.figures.rendered_figure import RenderedFigure
from tasks.plot import plot
from tasks.statistics.evaluation_tables import Frames


def draw_figures(
    frames: Frames, classes: Sequence[str], cache: Path, pool: WorkerPool, evaluation: PrefectFuture[Any]
) -> list[RenderedFigure]:
    """Draw each figure for which there are tables in a task of its own, and return them in the order of the report."""
    planned = plan_figures(frames, cache, classes)
    plots = {spec.name: pool.submit(plot, [evaluation], spec=spec) for spec in slowest_first(planned)}
    return [figure for spec in planned for figure in plots[spec.name].result()]
