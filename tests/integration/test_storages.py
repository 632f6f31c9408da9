"""The contract of the storages: the same operations on the local disk, in memory and in a bucket."""

import time
import uuid
from pathlib import Path
from typing import cast

import pytest
from upath import UPath

from tasks.config.errors import DamagedFileError
from tasks.storage import store
from tasks.storage.backends import storage_of
from tasks.storage.s3 import results_place


@pytest.fixture(params=["disk", "memory", "bucket"])
def results(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return an empty results directory of each storage."""
    if request.param == "disk":
        return tmp_path
    if request.param == "memory":
        return cast(Path, UPath(f"memory://{uuid.uuid4()}"))
    return results_place(f"{request.getfixturevalue('bucket')}/{uuid.uuid4()}")


def names(folder: Path) -> list[str]:
    return [entry.path.name for entry in storage_of(folder).entries(folder) if not entry.path.name.startswith(".")]


def write_folder(folder: Path) -> Path:
    (folder / "tables").mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    (folder / "tables" / "scores.csv").write_text("1")
    return folder


def test_written_files_are_read_and_replaced(results: Path) -> None:
    storage, path = storage_of(results), results / "cache" / "x.bin"
    for content in (b"first", b"", b"second"):
        storage.write({path: content})
        assert storage.read(path, len(content)) == content
    with pytest.raises(DamagedFileError, match="larger than 5 bytes"):
        storage.read(path, 5)
    with pytest.raises(FileNotFoundError):
        storage.read(results / "cache" / "y.bin", 5)


def test_entries_have_kind_size_and_time(results: Path) -> None:
    storage, before = storage_of(results), time.time()
    storage.write({results / "cache" / "x.bin": b"123", results / "cache" / "deep" / "y.bin": b""})
    deep, file = storage.entries(results / "cache")
    assert (deep.path.name, deep.is_dir, deep.size) == ("deep", True, 0)
    assert (file.path, file.is_dir, file.size) == (results / "cache" / "x.bin", False, 3)
    assert storage.modified(file.path) == pytest.approx(file.modified)
    assert before - 2 < file.modified < time.time() + 2
    assert storage.entries(results / "nothing") == storage.entries(file.path) == []
    with pytest.raises(FileNotFoundError):
        storage.modified(results / "nothing")


def test_removed_files_and_directories_are_gone_and_others_stay(results: Path) -> None:
    storage = storage_of(results)
    storage.write({results / "runs" / "a" / name: b"1" for name in ("run.json", "report.html")})
    storage.write({results / "runs" / "ab" / "run.json": b"2"})
    storage.remove(results / "runs" / "a")
    assert names(results / "runs") == ["ab"]
    storage.remove(results / "runs" / "ab" / "run.json")
    for missing in ("ab/run.json", "nothing", "a"):
        storage.remove(results / "runs" / missing)
    assert names(results / "runs" / "ab") == []


def test_run_directory_is_published_once_under_a_name(results: Path, tmp_path: Path) -> None:
    storage = storage_of(results)
    with storage.working_dir(results) as local:
        assert isinstance(local, Path)
        for expected in (True, False):
            (local / "runs").mkdir(exist_ok=True)
            partial = write_folder(local / f"unfinished-{expected}")
            assert storage.publish(partial, results / "runs" / "first") is expected
    assert names(results / "runs") == ["first"]
    assert storage.read(results / "runs" / "first" / "tables" / "scores.csv", 9) == b"1"
    assert str(storage.uri(results / "runs" / "first" / "run.json")).endswith("/runs/first/run.json")


def test_latest_names_the_last_run(results: Path) -> None:
    storage = storage_of(results)
    with pytest.raises(FileNotFoundError):
        storage.read_latest(results)
    for name in ("runs/first", "runs/second"):
        storage.set_latest(results, name)
        assert storage.read_latest(results) == name


def test_local_file_has_the_content(results: Path) -> None:
    path = results / "cache" / "x.bin"
    storage_of(path).write({path: b"123"})
    with storage_of(path).local_file(path) as file:
        assert isinstance(file, Path)
        assert file.read_bytes() == b"123"


def test_stored_file_needs_its_checksum(results: Path) -> None:
    path = results / "cache" / "x.bin"
    with store.locked(path):
        store.write(path, b"123")
    assert store.read_bytes(path) == b"123"
    storage_of(path).write({path: b"124"})
    with pytest.raises(DamagedFileError, match="checksum"):
        store.read_bytes(path)
    storage_of(path).remove(store.checksum_file(path))
    assert store.read_bytes(path) is None
    assert store.sweep(results) == []


def test_lock_is_refused_while_it_is_held_and_free_afterwards(results: Path) -> None:
    storage, path = storage_of(results), results / "cache" / "x.bin"
    with storage.lock(path) as first, storage.lock(path, wait=False) as second:
        assert first
        assert second is not isinstance(results, Path)  # an object store has no locks
    with storage.lock(path, wait=False) as third:
        assert third
        storage.remove_lock(path)
    with storage.lock(path, wait=False) as fourth:
        assert fourth


def test_use_of_a_local_file_is_recorded(results: Path) -> None:
    storage, path = storage_of(results), results / "cache" / "x.bin"
    storage.write({path: b"1"})
    written = storage.modified(path)
    time.sleep(0.01)
    for each in (path, results / "nothing"):
        storage.mark_used(each)
    assert (storage.modified(path) > written) is isinstance(results, Path)
    assert names(results) == ["cache"]
