"""Prefect's SQLite file, locked by a real process, damaged or not writable: a wait, or one message."""

import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from flows.server.database import check_database, database_file
from tasks.config.errors import UserError
from tests.conftest import ROOT, TINY, command
from tests.helpers import runs


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "prefect.db")) as database:
        database.execute("CREATE TABLE run (name TEXT)")
        database.executemany("INSERT INTO run VALUES (?)", [("x" * 500,)] * 100)
        database.commit()
    return tmp_path / "prefect.db"


def damage(file: Path, how: str) -> None:
    data = bytearray(file.read_bytes())
    if how == "not writable":
        data[18] = 3  # a format that is newer than SQLite: it may be read, but not written, not even by root
    elif how == "overwritten":
        data[:100] = b"<html>" * 16 + b"...."
    elif how == "a page overwritten":
        data[8192:12288] = b"\xff" * 4096
    else:
        data = data[:5000]
    file.write_bytes(data)


def locked(file: Path, seconds: float) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tests.helpers.programs.lock_database", str(file), str(seconds)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "locked\n"
    return process


@pytest.mark.failure_mode("database-unusable")
def test_waits_for_a_locked_database_with_one_warning(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with locked(file, seconds=2.5):
        started = time.monotonic()
        check_database(file)
        assert 1 < time.monotonic() - started < 20
    assert len(set(caplog.messages)) == 1
    assert f"{file} is locked" in caplog.messages[0]


@pytest.mark.failure_mode("database-unusable")
def test_a_database_that_stays_locked_is_a_user_error(file: Path) -> None:
    holder = locked(file, seconds=60)
    with pytest.raises(UserError, match=rf"{file} is locked.*\(fuser {file} .*PREFECT_HOME"):
        check_database(file, seconds=1)
    holder.kill()
    holder.communicate()
    check_database(file, seconds=1)  # the lock ended with its holder


@pytest.mark.failure_mode("database-unusable")
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("overwritten", "is damaged .*mv .*prefect.db"),
        ("a page overwritten", "is damaged .*mv .*prefect.db"),
        ("truncated", "is damaged .*mv .*prefect.db"),
        ("not writable", "cannot be written .*PREFECT_HOME"),
    ],
)
def test_an_unusable_database_is_a_user_error_and_stays_unchanged(file: Path, how: str, said: str) -> None:
    damage(file, how)
    before = file.read_bytes()
    with pytest.raises(UserError, match=f"{file} {said}"):
        check_database(file)
    assert file.read_bytes() == before


def test_a_sound_or_missing_database_is_accepted(file: Path) -> None:
    check_database(file)
    check_database(file.with_name("none.db"))
    assert [path.name for path in file.parent.iterdir()] == ["prefect.db"]


def test_database_file_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    assert database_file() == tmp_path / "prefect.db"
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "postgresql+asyncpg://x")
    assert database_file() is None


@pytest.mark.failure_mode("database-unusable")
def test_a_run_with_a_damaged_database_ends_before_a_server_starts(file: Path, tmp_path: Path) -> None:
    damage(file, "overwritten")
    started = time.monotonic()
    done = command(
        f"--results={tmp_path / 'results'}", environment={"PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": ""}
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"Prefect's database {file} is damaged")
    assert len(done.stderr.splitlines()) == 1
    assert time.monotonic() - started < 60
    assert not (tmp_path / "results").exists()


@pytest.mark.failure_mode("server-down")
@pytest.mark.failure_mode("database-unusable")
def test_the_log_of_a_temporary_server_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "prefect.db")) as database:  # as a newer Prefect would leave it
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        database.execute("INSERT INTO alembic_version VALUES ('of-tomorrow')")
        database.commit()
    done = command(
        f"--results={tmp_path / 'results'}", environment={"PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": ""}
    )
    assert done.returncode == 2
    assert "a temporary one did not start. The Prefect server ended with exit code" in done.stderr.splitlines()[0]
    assert "Can't locate revision identified by 'of-tomorrow'" in done.stderr
    assert "Set PREFECT_HOME" in done.stderr.splitlines()[-1]
    assert len(done.stderr.splitlines()) <= 7
    assert not (tmp_path / "results").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
@pytest.mark.failure_mode("database-unusable")
def test_a_run_survives_twenty_locked_seconds_at_its_start_and_later(file: Path, tiny: Path, tmp_path: Path) -> None:
    options = TINY | {"--epochs": "20", "--patience": "20", "--data": str(tiny), "--results": str(tmp_path / "results")}
    with locked(file, seconds=20):
        started = time.monotonic()
        run = runs.start(options, tmp_path / "said", {"PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": ""})
        run.wait_until(lambda: "is locked by another process: waiting for at most 60 s" in run.output)
        run.wait_until(lambda: "Beginning flow run" in run.output)
        assert time.monotonic() - started > 15
    run.wait_until(lambda: "epoch 3 of" in run.output)
    with locked(file, seconds=20) as holder:
        assert run.process.wait(timeout=240) == 0, run.output
        assert holder.poll() is not None or "\nReport: " in run.output
    assert "Traceback" not in run.output
    assert "\nReport: " in run.output
    assert re.findall(r"(\S+): epoch 1 of", run.output) == ["simple_rnn-seed-0"]
    assert not runs.find_violations(tmp_path / "results")
    assert not run.living_processes()


@pytest.mark.failure_mode("server-down")
def test_an_address_without_a_server_is_a_user_error(tmp_path: Path) -> None:
    started = time.monotonic()
    nowhere = {"PREFECT_API_URL": "http://127.0.0.1:1/api", "PREFECT_HOME": str(tmp_path / "home")}
    done = command(f"--results={tmp_path / 'results'}", environment=nowhere)
    assert done.returncode == 2
    assert "PREFECT_API_URL is http://127.0.0.1:1/api, but no Prefect server answers there" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert time.monotonic() - started < 10
    assert not list(tmp_path.iterdir())
