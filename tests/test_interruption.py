"""Runs that are ended from outside while they train: nothing lives on, and a rerun is undisturbed."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY, Command


def workers_of(marker: str) -> list[int]:
    """Return the living processes whose environment holds `marker`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            state = path.with_name("stat").read_text().split(")")[1].split()[0]
            if marker.encode() in path.read_bytes() and state != "Z":
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("death", "code", "seconds"),
    [
        pytest.param(signal.SIGKILL, -9, 3, marks=pytest.mark.fault(3)),
        pytest.param(signal.SIGTERM, None, 6, marks=pytest.mark.fault(5)),
        pytest.param(signal.SIGINT, 130, 6, marks=pytest.mark.fault(6)),
    ],
)
def test_no_process_outlives_a_run_that_is_ended(
    api: str, tiny: Path, tmp_path: Path, death: signal.Signals, code: int | None, seconds: float, compare: Command
) -> None:
    options = TINY | {"--data": str(tiny), "--epochs": "1000", "--patience": "1000", "--results": str(tmp_path)}
    marker = f"IMDB_COMPARE_TEST={tmp_path}"
    run = subprocess.Popen(
        [sys.executable, "-m", "flows.imdb_compare", *(word for option in options.items() for word in option)],
        cwd=ROOT,
        env=os.environ | {"PREFECT_API_URL": api, "IMDB_COMPARE_TEST": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    # The workers share the pipe: read it in a thread, for it does not end before they do.
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(iter(run.stderr.readline, "")), daemon=True)
    reader.start()
    deadline = time.monotonic() + 90
    while not any("epoch 3" in line for line in lines) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert any("epoch 3" in line for line in lines), lines
    assert len(workers_of(marker)) > 1
    started = time.monotonic()
    os.killpg(run.pid, death) if death == signal.SIGINT else os.kill(run.pid, death)
    while workers_of(marker) and time.monotonic() - started < 30:
        time.sleep(0.1)
    assert time.monotonic() - started < seconds
    assert run.wait(timeout=5) == code if code else run.wait(timeout=5) != 0
    if death != signal.SIGKILL:  # the hardest of the three stands for all
        return
    again = compare("--results", str(tmp_path))
    assert again.returncode == 0, again.stderr
    assert not list(tmp_path.rglob("*.partial"))
