"""The comparison as a function in Python: in a script, in an event loop, with and without a server."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT
from tests.helpers.runs import tiny_parameters

# A script without `if __name__ == "__main__"`. All trials are in the cache.
SCRIPT = """
import json, sys
from flows.imdb_compare import imdb_compare
run = imdb_compare(**json.loads(sys.argv[1]))
print(json.dumps([str(run.run_dir), str(run.report), sorted(set(run.scores["seed"])), list(run.summary)[:3]]))
"""
NOTEBOOK = f"""
import asyncio

async def cell():
    {SCRIPT.strip().replace(chr(10), chr(10) + "    ")}

asyncio.run(cell())
"""


@pytest.fixture(scope="module")
def finished(past: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the results of two seeds."""
    return Path(shutil.copytree(past, tmp_path_factory.mktemp("copy") / "results", symlinks=True))


def run_script(script: str, parameters: dict[str, object], folder: Path, **environment: str) -> list[object]:
    """Run a script in a folder outside of the project, and return what it prints as JSON."""
    found = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(parameters)],
        cwd=folder,
        env=found | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.parametrize("script", [SCRIPT, NOTEBOOK], ids=["script", "event loop"])
def test_a_script_without_a_server_gets_a_record(script: str, finished: Path, tiny: Path, tmp_path: Path) -> None:
    parameters = tiny_parameters(tiny, finished) | {"seeds": 2}
    directory, report, seeds, columns = run_script(script, parameters, tmp_path, PREFECT_HOME=str(tmp_path / "home"))
    assert Path(directory).parent == finished / "runs"
    assert Path(report).read_text().startswith("<!doctype html>")
    assert seeds == [0, 1]
    assert columns == ["architecture", "split", "metric"]


@pytest.mark.slow
def test_a_state_has_the_text_of_the_user_error(api: str, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("text,label\nfine,good\nmeh,bad\n")
    script = """
import json, sys
from prefect.flow_engine import run_flow
from flows.imdb_compare import imdb_compare
states = [run_flow(imdb_compare, parameters=each, return_type="state") for each in json.loads(sys.argv[1])["runs"]]
print(json.dumps([[str(state.state_details.flow_run_id), str(state.data.exception if hasattr(state.data, "exception")
      else state.message)] for state in states]))
"""
    broken = {"data": str(tmp_path / "own.csv"), "results": str(tmp_path / "results")}
    states = run_script(script, {"runs": [broken, {"seeds": 0}]}, tmp_path, PREFECT_API_URL=api)
    messages = [httpx.get(f"{api}/flow_runs/{run}").json()["state"]["message"] for run, _ in states]
    assert "UserError: " in messages[0]
    assert "labels 'good' (1 rows), 'bad' (1 rows); allowed: 0/1" in messages[0]
    assert "UserError: seeds: received 0. Input should be greater than or equal to 1." in messages[1]


def test_a_wrong_value_is_a_user_error_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.imdb_compare import imdb_compare
    from tasks.config.errors import UserError

    monkeypatch.setattr("flows.server.served_flow.available_server", lambda: pytest.fail("a server is looked for"))
    with pytest.raises(UserError, match="seeds: received 0"):
        imdb_compare(seeds=0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'sedes'"):
        imdb_compare(sedes=3)
