"""Prefect's SQLite file, locked by a real process, damaged or not writable: waited for, or one clear message."""

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
from tests.conftest import TINY, command
from tests.helpers import runs

LOCK = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
"""


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
    process = subprocess.Popen([sys.executable, "-c", LOCK, str(file), str(seconds)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "locked\n"
    return process


@pytest.mark.fault(14)
def test_a_locked_database_is_waited_for(file: Path) -> None:
    said: list[str] = []
    with locked(file, seconds=2.5):
        started = time.monotonic()
        check_database(file, said.append)
        assert 1 < time.monotonic() - started < 20
    assert len(said) == 1
    assert f"{file} is locked" in said[0]


@pytest.mark.fault(14)
def test_a_database_that_stays_locked_is_named_with_the_mend(file: Path) -> None:
    holder = locked(file, seconds=60)
    with pytest.raises(UserError, match=rf"{file} is locked.*\(fuser {file} .*PREFECT_HOME"):
        check_database(file, lambda _: None, seconds=1)
    holder.kill()
    holder.communicate()
    check_database(file, lambda _: None, seconds=1)  # the lock ended with its holder


@pytest.mark.fault(14)
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("overwritten", "is damaged .*mv .*prefect.db"),
        ("a page overwritten", "is damaged .*mv .*prefect.db"),
        ("truncated", "is damaged .*mv .*prefect.db"),
        ("not writable", "cannot be written .*PREFECT_HOME"),
    ],
)
def test_a_database_of_no_use_is_named_with_the_mend(file: Path, how: str, said: str) -> None:
    damage(file, how)
    before = file.read_bytes()
    with pytest.raises(UserError, match=f"{file} {said}"):
        check_database(file, lambda _: None)
    assert file.read_bytes() == before


def test_a_sound_database_or_none_is_no_mistake(file: Path) -> None:
    check_database(file, lambda _: None)
    check_database(file.with_name("none.db"), lambda _: None)
    assert [path.name for path in file.parent.iterdir()] == ["prefect.db"]


def test_the_file_is_where_prefect_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    assert database_file() == tmp_path / "prefect.db"
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "postgresql+asyncpg://x")
    assert database_file() is None


@pytest.mark.fault(14)
def test_the_command_says_so_before_it_starts_a_server(file: Path, tmp_path: Path) -> None:
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


@pytest.mark.fault(13)
@pytest.mark.fault(14)
def test_a_temporary_server_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "prefect.db")) as database:  # as a newer Prefect would leave it
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        database.execute("INSERT INTO alembic_version VALUES ('of-tomorrow')")
        database.commit()
    done = command(
        f"--results={tmp_path / 'results'}", environment={"PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": ""}
    )
    assert done.returncode == 2
    assert "the temporary one did not start: the Prefect server ended with exit code" in done.stderr.splitlines()[0]
    assert "Can't locate revision identified by 'of-tomorrow'" in done.stderr
    assert "Set PREFECT_HOME" in done.stderr.splitlines()[-1]
    assert len(done.stderr.splitlines()) <= 7
    assert not (tmp_path / "results").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
@pytest.mark.fault(14)
def test_twenty_locked_seconds_at_the_start_and_in_mid_run_are_waited_for(
    file: Path, tiny: Path, tmp_path: Path
) -> None:
    options = TINY | {"--epochs": "20", "--patience": "20", "--data": str(tiny), "--results": str(tmp_path / "results")}
    with locked(file, seconds=20):
        started = time.monotonic()
        run = runs.start(options, tmp_path / "said", {"PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": ""})
        run.until(lambda: "is locked by another process: waiting for at most 60 s" in run.said)
        run.until(lambda: "Beginning flow run" in run.said)
        assert time.monotonic() - started > 15
    run.until(lambda: "epoch 3 of" in run.said)
    with locked(file, seconds=20) as holder:
        assert run.process.wait(timeout=240) == 0, run.said
        assert holder.poll() is not None or "\nReport: " in run.said
    assert "Traceback" not in run.said
    assert "\nReport: " in run.said
    assert re.findall(r"Task run '(\S+)' - epoch 1 of", run.said) == ["simple_rnn-seed-0"]
    assert not runs.flaws(tmp_path / "results")
    assert not run.living()


@pytest.mark.fault(13)
def test_an_address_where_no_server_answers_is_named_with_the_mend(tmp_path: Path) -> None:
    started = time.monotonic()
    nowhere = {"PREFECT_API_URL": "http://127.0.0.1:1/api", "PREFECT_HOME": str(tmp_path / "home")}
    done = command(f"--results={tmp_path / 'results'}", environment=nowhere)
    assert done.returncode == 2
    assert "No Prefect server answers at http://127.0.0.1:1/api" in done.stderr
    assert "PREFECT_API_URL" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert time.monotonic() - started < 10
    assert not list(tmp_path.iterdir())
