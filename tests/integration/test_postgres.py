"""The deployment on Prefect with PostgreSQL, with two workers at once."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flows.server.lifecycle import prefect_process
from tests.helpers.runs import run_prefect, run_ui, tiny_parameters

BINARIES = [*Path("/usr/lib/postgresql").glob("*/bin"), *([Path(p).parent] if (p := shutil.which("initdb")) else [])]
needs_postgres = pytest.mark.skipif(not BINARIES, reason="no PostgreSQL is installed")


def run(*words: object) -> None:
    """Run a command of PostgreSQL. As it refuses root, root runs it as the user of Debian's package."""
    other = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    subprocess.run(list(map(str, words)), check=True, stdout=subprocess.DEVNULL, cwd="/", **other)


@pytest.fixture
def database() -> Iterator[str]:
    """Run PostgreSQL on loopback; return its connection URL for Prefect."""
    binaries = BINARIES[0]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Not in pytest's folder, which only its owner can enter.
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        place = Path(folder) / "data"
        run(binaries / "initdb", "-D", place, "-U", "prefect", "--auth", "trust")
        options = f"-p {port} -h 127.0.0.1 -k {folder}"
        run(binaries / "pg_ctl", "-D", place, "-l", Path(folder) / "log", "-o", options, "-w", "start")
        try:
            yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
        finally:
            run(binaries / "pg_ctl", "-D", place, "-m", "fast", "-w", "stop")


@needs_postgres
@pytest.mark.slow
def test_two_workers_on_postgres_run_one_deployment_run_after_the_other(
    database: str, tmp_path: Path, tiny: Path
) -> None:
    asked = json.dumps(tiny_parameters(tiny, tmp_path / "results"))
    with run_ui(tmp_path, {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database}) as environment, ExitStack() as running:
        second = ("worker", "start", "--pool", "local-process", "--name", "second")
        log = running.enter_context((tmp_path / "second.log").open("wb"))
        running.enter_context(prefect_process(*second, environment=environment, output=log))
        run_prefect(environment, "deployment", "run", "imdb-compare/default", "--params", asked)
        run_prefect(environment, "deployment", "run", "imdb-compare/default", "--watch", "--params", asked)
        deadline = time.monotonic() + 180  # either may start first
        while len(list(tmp_path.glob("results/runs/*/run.json"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.5)
    runs = [json.loads((path / "run.json").read_text()) for path in (tmp_path / "results" / "runs").iterdir()]
    assert len(runs) == 2
    histories = list((tmp_path / "results" / "cache" / "trials").glob("simple_rnn*[0-9a-f].parquet"))
    assert len(histories) == 1
    assert not (tmp_path / "prefect.db").exists()
