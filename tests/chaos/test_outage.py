"""A Prefect server that is killed during a run: if it returns, the run continues; otherwise the next run resumes."""

import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from flows.cli.exit_codes import RESUME
from flows.server.lifecycle import server_process, wait_until_healthy
from tasks.config.labels import BASELINE_NAMES
from tests.conftest import TINY
from tests.helpers import runs

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.slow,
    pytest.mark.failure_mode("server-down"),
]
# Without a server an epoch takes 1.5 s, because its requests are repeated.
LONG = TINY | {"--epochs": "100", "--patience": "100"}
GIVE_UP_SECONDS = 180


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return a port for several servers, one after the other, which use the same database."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def run_killed_server(port: int, folder: Path) -> Iterator[None]:
    """Run a server, and kill it at the end of the block."""
    with (folder / "server.log").open("ab") as log, server_process(port, output=log) as process:
        wait_until_healthy(f"http://127.0.0.1:{port}/api", process)
        yield
        process.kill()


def start(options: dict[str, str], port: int, tiny: Path, folder: Path) -> runs.Run:
    options = {"--data": str(tiny), "--results": str(folder / "results")} | options
    return runs.start(options, folder / "output", {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"})


@pytest.mark.parametrize("seconds", [5, 120])
def test_run_continues_if_the_server_returns(seconds: int, port: int, tiny: Path, tmp_path: Path) -> None:
    with run_killed_server(port, tmp_path):
        run = start(LONG if seconds > 5 else LONG | {"--epochs": "20"}, port, tiny, tmp_path)
        run.wait_until(lambda: "epoch 3 of" in run.output)
    time.sleep(seconds)
    assert run.process.poll() is None, run.output
    with run_killed_server(port, tmp_path):
        assert run.process.wait(timeout=240) == 0, run.output
    assert re.findall(r"(\S+): epoch 1 of", run.output) == ["simple_rnn-seed-0"]
    assert "\nReport: " in run.output
    assert "Traceback" not in run.output
    assert not runs.find_violations(tmp_path / "results")
    assert run.wait_for_exit() < 2  # one process was seen to end a moment after the flow


@pytest.mark.parametrize("moment", ["Beginning flow run", "training 5.", "epoch 3 of"])
def test_run_without_a_server_fails_with_one_message_and_the_next_run_resumes(
    moment: str, port: int, tiny: Path, tmp_path: Path
) -> None:
    options = LONG | {"--epochs": "10", "--patience": "10"}
    with run_killed_server(port, tmp_path):
        run = start(options, port, tiny, tmp_path)
        run.wait_until(lambda: moment in run.output)
    gone = time.monotonic()
    assert run.process.wait(timeout=2 * GIVE_UP_SECONDS) == 1, run.output
    assert time.monotonic() - gone < GIVE_UP_SECONDS
    assert run.output.splitlines()[-1].startswith("Prefect's server no longer answers (")
    assert run.output.count(RESUME) == 1
    assert "Traceback" not in run.output
    assert run.wait_for_exit() < 2  # one process was seen to end a moment after the flow
    assert not runs.find_violations(tmp_path / "results")
    before = runs.finished_trials(tmp_path / "results")
    with run_killed_server(port, tmp_path):
        again = start(options, port, tiny, tmp_path)
        assert again.process.wait(timeout=240) == 0, again.output
        undisturbed = start(options | {"--results": str(tmp_path / "other")}, port, tiny, tmp_path)
        assert undisturbed.process.wait(timeout=240) == 0, undisturbed.output
    assert runs.count_trainings(again.output) == 1 + len(BASELINE_NAMES) - len(before)
    assert before.items() <= runs.finished_trials(tmp_path / "results").items()
    pd.testing.assert_frame_equal(runs.read_scores(tmp_path / "results"), runs.read_scores(tmp_path / "other"))
