"""A Prefect server that is killed while a run trains, and comes back: the run does not mind."""

import re
import socket
import sys
import time
from pathlib import Path

import pytest

from flows.server import server_process, wait_for
from tests import runs
from tests.conftest import TINY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.mark.slow
@pytest.mark.fault(13)
def test_a_run_outlives_five_seconds_without_a_server(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path / "server.log").open("wb")
    api = f"http://127.0.0.1:{port}/api"
    options = TINY | {"--epochs": "20", "--patience": "20", "--data": str(tiny), "--results": str(tmp_path / "results")}
    with server_process(port, output=log) as process:
        wait_for(api, process)
        run = runs.start(options, tmp_path / "said", {"PREFECT_API_URL": api})
        run.until(lambda: "epoch 3 of" in run.said)
        process.kill()
    time.sleep(5)
    with server_process(port, output=log) as process:
        wait_for(api, process)
        assert run.process.wait(timeout=240) == 0, run.said
    assert re.findall(r"Task run '(\S+)' - epoch 1 of", run.said) == ["simple_rnn-seed-0"]
    assert "\nReport: " in run.said
    assert not runs.flaws(tmp_path / "results")
    assert not run.living()
