"""The task that draws one figure in a worker, or reads it from the cache."""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.execution.executor import Executor
from tasks.execution.prefect_api import completed_state
from tasks.execution.retries import MAX_ATTEMPTS, lost_its_worker
from tasks.figures.render import FigureSpec, load_or_render, render_files
from tasks.figures.rendered_figure import RenderedFigure


@task(
    name="plot", task_run_name="plot-{spec.name}", cache_policy=NO_CACHE,
    retries=MAX_ATTEMPTS - 1, retry_condition_fn=lost_its_worker,
)  # fmt: skip
def plot(spec: FigureSpec, executor: Executor) -> list[RenderedFigure]:
    """Draw a figure, or read it from the cache.

    Args:
        spec: The figure and its frames.
        executor: Runs the drawing in a process of its own, because matplotlib does not support threads.

    Returns:
        The figure; an empty list if it has nothing to show.
    """
    figures, cached = load_or_render(spec, partial(executor.run, render_files))
    return completed_state(figures, cached=cached)
