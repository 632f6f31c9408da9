import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.storage import atomic_files, store
from tasks.storage.layout import history_file, predictions_file, weights_file
from tasks.storage.trials import read_trial, store_trial
from tests.conftest import ROOT, TINY, Command
from tests.helpers.examples import examples
from tests.helpers.namespaces import MOUNTS, needs, unshared
from tests.helpers.trial_records import make_trial


@pytest.fixture
def frame() -> pd.DataFrame:
    frame = pd.DataFrame({"epoch": [1, 2, 3], "loss": [0.7, 0.5, 0.4], "name": ["a", "ü", "🙂"]})
    frame.attrs = {"seed": 3, "weights": "x"}
    return frame


def test_stored_frame_is_read_unchanged(tmp_path: Path, frame: pd.DataFrame) -> None:
    store.write(tmp_path / "deep" / "x.parquet", frame)
    read = store.read(tmp_path / "deep" / "x.parquet").to_pandas()
    pd.testing.assert_frame_equal(read, frame)
    assert read.attrs == frame.attrs


def test_stored_table_is_plain_parquet(tmp_path: Path, frame: pd.DataFrame) -> None:
    store.write(tmp_path / "x.parquet", frame)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), frame)


def test_missing_file_is_none(tmp_path: Path) -> None:
    assert store.read(tmp_path / "x.parquet") is None


def test_file_without_checksum_is_none(tmp_path: Path, frame: pd.DataFrame) -> None:
    store.write(tmp_path / "x.parquet", frame)
    (tmp_path / "x.parquet.sha256").unlink()
    assert store.read(tmp_path / "x.parquet") is None


@pytest.mark.failure_mode("damaged-file")
@examples(50, thorough=150)
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), of_checksum=st.booleans())
def test_flipped_bit_is_detected(tmp_path_factory, position: float, bit: int, of_checksum: bool) -> None:
    path = tmp_path_factory.mktemp("flip") / "x.parquet"
    written = pd.DataFrame({"probability": np.linspace(0, 1, 200, dtype=np.float32)})
    store.write(path, written)
    target = path.with_name("x.parquet.sha256") if of_checksum else path
    data = bytearray(target.read_bytes())
    # The name behind the digest is for sha256sum; only the digest itself is compared.
    data[int(position * (64 if of_checksum else len(data)))] ^= 1 << bit
    target.write_bytes(data)
    with pytest.raises(store.DamagedFileError, match=r"x\.parquet"):
        store.read(path)


@pytest.mark.failure_mode("damaged-file")
@pytest.mark.parametrize("length", [0, 1, 100])
def test_truncated_file_is_damaged(tmp_path: Path, frame: pd.DataFrame, length: int) -> None:
    store.write(tmp_path / "x.parquet", frame)
    with (tmp_path / "x.parquet").open("rb+") as file:
        file.truncate(length)
    with pytest.raises(store.DamagedFileError):
        store.read(tmp_path / "x.parquet")


