"""The task that draws a figure, in a real flow with worker processes."""

from pathlib import Path
from unittest.mock import patch

import pytest
from prefect import flow
from prefect.testing.utilities import prefect_test_harness

from tasks.execution.local import LocalExecutor
from tasks.figures.render import FigureSpec
from tasks.plot import plot
from tests.helpers.programs import worker_functions as functions


@pytest.mark.slow  # with a server of its own
@pytest.mark.failure_mode("worker-killed")
def test_figure_whose_worker_is_killed_is_drawn_again(tmp_path: Path) -> None:
    spec = FigureSpec("costs", {"folder": tmp_path}, tmp_path / "costs.zip")

    @flow
    def draw() -> list[object]:
        with LocalExecutor(1, prepare=functions.load_nothing) as executor:
            return plot.submit(spec, executor).result()

    with (
        prefect_test_harness(server_startup_timeout=120),
        patch("tasks.plot.render_files", functions.kill_at_first_call),
    ):
        assert draw() == []
    assert len(list(tmp_path.glob("call-*"))) == 2
