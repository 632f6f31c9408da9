"""The command `imdb-compare run` in a pseudo-terminal."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.helpers.terminal import read_screen, run_in_terminal


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 100])
def test_a_terminal_shows_a_display_and_then_only_the_summary(
    columns: int, api: str, past: Path, tiny: Path, tmp_path: Path
) -> None:
    results = shutil.copytree(past, tmp_path / "results", symlinks=True)
    given = TINY | {"--data": str(tiny), "--results": str(results), "--seeds": "2"}
    words = [word for option in given.items() for word in option]
    session = run_in_terminal(
        [sys.executable, "-m", "flows.cli", "run", *words], columns=columns, environment={"PREFECT_API_URL": api}
    )
    assert session.code == 0
    assert "Starting, 0:0" in session.output
    screen = [line for line in read_screen(session.output) if line]
    assert screen[0] == "400 reviews of tiny.csv"
    assert screen[-1].startswith("Report: ")
    assert "INFO" not in session.output
    assert session.output.rindex("\x1b[?25h") > session.output.rindex("\x1b[?25l")  # the cursor is visible again


@pytest.mark.slow
def test_ctrl_c_restores_the_terminal_and_says_how_to_resume(api: str, tiny: Path, tmp_path: Path) -> None:
    given = TINY | {"--data": str(tiny), "--results": str(tmp_path / "results")}
    words = [word for option in given.items() for word in option]
    session = run_in_terminal(
        [sys.executable, "-m", "flows.cli", "run", *words],
        environment={"PREFECT_API_URL": api},
        interrupt=lambda output: "Starting, 0:02" in output,
    )
    assert session.code == 130
    screen = [line for line in read_screen(session.output) if line]
    assert screen[-1].startswith("Interrupted. Finished trials are cached")
    assert session.output.rindex("\x1b[?25h") > session.output.rindex("\x1b[?25l")