@pytest.mark.failure_mode("disk-full")
def test_full_disk_raises_and_keeps_the_old_file(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.helpers.programs.overfill_file", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("refused")
    assert store.read(tmp_path / "x.parquet").to_pydict() == {"a": [1]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.parquet", "x.parquet.sha256"]


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes; Python ignores the signal and raises OSError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.failure_mode("disk-full")
@examples(25, thorough=60)
@given(old=st.binary(max_size=150), new=st.binary(min_size=1, max_size=300), room=st.integers(0, 299))
def test_full_disk_at_any_size_keeps_the_old_file(
    tmp_path_factory: pytest.TempPathFactory, old: bytes, new: bytes, room: int
) -> None:
    path = tmp_path_factory.mktemp("full") / "x.bin"
    store.write(path, old)
    with room_for(room):
        try:
            store.write(path, new)
            written = True
        except store.NotWrittenError as error:
            written = False
            assert "x.bin could not be written: File too large. Make room" in str(error)
    assert written == (room >= max(len(new), len(f"{'0' * 64}  x.bin\n")))
    assert store.read_bytes(path) == (new if written else old)
    assert sorted(each.name for each in path.parent.iterdir()) == ["x.bin", "x.bin.sha256"]


@pytest.mark.failure_mode("disk-full")
@needs(MOUNTS)
@pytest.mark.parametrize("of_checksum", [False, True])
def test_no_space_left_on_the_device(tmp_path: Path, of_checksum: bool) -> None:
    """Write on a disk of four pages, of which the old file and its checksum take two."""
    count = "2000" if of_checksum else "4000"
    words = [*unshared(MOUNTS), sys.executable, "-m", "tests.helpers.programs.overfill_disk", str(tmp_path), count]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    message, left = done.stdout.splitlines()
    assert "No space left on device. Make room" in message
    assert left == "b'old' ['x.bin', 'x.bin.sha256']"


@pytest.mark.failure_mode("disk-full")
@pytest.mark.parametrize("file", [weights_file, predictions_file, history_file])
def test_trial_on_full_disk_is_not_stored(tmp_path: Path, frame: pd.DataFrame, file: Callable) -> None:
    trial = make_trial(pd.concat([frame] * 20), frame, {"logit/kernel": np.zeros(9, np.float32)})
    store_trial(tmp_path / "first", "x", trial)
    room = file(tmp_path / "first", "x").stat().st_size - 1
    with room_for(room), pytest.raises(store.NotWrittenError, match=file(tmp_path, "x").name):
        store_trial(tmp_path / "second", "x", trial)
    assert read_trial(tmp_path / "second", "x") is None
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.failure_mode("disk-full")
def test_unfinished_directory_is_removed(tmp_path: Path) -> None:
    def fill(size: int) -> None:
        with atomic_files.create_dir(tmp_path / "run"):
            (tmp_path / "run" / "report.html").write_text("x" * size)

    with room_for(100), pytest.raises(store.NotWrittenError, match="run could not be written"):
        fill(101)
    assert not list(tmp_path.iterdir())
    fill(101)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    with pytest.raises(store.NotWrittenError, match="run could not be written: File exists"):
        fill(1)
    assert (tmp_path / "run" / "report.html").read_text() == "x" * 101


@pytest.mark.failure_mode("disk-full")
def test_full_disk_is_reported_once(tmp_path: Path) -> None:
    with room_for(10), pytest.raises(store.NotWrittenError) as told, atomic_files.create_dir(tmp_path / "run"):
        store.write(tmp_path / "run" / "x.bin", b"x" * 11)
    assert str(told.value).count("could not be written") == 1
    assert "x.bin could not be written: File too large" in str(told.value)


@pytest.mark.failure_mode("disk-full")
@pytest.mark.slow
def test_run_on_full_disk_fails_without_partial_files(api: str, tiny: Path, tmp_path: Path) -> None:
    options = [*(word for option in TINY.items() for word in option), "--data", str(tiny)]
    done = subprocess.run(
        [sys.executable, "-m", "flows.imdb_compare", *options, "--results", str(tmp_path / "results")],
        cwd=ROOT, env=os.environ | {"PREFECT_API_URL": api}, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("could not be written: File too large. Make room") == 1
    assert done.stderr.splitlines()[-1].endswith("continues with what is missing.")
    assert "Traceback" not in done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".partial", ".parquet")]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 24 kB, where that is allowed; reviews have room on it, and what follows has not."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("no disk may be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.failure_mode("disk-full")
@pytest.mark.slow
def test_disk_full_during_a_run_is_reported_once(compare: Command, small_disk: Path) -> None:
    done = compare("--results", str(small_disk / "results"))
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("No space left on device") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.failure_mode("torn-file")
@pytest.mark.parametrize("step", [1, 2])
def test_process_killed_before_rename_stores_nothing(tmp_path: Path, step: int) -> None:
    words = [sys.executable, "-m", "tests.helpers.programs.die_while_renaming", str(tmp_path), str(step)]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == 9
    assert store.read(tmp_path / "x.parquet") is None
    assert len(store.sweep(tmp_path)) == 3 - step
    assert not list(tmp_path.glob(".*partial"))


@pytest.mark.failure_mode("torn-file")
def test_trial_killed_while_stored_is_complete_or_missing(tmp_path: Path):
    program, complete = ROOT / "tests/helpers/programs/die_while_storing_trial.py", []
    for renames in range(7):
        folder = tmp_path / str(renames)
        subprocess.run(
            [sys.executable, program, folder, str(renames)], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False
        )
        complete.append(read_trial(folder, "x") is not None)
    assert complete == [False] * 6 + [True]


@pytest.mark.failure_mode("stale-lock")
def test_lock_is_released_when_its_holder_dies(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.helpers.programs.die_with_lock", str(tmp_path)]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == 9
    with store.locked(tmp_path / "x.parquet"):
        pass


@pytest.mark.failure_mode("malicious-pickle")
def test_directories_are_private(tmp_path: Path) -> None:
    store.write(tmp_path / "results" / "cache" / "trials" / "x.parquet", pa.table({"a": [1]}))
    with store.locked(tmp_path / "results" / "cache" / "reviews" / "x.parquet"):
        pass
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert len(folders) == 5
    assert {oct(folder.stat().st_mode & 0o777) for folder in folders} == {"0o700"}


def test_unchanged_trial_is_read_once_and_a_changed_one_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"lstm-seed-0-{0:016x}"
    store_trial(tmp_path, name, make_trial())
    read: list[str] = []
    read_bytes = store.read_bytes
    monkeypatch.setattr(store, "read_bytes", lambda path, *limit: read.append(path.name) or read_bytes(path, *limit))

    def count_reads() -> int:
        before = len(read)
        assert read_trial(tmp_path, name) is not None
        return len(read) - before

    assert [count_reads(), count_reads()] == [3, 3]  # so new that a change could have the same time
    for path in (tmp_path / "trials").iterdir():
        if path.is_file():
            os.utime(path, (1e9, 1e9))
    assert [count_reads(), count_reads()] == [3, 0]
    weights = weights_file(tmp_path, name)
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(store.DamagedFileError):
        read_trial(tmp_path, name)
    weights.unlink()
    assert read_trial(tmp_path, name) is None
