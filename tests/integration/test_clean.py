"""The subcommand `clean`, and the removal at the end of a nightly run."""

import os
import re
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.execution.flow_runs import delete_flow_runs, find_old_flow_runs
from tasks.storage.trials import read_trial
from tests.conftest import Command
from tests.helpers import runs
from tests.helpers.runs import find_violations
from tests.helpers.stored_runs import add_run, add_trial
from tests.helpers.subcommands import run_subcommand
from tests.helpers.warnings_logged import warnings_logged

OLD = time.time() - 20 * 24 * 3600


def make_old(results: Path) -> None:
    for path in results.rglob("*"):
        os.utime(path, (OLD, OLD), follow_symlinks=False)


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def run_names(results: Path) -> list[str]:
    return sorted(path.name for path in (results / "runs").iterdir())


def clean(results: Path, *options: str) -> int:
    return run_subcommand("clean", "--results", str(results), "--no-prefect", *options)


def total(output: str) -> int:
    """Return the number of items in the line `total`."""
    (line,) = [line for line in output.splitlines() if line.startswith("total")]
    return int(line.split()[1])


def test_nothing_is_removed_without_delete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for run in (1, 2):
        add_run(tmp_path, f"run-{run}", datetime(2026, 1, run, tzinfo=UTC), [add_trial(tmp_path, run)])
    make_old(tmp_path)
    before = listing(tmp_path)
    assert clean(tmp_path, "--keep-runs", "1") == 0
    output = capsys.readouterr().out
    assert total(output) == 2
    assert "run-1" in output
    assert listing(tmp_path) == before
    assert clean(tmp_path, "--keep-runs", "1", "--delete") == 0
    assert total(capsys.readouterr().out) == 2
    assert run_names(tmp_path) == ["run-2"]
    assert clean(tmp_path, "--keep-runs", "1", "--delete") == 0
    assert total(capsys.readouterr().out) == 0


@pytest.mark.parametrize(
    ("options", "received"),
    [
        (["--keep-runs", "0"], "--keep-runs: received '0'"), (["--older-than", "0"], "--older-than: received '0'"),
        (["--run", "../x"], "--run: received '../x'"), (["--run", "first"], "run: received 'first'"),
    ],
)  # fmt: skip
def test_impossible_options_are_user_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], received: str
) -> None:
    add_run(tmp_path, "run-1", datetime(2026, 1, 1, tzinfo=UTC), [])
    assert clean(tmp_path, *options) == 2
    assert received in capsys.readouterr().err


def test_folder_without_results_is_a_user_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clean(tmp_path / "nothing") == 2
    assert "nothing" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()


def test_real_run_is_kept_and_readable_after_removal(past: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(past, results, symlinks=True)
    make_old(results)
    assert clean(results, "--keep-runs", "1", "--delete") == 0
    assert find_violations(results) == []
    assert (results / "latest" / "report.html").is_file()
    names = {path.name.removesuffix(".safetensors") for path in (past / "cache" / "trials").glob("*.safetensors")}
    assert names
    assert all(read_trial(results / "cache", name) for name in names)
    assert not list((results / "cache" / "figures").glob("*.zip"))
    assert list((results / "cache" / "encoded").glob("vocabulary-*.parquet"))


def test_old_flow_runs_are_deleted_with_tasks_and_artifacts(api: str) -> None:
    @task
    def work() -> None:
        create_markdown_artifact("report", key="report")

    @flow(name="imdb-predict")
    def ours() -> None:
        work()

    @flow(name="another-project")
    def foreign() -> None: ...

    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        own, other = (each(return_state=True).state_details.flow_run_id for each in (ours, foreign))
        artifacts = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[own]))
        assert len(client.read_artifacts(artifact_filter=artifacts)) == 1
        assert own not in find_old_flow_runs(datetime.now(UTC) - timedelta(hours=1))
        found = find_old_flow_runs(datetime.now(UTC) + timedelta(hours=1))
        assert own in found
        assert other not in found
        assert delete_flow_runs([own, own]) == 2  # the second one is gone
        assert own not in find_old_flow_runs(datetime.now(UTC) + timedelta(hours=1))
        assert client.read_artifacts(artifact_filter=artifacts) == []


def test_unreachable_server_is_a_warning() -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}), warnings_logged("tasks") as messages:
        assert find_old_flow_runs(datetime.now(UTC)) == []
        assert delete_flow_runs([uuid4()]) == 0
    assert len(messages) == 2


@pytest.mark.slow
def test_nightly_run_removes_old_results_at_its_end(compare: Command, tmp_path: Path) -> None:
    for name in ("first", "second"):
        assert compare("--results", str(tmp_path), "--run-name", name).returncode == 0
    make_old(tmp_path)
    done = compare("--results", str(tmp_path), "--run-name", "third", "--keep-runs", "2")
    assert done.returncode == 0, done.stderr
    assert re.search(r"Removed \d+ old items", done.stderr)
    assert run_names(tmp_path) == ["second", "third"]
    assert runs.count_trainings(compare("--results", str(tmp_path), "--run-name", "fourth").stderr) == 0
    assert find_violations(tmp_path) == []
