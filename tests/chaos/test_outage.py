"""A Prefect server that is killed while a run trains: back after a while it is not missed; gone, a rerun goes on."""

import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from flows.server.lifecycle import server_process, wait_for
from tests.conftest import TINY
from tests.helpers import runs

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.slow,
    pytest.mark.fault(13),
]
LONG = TINY | {
    "--epochs": "100",
    "--patience": "100",
}  # without a server an epoch takes 1.5 s, for that is asked for it
TRIED_AGAIN_SECONDS = 180


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Choose a port, and a database, for servers that follow one another."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def server(port: int, folder: Path) -> Iterator[None]:
    """Run a server, and kill it at the end of the block."""
    with (folder / "server.log").open("ab") as log, server_process(port, output=log) as process:
        wait_for(f"http://127.0.0.1:{port}/api", process)
        yield
        process.kill()


def start(options: dict[str, str], port: int, tiny: Path, folder: Path) -> runs.Run:
    options = {"--data": str(tiny), "--results": str(folder / "results")} | options
    return runs.start(options, folder / "said", {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"})


@pytest.mark.parametrize("seconds", [5, 120])
def test_a_run_outlives_a_while_without_a_server(seconds: int, port: int, tiny: Path, tmp_path: Path) -> None:
    with server(port, tmp_path):
        run = start(LONG if seconds > 5 else LONG | {"--epochs": "20"}, port, tiny, tmp_path)
        run.until(lambda: "epoch 3 of" in run.said)
    time.sleep(seconds)
    assert run.process.poll() is None, run.said
    with server(port, tmp_path):
        assert run.process.wait(timeout=240) == 0, run.said
    assert re.findall(r"Task run '(\S+)' - epoch 1 of", run.said) == ["simple_rnn-seed-0"]
    assert "\nReport: " in run.said
    assert "Traceback" not in run.said
    assert not runs.flaws(tmp_path / "results")
    assert run.seconds_alive() < 2  # one was seen to end a moment after the flow's own


@pytest.mark.parametrize("moment", ["Beginning flow run", "training 4.", "epoch 3 of"])
def test_a_run_whose_server_is_gone_for_good_says_so_and_a_rerun_goes_on(
    moment: str, port: int, tiny: Path, tmp_path: Path
) -> None:
    options = LONG | {"--epochs": "10", "--patience": "10"}
    with server(port, tmp_path):
        run = start(options, port, tiny, tmp_path)
        run.until(lambda: moment in run.said)
    gone = time.monotonic()
    assert run.process.wait(timeout=2 * TRIED_AGAIN_SECONDS) == 1, run.said
    assert time.monotonic() - gone < TRIED_AGAIN_SECONDS
    assert run.said.splitlines()[-1].startswith("Prefect's server no longer answers (")
    assert run.said.count("the same command goes on from there") == 1
    assert "Traceback" not in run.said
    assert run.seconds_alive() < 2  # one was seen to end a moment after the flow's own
    assert not runs.flaws(tmp_path / "results")
    before = runs.trials(tmp_path / "results")
    with server(port, tmp_path):
        again = start(options, port, tiny, tmp_path)
        assert again.process.wait(timeout=240) == 0, again.said
        undisturbed = start(options | {"--results": str(tmp_path / "other")}, port, tiny, tmp_path)
        assert undisturbed.process.wait(timeout=240) == 0, undisturbed.said
    assert f"training {4 - len(before)}." in again.said
    assert before.items() <= runs.trials(tmp_path / "results").items()
    pd.testing.assert_frame_equal(runs.scores(tmp_path / "results"), runs.scores(tmp_path / "other"))
