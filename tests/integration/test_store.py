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
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.storage import store
from tasks.storage.trials import history_file, predictions_file, store_trial, stored_trial, weights_file
from tests.conftest import ROOT, TINY, Command
from tests.helpers.namespaces import MOUNTS, needs, unshared


@pytest.fixture
def frame() -> pd.DataFrame:
    frame = pd.DataFrame({"epoch": [1, 2, 3], "loss": [0.7, 0.5, 0.4], "name": ["a", "ü", "🙂"]})
    frame.attrs = {"seed": 3, "weights": "x"}
    return frame


def test_what_was_written_is_read(tmp_path: Path, frame: pd.DataFrame) -> None:
    store.write(tmp_path / "deep" / "x.parquet", frame)
    read = store.read(tmp_path / "deep" / "x.parquet").to_pandas()
    pd.testing.assert_frame_equal(read, frame)
    assert read.attrs == frame.attrs


def test_the_file_is_parquet_for_everybody(tmp_path: Path, frame: pd.DataFrame) -> None:
    store.write(tmp_path / "x.parquet", frame)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), frame)


def test_nothing_is_read_where_nothing_was_written(tmp_path: Path) -> None:
    assert store.read(tmp_path / "x.parquet") is None


def test_a_file_without_its_checksum_is_not_complete(tmp_path: Path, frame: pd.DataFrame) -> None:
    store.write(tmp_path / "x.parquet", frame)
    (tmp_path / "x.parquet.sha256").unlink()
    assert store.read(tmp_path / "x.parquet") is None


@pytest.mark.fault(9)
@settings(max_examples=150, deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), of_checksum=st.booleans())
def test_no_flipped_bit_is_ever_read(tmp_path_factory, position: float, bit: int, of_checksum: bool) -> None:
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


@pytest.mark.fault(9)
@pytest.mark.parametrize("length", [0, 1, 100])
def test_a_truncated_file_is_damaged(tmp_path: Path, frame: pd.DataFrame, length: int) -> None:
    store.write(tmp_path / "x.parquet", frame)
    with (tmp_path / "x.parquet").open("rb+") as file:
        file.truncate(length)
    with pytest.raises(store.DamagedFileError):
        store.read(tmp_path / "x.parquet")


@pytest.mark.fault(8)
def test_a_full_disk_fails_loudly_and_leaves_the_old_file(tmp_path: Path) -> None:
    script = f"""
import resource, signal, numpy as np, pandas as pd
from pathlib import Path
from tasks.storage import store
path = Path({str(tmp_path)!r}) / "x.parquet"
store.write(path, pd.DataFrame({{"a": [1]}}))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    store.write(path, pd.DataFrame({{"a": np.random.default_rng(0).random(100_000)}}))
except OSError as error:
    print("refused", error.errno)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
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


@pytest.mark.fault(8)
@settings(max_examples=60, deadline=None)
@given(old=st.binary(max_size=150), new=st.binary(min_size=1, max_size=300), room=st.integers(0, 299))
def test_wherever_the_disk_is_full_the_old_file_is_intact(
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


@pytest.mark.fault(8)
@needs(MOUNTS)
@pytest.mark.parametrize("of_checksum", [False, True])
def test_no_space_left_on_the_device(tmp_path: Path, of_checksum: bool) -> None:
    """Write on a disk of four pages, of which the old file and its checksum take two."""
    script = f"""
import subprocess
from pathlib import Path
from tasks.storage import store
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", {str(tmp_path)!r}], check=True)
path = Path({str(tmp_path)!r}) / "x.bin"
store.write(path, b"old")
try:
    store.write(path, b"new" * {2_000 if of_checksum else 4_000})
except store.NotWrittenError as error:
    print(error)
