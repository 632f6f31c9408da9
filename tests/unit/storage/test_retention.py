"""Removal of old results: what a run refers to, what is young and what is not ours stays."""

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from unittest import mock

import pandas as pd
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from upath import UPath

from tasks.config.errors import NotWrittenError, UserError
from tasks.storage import retention, store
from tasks.storage.layout import (
    cache_dir,
    encoded_file,
    evaluation_file,
    figure_file,
    reviews_file,
    run_table,
    vectors_file,
    vocabulary_file,
)
from tasks.storage.local_storage import LocalStorage
from tasks.storage.partial_files import partial_path
from tasks.storage.retention import RUNS, TRIALS, Removal, plan_removal, remove
from tasks.storage.trials import read_trial
from tests.helpers.examples import is_thorough
from tests.helpers.stored_runs import VOCABULARY, add_run, add_trial, trial_name
from tests.helpers.warnings_logged import warnings_logged

START = datetime(2026, 1, 1, 3, tzinfo=UTC)


def age(folder: Path, days: float) -> None:
    """Let some days pass for all files of a folder."""
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        os.utime(path, (status.st_atime, status.st_mtime - days * 24 * 3600), follow_symlinks=False)


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode, time and content of everything in a folder."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


def names(removal: Removal, kind: str) -> list[str]:
    return [item.name for item in removal.items if item.kind == kind]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return a results directory with three old runs: seed 0 in all, seed n in the n-th, and seed 9 in none."""
    for seed in (0, 1, 2, 3, 9):
        add_trial(tmp_path, seed)
    for run in (1, 2, 3):
        add_run(tmp_path, f"run-{run}", START + timedelta(days=run), [trial_name(0), trial_name(run)])
    age(tmp_path, 30)
    return tmp_path


def test_trials_of_the_search_of_a_run_are_kept(results: Path) -> None:
    table = pd.DataFrame({"architecture": ["lstm"], "weights": [f"{trial_name(9)}.safetensors"]})
    table.to_parquet(run_table(results / "runs" / "run-3", "tuning"))
    assert names(plan_removal(results, keep_runs=2, older_than=14), TRIALS) == [trial_name(1)]


def test_old_runs_are_removed_with_the_trials_that_only_they_refer_to(results: Path) -> None:
    removed = remove(plan_removal(results, keep_runs=2, older_than=14))
    assert names(removed, RUNS) == ["run-1"]
    assert names(removed, TRIALS) == [trial_name(1), trial_name(9)]
    assert sorted(path.name for path in (results / "runs").iterdir()) == ["run-2", "run-3"]
    assert [seed for seed in (0, 1, 2, 3, 9) if read_trial(cache_dir(results), trial_name(seed))] == [0, 2, 3]
    assert sorted((results / "cache" / "trials" / ".locks").iterdir()) == []
    assert plan_removal(results, keep_runs=2, older_than=14).items == ()


def test_plan_states_the_bytes_that_removal_frees(results: Path) -> None:
    def used() -> int:
        return sum(path.lstat().st_size for path in results.rglob("*") if path.is_file())

    before = used()
    plan = plan_removal(results, keep_runs=1, older_than=14)
    assert plan.size() == sum(plan.size(kind) for kind in retention.KINDS) > 0
    assert remove(plan).size() == plan.size() == before - used()


def test_plan_changes_nothing(results: Path) -> None:
    before = snapshot(results)
    assert plan_removal(results, keep_runs=1, older_than=14).items
    assert snapshot(results) == before


def test_what_is_young_or_used_lately_is_kept(results: Path) -> None:
    read_trial(cache_dir(results), trial_name(9))  # counts as use
    assert names(plan_removal(results, keep_runs=1, older_than=14), TRIALS) == [trial_name(1), trial_name(2)]
    assert names(plan_removal(results, keep_runs=1, older_than=29), RUNS) == ["run-2", "run-1"]
    assert plan_removal(results, keep_runs=1, older_than=31).items == ()


def test_trials_of_the_next_nightly_run_are_kept(results: Path) -> None:
    keep = {trial_name(1), trial_name(9)}
    assert names(plan_removal(results, keep_runs=1, older_than=14, keep_trials=keep), TRIALS) == [trial_name(2)]


def test_what_is_used_or_locked_after_the_plan_is_kept(results: Path) -> None:
    plan = plan_removal(results, keep_runs=1, older_than=14)
    read_trial(cache_dir(results), trial_name(9))
    with store.locked(cache_dir(results) / "trials" / f"{trial_name(1)}.parquet"):
        removed = remove(plan)
    assert names(removed, TRIALS) == [trial_name(2)]
    assert read_trial(cache_dir(results), trial_name(1))


def test_target_of_latest_is_kept_whatever_its_age(results: Path) -> None:
    link = results / "latest"
    link.unlink()
    link.symlink_to("runs/run-1")
    assert names(plan_removal(results, keep_runs=1, older_than=14), RUNS) == ["run-2"]
    with pytest.raises(UserError, match="latest"):
        plan_removal(results, keep_runs=1, older_than=14, run="run-1")


def test_one_run_is_removed_by_its_name(results: Path) -> None:
    removed = remove(plan_removal(results, keep_runs=1, older_than=40, run="run-2"))
    assert [(item.kind, item.name) for item in removed.items] == [(RUNS, "run-2")]
    with pytest.raises(UserError, match="run-3, run-1"):
        plan_removal(results, keep_runs=1, older_than=40, run="run-2")


def test_vocabulary_is_kept_with_its_runs_and_other_unused_files_are_removed(results: Path) -> None:
    cache = cache_dir(results)
    encoded = VOCABULARY.replace("vocabulary", "encoded")
    for path in (
        vocabulary_file(cache, VOCABULARY), encoded_file(cache, encoded), vocabulary_file(cache, f"x-{VOCABULARY}"),
        vocabulary_file(cache, f"vocabulary-{'b' * 16}.parquet"), reviews_file(cache, f"reviews-{'c' * 16}.parquet"),
        evaluation_file(cache, "d" * 16), figure_file(cache, "costs", "e" * 16), figure_file(cache, "mine", "x"),
        vectors_file(cache, f"vectors-{'f' * 16}.parquet"),
    ):  # fmt: skip
        store.write(path, b"1")
    age(results, 20)
    removed = remove(plan_removal(results, keep_runs=9, older_than=14))
    assert {item.kind for item in removed.items} == {*retention.KINDS} - {RUNS, "partial files"}
    left = {path.name for path in cache.glob("[efrv]*/*") if path.is_file() and path.suffix != ".sha256"}
    assert left == {VOCABULARY, encoded, f"x-{VOCABULARY}", "mine-x.zip"}


def test_partial_files_of_dead_processes_are_removed_and_those_of_living_ones_stay(results: Path) -> None:
    own = partial_path(results / "runs" / "next")
    dead = own.with_name(own.name.replace(f"-{os.getpid()}-", f"-{2**22 + 1}-"))
    for folder in (own, dead):
        folder.mkdir()
        (folder / "report.html").write_text("123")
    removed = remove(plan_removal(results, keep_runs=9, older_than=14))
    assert [(item.name, item.size) for item in removed.items if item.kind == "partial files"] == [(dead.name, 3)]
    assert own.exists()
    assert not dead.exists()


@pytest.mark.parametrize("damaged", ["run.json", "tables/trials.parquet"])
def test_trials_are_kept_while_a_run_cannot_be_read(results: Path, damaged: str) -> None:
    (results / "runs" / "run-1" / damaged).write_bytes(b"damaged")
    with warnings_logged("tasks") as messages:
        plan = plan_removal(results, keep_runs=1, older_than=14)
    assert "run-1" in messages[0]
    assert (names(plan, RUNS), names(plan, TRIALS)) == (["run-2"], [])
    removed = remove(plan_removal(results, keep_runs=1, older_than=14, run="run-1"))
    assert (names(removed, RUNS), names(removed, TRIALS)) == (["run-1"], [trial_name(1), trial_name(9)])


def test_links_are_neither_followed_nor_removed(results: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    shutil.copytree(results, outside / "copy", symlinks=True)
    (results / "runs" / "run-0").symlink_to(outside / "copy" / "runs" / "run-1")
    shutil.rmtree(results / "cache" / "trials")
    (results / "cache" / "trials").symlink_to(outside / "copy" / "cache" / "trials")
    before = snapshot(outside)
    removed = remove(plan_removal(results, keep_runs=1, older_than=14))
    assert {item.kind for item in removed.items} == {RUNS}
    assert snapshot(outside) == before
    assert (results / "runs" / "run-0").is_symlink()


def test_trials_of_a_run_that_cannot_be_removed_are_kept(results: Path) -> None:
    plan = plan_removal(results, keep_runs=1, older_than=14)
    with (
        mock.patch.object(LocalStorage, "remove", side_effect=PermissionError(13, "Permission denied")),
        pytest.raises(NotWrittenError, match="run-2"),
    ):
        remove(plan)
    assert read_trial(cache_dir(results), trial_name(2))


def test_runs_and_trials_of_an_object_store_are_removed_by_the_same_rules() -> None:
    place = cast(Path, UPath(f"memory://{uuid.uuid4()}"))
    for run in (1, 2):
        add_run(place, f"run-{run}", START + timedelta(days=run), [add_trial(place, 0), add_trial(place, run)])
    assert plan_removal(place, keep_runs=1, older_than=14).items == ()
    with mock.patch.object(time, "time", return_value=time.time() + 20 * 24 * 3600):
        removed = remove(plan_removal(place, keep_runs=1, older_than=14))
    assert [(item.kind, item.name) for item in removed.items] == [(RUNS, "run-1"), (TRIALS, trial_name(1))]
    assert [seed for seed in (0, 1, 2) if read_trial(cache_dir(place), trial_name(seed))] == [0, 2]


class Killed(BaseException):
    """The process ends here."""


class Results(RuleBasedStateMachine):
    """Adds and removes runs in any order; some removals are killed, and some entries are links to another folder."""

    def __init__(self) -> None:
        super().__init__()
        self.fsync = mock.patch.object(os, "fsync")  # no power failure is tested, and it takes most of the time
        self.fsync.start()
        self.folder, self.outside = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
        add_run(self.outside, "foreign", START, [add_trial(self.outside, 0)])
        age(self.outside, 1_000)
        self.before = snapshot(self.outside)
        self.trials: dict[str, list[str]] = {}
        store.write(self.folder / "history" / "data=a" / "configuration=b" / "c.parquet", b"history")

    def teardown(self) -> None:
        self.fsync.stop()
        for folder in (self.folder, self.outside):
            shutil.rmtree(folder)

    @rule(seeds=st.lists(st.integers(0, 6), min_size=1, max_size=3, unique=True))
    def run(self, seeds: list[int]) -> None:
        """Finish a run: trials that are not stored are trained."""
        cache = cache_dir(self.folder)
        name = f"run-{len(self.trials)}"
        trials = [trial_name(seed) for seed in seeds]
        for seed, trial in zip(seeds, trials, strict=True):
            if not read_trial(cache, trial):
                add_trial(self.folder, seed)
        add_run(self.folder, name, START + timedelta(hours=len(self.trials)), trials)
        self.trials[name] = trials

    @rule(seed=st.integers(0, 6))
    def train_without_a_run(self, seed: int) -> None:
        if not read_trial(cache_dir(self.folder), trial_name(seed)):
            add_trial(self.folder, seed)

    @rule(days=st.sampled_from([1, 5, 20]))
    def wait(self, days: int) -> None:
        age(self.folder, days)

    @rule(kind=st.sampled_from(["run", "file of a trial", "folder of figures"]))
    def link(self, kind: str) -> None:
        """Put a link to the other folder among the results."""
        place, target = {
            "run": ("runs/link", "runs/foreign"),
            "file of a trial": (f"cache/trials/{trial_name(9)}.parquet", f"cache/trials/{trial_name(0)}.parquet"),
            "folder of figures": ("cache/figures", "cache/trials"),
        }[kind]
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(path):
            path.symlink_to(self.outside / target)

    @rule(keep_runs=st.integers(1, 4), older_than=st.integers(1, 15))
    def plan(self, keep_runs: int, older_than: int) -> None:
        before = snapshot(self.folder)
        plan_removal(self.folder, keep_runs=keep_runs, older_than=older_than)
        assert snapshot(self.folder) == before

    @rule(keep_runs=st.integers(1, 4), older_than=st.integers(1, 15))
    def clean(self, keep_runs: int, older_than: int) -> None:
        before = len(self.runs())
        remove(plan_removal(self.folder, keep_runs=keep_runs, older_than=older_than))
        assert len(self.runs()) >= min(keep_runs, before)
        assert plan_removal(self.folder, keep_runs=keep_runs, older_than=older_than).items == ()

    @precondition(lambda self: self.trials)
    @rule(keep_runs=st.integers(1, 2), step=st.integers(0, 12))
    def die_while_removing(self, keep_runs: int, step: int) -> None:
        """Remove everything old, and die before a rename or the removal of a file."""
        steps: Iterator[int] = iter(range(step))

        def die_or(function):
            def call(*arguments, **options):
                if next(steps, None) is None:
                    raise Killed
                return function(*arguments, **options)

            return call

        plan = plan_removal(self.folder, keep_runs=keep_runs, older_than=1)
        with (
            mock.patch.object(Path, "unlink", die_or(Path.unlink)),
            mock.patch.object(Path, "rename", die_or(Path.rename)),
            mock.patch.object(os, "unlink", die_or(os.unlink)),
            suppress(Killed),
        ):
            remove(plan)

    def runs(self) -> list[str]:
        return [path.parent.name for path in (self.folder / "runs").glob("run-*/run.json")]

    @invariant()
    def trials_of_all_runs_are_readable(self) -> None:
        cache = cache_dir(self.folder)
        # Reading counts as use, so the times are restored.
        files = {path: path.lstat() for path in cache.rglob("*")}
        for run in self.runs():
            assert (self.folder / "runs" / run / "tables" / "trials.parquet").is_file()
            for trial in self.trials[run]:
                assert read_trial(cache, trial)
        for path, status in files.items():
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)

    @invariant()
    def latest_and_history_are_kept_and_nothing_outside_changes(self) -> None:
        assert not self.trials or (self.folder / "latest" / "run.json").is_file()
        assert store.read_bytes(self.folder / "history" / "data=a" / "configuration=b" / "c.parquet") == b"history"
        assert snapshot(self.outside) == self.before


TestResults = Results.TestCase
TestResults.settings = settings(max_examples=10 if is_thorough() else 4, stateful_step_count=12)
if is_thorough():
    TestResults = pytest.mark.slow(TestResults)
