"""Unfinished files: nobody can plant one, and only what is known to be abandoned is removed."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.storage import atomic_files, store
from tasks.storage.partial_files import FOREIGN_SECONDS, NAME, partial_path
from tests.conftest import ROOT

DAY = 24 * 3600
WORDS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=30)
OWNERS = st.from_regex(r"[0-9a-f]{16}-\d{1,12}-\d{1,22}-[0-9a-f]{15,17}", fullmatch=True)
STRAY = st.one_of(
    WORDS,
    WORDS.map(lambda word: f".{word}.partial"),
    st.integers(0, 10**21).map(lambda number: f".x.{number}.partial"),
    st.tuples(WORDS, OWNERS).map(lambda parts: f".{parts[0]}.{parts[1]}.partial"),
).filter(lambda name: name not in (".", "..") and len(os.fsencode(name)) < 256)
KINDS = st.sampled_from(["file", "folder", "full folder", "link", "broken link", "link to itself", "fifo", "socket"])


def made_by_a_dead_process(folder: Path, name: str = "x.parquet", kind: str = "file") -> Path:
    """Let a process of this place make something unfinished, and end."""
    make = {"file": "touch()", "folder": "mkdir()", "link": "symlink_to('/')"}[kind]
    script = (
        "import sys; from pathlib import Path; from tasks.storage.partial_files import partial_path\n"
        f"path = partial_path(Path(sys.argv[1])); path.{make}; print(path)"
    )
    words = [sys.executable, "-c", script, str(folder / name)]
    return Path(subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip())


def plant(path: Path, kind: str, elsewhere: Path) -> None:
    """Make something of a kind."""
    if kind == "file":
        path.touch()
    elif "folder" in kind:
        path.mkdir()
        if kind == "full folder":
            (path / ".inner.1.partial").touch()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        here = os.open(path.parent, os.O_PATH)
        with socket.socket(socket.AF_UNIX) as listening:  # by a short path, for that of a socket is limited
            listening.bind(f"/proc/self/fd/{here}/s")
        os.close(here)
        (path.parent / "s").rename(path)
    else:
        path.symlink_to({"link": elsewhere, "broken link": "nowhere", "link to itself": path}[kind])


def listed(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


@given(strays=st.dictionaries(STRAY, KINDS, max_size=6), place=st.sampled_from([".", "runs", "cache/trials"]))
@example(strays={".foo.partial": "file", ".a.b.partial": "file"}, place=".")
@example(strays={".x.99999999999999999999.partial": "file"}, place="cache/trials")
@example(strays={".x.1.partial": "file", ".x.4194303.partial": "folder", ".y..partial": "fifo"}, place="runs")
@example(strays={f".x.{'0' * 16}-9999999999-1-{'0' * 16}.partial": "file"}, place="runs")
def test_foreign_files_are_kept_and_raise_no_error(strays: dict[str, str], place: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder, elsewhere = Path(made, "results"), Path(made, "elsewhere")
        (folder / place).mkdir(parents=True)
        elsewhere.mkdir()
        (elsewhere / ".x.1.partial").touch()
        for name, kind in strays.items():
            plant(folder / place / name, kind, elsewhere)
        before = listed(Path(made))
        assert store.sweep(folder) == []
        assert listed(Path(made)) == before
        store.write(folder / place / "x.bin.written", b"content")
        assert store.read_bytes(folder / place / "x.bin.written") == b"content"


@pytest.mark.failure_mode("torn-file")
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
@pytest.mark.parametrize("place", ["cache/trials", "runs", "history/data=x/configuration=y", "."])
def test_partial_file_of_dead_process_is_removed(tmp_path: Path, place: str, kind: str) -> None:
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    left = made_by_a_dead_process(tmp_path / place, kind=kind)
    assert os.path.lexists(left)
    assert store.sweep(tmp_path) == [left]
    assert not os.path.lexists(left)


def test_partial_file_of_living_process_is_kept(tmp_path: Path) -> None:
    mine = partial_path(tmp_path / "x.parquet")
    mine.touch()
    os.utime(mine, (0, 0))
    assert store.sweep(tmp_path) == []
    assert mine.exists()


def test_reused_process_id_does_not_keep_a_partial_file(tmp_path: Path) -> None:
    mine = partial_path(tmp_path / "x.parquet")
    place, pid, start, rest = mine.name.split(".")[-2].split("-")
    earlier = tmp_path / f".x.parquet.{place}-{pid}-{int(start) - 1}-{rest}.partial"
    earlier.touch()
    assert store.sweep(tmp_path) == [earlier]


def test_impossible_process_id_is_not_a_writer(tmp_path: Path) -> None:
    place, _, start, rest = partial_path(tmp_path / "x").name.split(".")[-2].split("-")
    (tmp_path / f".x.{place}-9999999999-{start}-{rest}.partial").touch()
    assert store.sweep(tmp_path) == []


@pytest.mark.parametrize(("age", "removed"), [(0, False), (DAY - 60, False), (DAY + 60, True)])
def test_partial_file_of_another_host_is_removed_after_a_day(tmp_path: Path, age: float, removed: bool) -> None:
    foreign = tmp_path / f".x.parquet.0123456789abcdef-1-5-{'0' * 16}.partial"
    foreign.touch()
    os.utime(foreign, (time.time() - age,) * 2)
    assert store.sweep(tmp_path) == ([foreign] if removed else [])
    assert foreign.exists() != removed
    assert FOREIGN_SECONDS == DAY


@pytest.mark.failure_mode("unsafe-name")
@given(name=WORDS.filter(lambda name: name not in (".", "..") and len(os.fsencode(name)) < 256))
@example(name="🙂" * 63)
@example(name="x" * 255)
@example(name="a\nb.csv")
def test_partial_name_is_new_and_short_enough_for_any_name(name: str) -> None:
    first, second = partial_path(Path("folder") / name), partial_path(Path("folder") / name)
    assert first != second
    for each in (first, second):
        assert each.parent == Path("folder")
        assert NAME.fullmatch(each.name)
        assert len(os.fsencode(each.name)) < 256


def test_partial_file_does_not_follow_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant links under the very names that will be chosen: even a guess that is right leads nowhere."""
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 2 * size)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    for name in ("x.bin", "x.bin.sha256"):
        partial_path(tmp_path / name).symlink_to(victim)
    with pytest.raises(store.NotWrittenError, match="File exists"):
        store.write(tmp_path / "x.bin", b"new")
    partial_path(tmp_path / "x.bin").symlink_to(victim)
    with (
        pytest.raises(store.NotWrittenError, match="File exists"),
        atomic_files.replace_file(tmp_path / "x.bin") as file,
    ):
        file.write(b"new")
    assert victim.read_bytes() == b"precious"


def test_link_in_place_of_the_target_is_replaced(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "x.bin").symlink_to(victim)
    (tmp_path / "x.bin.sha256").symlink_to(victim)
    store.write(tmp_path / "x.bin", b"new")
    assert store.read_bytes(tmp_path / "x.bin") == b"new"
    assert victim.read_bytes() == b"precious"
