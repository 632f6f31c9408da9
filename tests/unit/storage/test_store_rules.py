"""The store under any order of writes, crashes, damage, loss and sweeping: what is read is what was put, or nothing."""

import os
import re
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tasks.storage import atomic_files, store
from tasks.storage.partial_files import partial_path
from tests.helpers.examples import is_thorough

NAMES = st.sampled_from(["a.parquet", "deep/b.safetensors", "c.bin"])
CONTENTS = st.binary(max_size=60)
# No process has this number, so that what it left is a dead one's.
NOBODY = 2**22 + 1
RANDOM_PART = re.compile(r"-[0-9a-f]{16}(?=\.partial$)")


def nobody_s(path: Path) -> Path:
    """Name a temporary file as a process of this place that has ended."""
    own = partial_path(path)
    return own.with_name(own.name.replace(f"-{os.getpid()}-", f"-{NOBODY}-"))


class Killed(BaseException):
    """The process ends here."""


class Store(RuleBasedStateMachine):
    """Does to a folder what can happen to it, and remembers what may be read afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.put: dict[str, set[bytes]] = {}  # all that was ever put under a name
        self.last: dict[str, bytes] = {}  # what must be read: put whole, and not harmed since

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def files(self) -> list[Path]:
        """List the files in an order that does not depend on the random part of the names of partial files."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return sorted(files, key=lambda path: (RANDOM_PART.sub("", self.named(path)), path.read_bytes()))

    def named(self, path: Path) -> str:
        """Say to which name a file belongs."""
        return path.relative_to(self.folder).as_posix().removesuffix(".sha256")

    @rule(name=NAMES, content=CONTENTS)
    def write(self, name: str, content: bytes) -> None:
        store.write(self.folder / name, content)
        self.put.setdefault(name, set()).add(content)
        self.last[name] = content

    @rule(name=NAMES, content=CONTENTS, step=st.integers(0, 5), written=st.integers(0, 60))
    def die_while_writing(self, name: str, content: bytes, step: int, written: int) -> None:
        """Write, and die before the first rename, between both, or with part of a temporary file written."""
        steps = iter(range(6))

        def die_at(real):
            def called(*arguments, **options):
                if next(steps) == step:
                    raise Killed
                return real(*arguments, **options)

            return called

        with (
            mock.patch.object(atomic_files, "partial_path", nobody_s),
            mock.patch.object(atomic_files.os, "fsync", die_at(os.fsync)),
            mock.patch.object(Path, "replace", die_at(Path.replace)),
            mock.patch.object(Path, "unlink", return_value=None),  # a dead process tidies nothing up
        ):
            try:
                store.write(self.folder / name, content)
            except Killed:
                for path in self.folder.rglob(".*.partial"):
                    os.truncate(path, min(written, path.stat().st_size))
        self.put.setdefault(name, set()).add(content)
        self.last.pop(name, None)

    @rule(data=st.data(), position=st.integers(0, 10_000), bit=st.integers(0, 7))
    def flip_a_bit(self, data: st.DataObject, position: int, bit: int) -> None:
        if files := [path for path in self.files() if path.stat().st_size]:
            path = data.draw(st.sampled_from(files))
            content = bytearray(path.read_bytes())
            content[position % len(content)] ^= 1 << bit
            path.write_bytes(content)
            self.last.pop(self.named(path), None)

    @rule(data=st.data(), length=st.integers(0, 100))
    def cut_or_lengthen(self, data: st.DataObject, length: int) -> None:
        if files := self.files():
            path = data.draw(st.sampled_from(files))
            os.truncate(path, length)
            self.last.pop(self.named(path), None)

    @rule(data=st.data())
    def lose_a_file(self, data: st.DataObject) -> None:
        if files := self.files():
            path = data.draw(st.sampled_from(files))
            path.unlink()
            self.last.pop(self.named(path), None)

    @rule()
    def sweep(self) -> None:
        store.sweep(self.folder)
        assert not list(self.folder.rglob(".*.partial"))

    @invariant()
    def what_is_read_was_put_or_it_is_nothing(self) -> None:
        for name, contents in self.put.items():
            try:
                read = store.read_bytes(self.folder / name)
            except store.DamagedFileError:
                assert name not in self.last
                continue
            assert read is None or read in contents
            assert name not in self.last or read == self.last[name]


TestStore = pytest.mark.failure_mode("disk-full")(
    pytest.mark.failure_mode("damaged-file")(pytest.mark.failure_mode("torn-file")(Store.TestCase))
)
TestStore.settings = settings(max_examples=50 if is_thorough() else 20, stateful_step_count=20)
if is_thorough():
    TestStore = pytest.mark.slow(TestStore)
