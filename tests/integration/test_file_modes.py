"""What a run writes is for its owner only, whatever the umask and whatever was there before."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.server.database import make_private
from tasks.reporting import run_directory
from tasks.reporting.model import Report
from tasks.storage import atomic_files, cache, store
from tasks.storage.partial_files import partial_path
from tests.helpers.rendered import render_figures
from tests.helpers.report_inputs import make_run_info
from tests.helpers.synthetic import make_frames as synthetic_frames


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    """Return what below a folder anybody but its owner may use; links have no permissions."""
    paths = [path for path in folder.rglob("*") if not path.is_symlink()]
    assert paths
    wanted = {True: 0o700, False: 0o600}
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in paths}
    return [f"{path.relative_to(folder)}: {mode:o}" for path, mode in modes.items() if mode != wanted[path.is_dir()]]


@pytest.mark.failure_mode("malicious-pickle")
@given(mask=st.sampled_from([0o000, 0o002, 0o022, 0o027, 0o077]), mode=st.sampled_from([0o700, 0o755, 0o777, 0o1777]))
def test_stored_files_are_private_in_any_directory(
    tmp_path_factory: pytest.TempPathFactory, mask: int, mode: int
) -> None:
    results = tmp_path_factory.mktemp("mine") / "results"
    results.mkdir()
    results.chmod(mode)
    with umask(mask):
        store.write(results / "cache" / "trials" / "x.parquet", pd.DataFrame({"a": [1]}))
        cache.load_or_compute(results / "cache" / "figures" / "x.zip", lambda: {"x": b"1"}, dict)
        with atomic_files.create_dir(partial := partial_path(results / "runs" / "night")):
            with atomic_files.create_file(partial / "run.json") as file:
                file.write(b"{}")
            run_directory.publish_run_dir(partial, results, "night")
    assert open_to_others(results) == []
    assert stat.S_IMODE(results.stat().st_mode) == mode


@pytest.mark.failure_mode("malicious-pickle")
def test_run_directory_is_private(tmp_path: Path) -> None:
    frames = synthetic_frames(reviews=60, seeds=2)
    report = Report(make_run_info(), frames, render_figures({"trials": frames["trials"]}, tmp_path / "cache"))
    tmp_path.chmod(0o755)
    with umask(0o022):
        run_directory.write_run(report, tmp_path / "runs" / "x")
    assert {path.suffix for path in tmp_path.rglob("*")} >= {
        ".csv",
        ".parquet",
        ".png",
        ".svg",
        ".html",
        ".md",
        ".json",
    }
    assert open_to_others(tmp_path) == []


@pytest.mark.failure_mode("malicious-pickle")
def test_all_files_of_a_run_are_private(past: Path) -> None:
    assert open_to_others(past) == []


@pytest.mark.failure_mode("malicious-pickle")
def test_prefect_database_and_log_are_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "above" / "home"
    monkeypatch.setenv("PREFECT_HOME", str(home))
    with umask(0o022):
        make_private()
        assert open_to_others(home.parent) == []
        with closing(sqlite3.connect(home / "prefect.db")) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE report (words TEXT)")
            assert len(open_to_others(home)) == 3
            make_private()
            assert open_to_others(home) == []
            database.execute("INSERT INTO report VALUES ('x')")
            database.commit()
            home.chmod(0o755)
            make_private()
            assert stat.S_IMODE(home.stat().st_mode) == 0o755
            assert {path.name for path in home.iterdir()} == {"prefect.db", "prefect.db-wal", "prefect.db-shm"}


def test_directory_of_another_database_is_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "postgresql+asyncpg://x@127.0.0.1/y")
    make_private()
    assert list(tmp_path.iterdir()) == []
