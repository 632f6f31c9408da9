"""A temporary server ends with the run that started it, however that ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

SCRIPT = """
import os, sys, time
from flows.server import prefect_process
with prefect_process("server", "start", "--host", "127.0.0.1", "--port", "0") as process:
    print(process.pid, flush=True)
    time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.fault(3)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGINT])
def test_the_server_ends_with_whoever_started_it(death: signal.Signals) -> None:
    starter = subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    server = int(starter.stdout.readline())
    assert alive(server)
    os.kill(starter.pid, death)
    starter.wait(timeout=30)
    deadline = time.monotonic() + 15
    while alive(server) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(server)