print(store.read_bytes(path), sorted(each.name for each in path.parent.iterdir()))
"""
    words = [*unshared(MOUNTS), sys.executable, "-c", script]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    message, left = done.stdout.splitlines()
    assert "No space left on device. Make room" in message
    assert left == "b'old' ['x.bin', 'x.bin.sha256']"


@pytest.mark.fault(8)
@pytest.mark.parametrize("file", [weights_file, predictions_file, history_file])
def test_a_trial_that_finds_no_room_is_not_listed(tmp_path: Path, frame: pd.DataFrame, file: Callable) -> None:
    made = (pd.concat([frame] * 20), frame, {"logit/kernel": np.zeros(9, np.float32)})
    store_trial(tmp_path / "first", "x", *made)
    room = file(tmp_path / "first", "x").stat().st_size - 1
    with room_for(room), pytest.raises(store.NotWrittenError, match=file(tmp_path, "x").name):
        store_trial(tmp_path / "second", "x", *made)
    assert stored_trial(tmp_path / "second", "x") is None
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.fault(8)
def test_a_folder_that_cannot_be_filled_is_removed(tmp_path: Path) -> None:
    def fill(size: int) -> None:
        with store.unfinished(tmp_path / "run"):
            (tmp_path / "run" / "report.html").write_text("x" * size)

    with room_for(100), pytest.raises(store.NotWrittenError, match="run could not be written"):
        fill(101)
    assert not list(tmp_path.iterdir())
    fill(101)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    with pytest.raises(store.NotWrittenError, match="run could not be written: File exists"):
        fill(1)
    assert (tmp_path / "run" / "report.html").read_text() == "x" * 101


@pytest.mark.fault(8)
def test_a_full_disk_is_told_once(tmp_path: Path) -> None:
    with room_for(10), pytest.raises(store.NotWrittenError) as told, store.unfinished(tmp_path / "run"):
        store.write(tmp_path / "run" / "x.bin", b"x" * 11)
    assert str(told.value).count("could not be written") == 1
    assert "x.bin could not be written: File too large" in str(told.value)


@pytest.mark.fault(8)
@pytest.mark.slow
def test_a_run_on_a_full_disk_says_so_and_leaves_nothing_half(api: str, tiny: Path, tmp_path: Path) -> None:
    options = [*(word for option in TINY.items() for word in option), "--data", str(tiny)]
    done = subprocess.run(
        [sys.executable, "-m", "flows.imdb_compare", *options, "--results", str(tmp_path / "results")],
        cwd=ROOT, env=os.environ | {"PREFECT_API_URL": api}, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("could not be written: File too large. Make room") == 1
    assert done.stderr.splitlines()[-1].endswith("goes on from what is finished.")
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


@pytest.mark.fault(8)
@pytest.mark.slow
def test_a_disk_that_fills_during_a_run_is_a_failure_and_told_once(compare: Command, small_disk: Path) -> None:
    done = compare("--results", str(small_disk / "results"))
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("No space left on device") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.fault(10)
@pytest.mark.parametrize("step", [1, 2])
def test_killed_before_the_rename_nothing_half_is_listed(tmp_path: Path, step: int) -> None:
    script = f"""
import os, pandas as pd
from pathlib import Path
from tasks.storage import store
renames = []
real = Path.replace
def dying(self, target):
    renames.append(target)
    if len(renames) == {step}:
        os._exit(9)
    return real(self, target)
Path.replace = dying
store.write(Path({str(tmp_path)!r}) / "x.parquet", pd.DataFrame({{"a": [1]}}))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    assert store.read(tmp_path / "x.parquet") is None
    assert len(store.sweep(tmp_path)) == 3 - step
    assert not list(tmp_path.glob(".*partial"))


@pytest.mark.fault(12)
def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
    script = f"""
import os
from pathlib import Path
from tasks.storage import store
with store.locked(Path({str(tmp_path)!r}) / "x.parquet"):
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    with store.locked(tmp_path / "x.parquet"):
        pass


@pytest.mark.fault(23)
def test_the_folders_are_for_their_owner_only(tmp_path: Path) -> None:
    store.write(tmp_path / "results" / "cache" / "trials" / "x.parquet", pa.table({"a": [1]}))
    with store.locked(tmp_path / "results" / "cache" / "reviews" / "x.parquet"):
        pass
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert len(folders) == 5
    assert {oct(folder.stat().st_mode & 0o777) for folder in folders} == {"0o700"}
