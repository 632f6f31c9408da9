"""Removal of what is no longer needed from a results directory.

A run directory is removed if it is not one of the newest ones. A file of the cache is removed if no remaining run
refers to it. Neither is removed before some days without use. Reading a trial or a cached result counts as use; in a
bucket, where reading leaves no trace, the time of writing counts. The history is never removed, nor is anything that
does not have the name of a file of this project, or that a symbolic link leads to.
"""

import logging
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from tasks.config.errors import DamagedFileError, UserError
from tasks.config.escape import escape_terminal
from tasks.config.parameters import SAFE_NAME
from tasks.storage import layout
from tasks.storage.atomic_files import translate_write_errors
from tasks.storage.backends import storage_of
from tasks.storage.interface import Entry
from tasks.storage.run_info import RunInfo
from tasks.storage.runs import LATEST_TARGET
from tasks.storage.safe_files import LARGEST_RUN_INFO, json_model
from tasks.storage.safe_parquet import SMALL_TABLE, check_columns, parquet_table

RUNS, TRIALS, ENCODED, PARTIALS = "run directories", "trials", "encoded reviews", "partial files"
# Directories of the cache: kind, the names of the files of one item, and the file whose lock protects the item.
CACHE = {
    "trials": (TRIALS, re.compile(r"(?P<item>\w[\w.]*-seed-\d+-[0-9a-f]{1,64})\.[a-z][\w.]*"), "{}.parquet"),
    "evaluations": ("evaluations", re.compile(r"(?P<item>evaluation-[0-9a-f]{16}\.zip)(\.sha256)?"), "{}"),
    "figures": ("figures", re.compile(r"(?P<item>\w+-[0-9a-f]{16}\.zip)(\.sha256)?"), "{}"),
    "encoded": (
        ENCODED, re.compile(r"(encoded|vocabulary)-(?P<item>[0-9a-f]{16})\.parquet(\.sha256)?"), "encoded-{}.parquet"
    ),
    "vectors": ("word vectors", re.compile(r"(?P<item>vectors-[0-9a-f]{16}\.parquet)(\.sha256)?"), "{}"),
    "reviews": ("loaded reviews", re.compile(r"(?P<item>reviews-[0-9a-f]{16}\.parquet)(\.sha256)?"), "{}"),
}  # fmt: skip
KINDS = (RUNS, *(kind for kind, _, _ in CACHE.values()), PARTIALS)
DAY = 24 * 3600

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """Something that is removed as a whole.

    Attributes:
        kind: One of `KINDS`.
        name: Name of the run, trial or file.
        paths: Its files in the order of removal, or its directory.
        size: Size in bytes.
        locked: File whose lock protects it; None if there is no lock.
        used: Time of the last use in seconds since 1970; 0 if it does not matter.
    """

    kind: str
    name: str
    paths: tuple[Path, ...]
    size: int
    locked: Path | None = None
    used: float = 0


@dataclass(frozen=True)
class Removal:
    """What is removed from a results directory.

    Attributes:
        items: The items in the order of removal: first runs, then what only they refer to.
        before: Items of the cache that were used after this time, in seconds since 1970, are kept.
    """

    items: tuple[Item, ...]
    before: float

    def count(self, kind: str) -> int:
        """Return the number of items of a kind."""
        return sum(item.kind == kind for item in self.items)

    def size(self, kind: str | None = None) -> int:
        """Return the bytes of the items of a kind; by default of all."""
        return sum(item.size for item in self.items if kind in (None, item.kind))


@dataclass(frozen=True)
class _Run:
    """A run directory: its place in the order of the runs, its last change, and what it refers to.

    `references` are names of trials and of the item of a vocabulary; None if they cannot be read. `info` is None if it
    is not a finished run.
    """

    folder: Path
    info: RunInfo | None
    modified: float
    references: frozenset[str] | None


def plan_removal(
    results: Path, *, keep_runs: int, older_than: float, keep_trials: Collection[str] = (), run: str | None = None
) -> Removal:
    """Find what is no longer needed, without a change.

    The run that `latest` points to is kept in any case.

    Args:
        results: The results directory.
        keep_runs: Number of run directories to keep, the newest ones.
        older_than: Days without use, after which something may be removed.
        keep_trials: Names of further trials to keep.
        run: Remove the directory of this run, whatever its age, and of no other run.

    Raises:
        UserError: If there is no run of that name, or `latest` points to it.
    """
    before = time.time() - older_than * DAY
    runs = _read_runs(results)
    latest = _latest_run(results)
    removed = _select_run(runs, latest, run) if run else _select_old_runs(runs, latest, keep_runs, before)
    names = {each.folder for each in removed}
    remaining = [each for each in runs if each.folder not in names]
    items = [Item(RUNS, each.folder.name, (each.folder,), _size(each.folder)) for each in removed]
    items += _unused_items(results, remaining, keep_trials, before)
    partials = storage_of(results).abandoned_partials(results)
    items += [Item(PARTIALS, path.name, (path,), _partial_size(path)) for path in partials]
    return Removal(tuple(items), before)


def remove(removal: Removal) -> Removal:
    """Remove the items of a plan, and return those that were removed.

    Files of the cache that another process has locked, or has used since the plan was made, are kept. Each item first
    loses its checksums, or for a run its name, so that an interrupted removal leaves nothing that counts as stored.

    Raises:
        NotWrittenError: If something cannot be removed. What follows is kept, because a run may still refer to it.
    """
    return replace(removal, items=tuple(item for item in removal.items if _remove_item(item, removal.before)))


def _remove_item(item: Item, before: float) -> bool:
    storage = storage_of(item.paths[0])
    with translate_write_errors(item.paths[0]):
        if item.locked is None:
            for path in item.paths:
                storage.remove(path)
            return True
        with storage.lock(item.locked, wait=False) as is_free:
            if not is_free or _last_use(item) > before:
                return False
            for path in item.paths:
                storage.remove(path)
            storage.remove_lock(item.locked)
    return True


def _last_use(item: Item) -> float:
    """Return the last use of an item of the cache now; 0 if it no longer exists."""
    times = [0.0]
    for path in item.paths:
        try:
            times.append(storage_of(path).modified(path))
        except FileNotFoundError:
            continue
    return max(times)


def _read_runs(results: Path) -> list[_Run]:
    """Read all run directories, the newest first. Directories without a valid run.json are at the end."""
    folder = _subfolder(results, "runs")
    entries = storage_of(folder).entries(folder) if folder else []
    runs = [_read_run(each.path) for each in entries if each.is_dir and SAFE_NAME.fullmatch(each.path.name)]
    return sorted(runs, key=lambda run: (run.info.started if run.info else "", run.modified), reverse=True)


def _read_run(folder: Path) -> _Run:
    path = folder / "run.json"
    storage = storage_of(path)
    try:
        info = json_model(storage.read(path, LARGEST_RUN_INFO), RunInfo, path)
        return _Run(folder, info, storage.modified(path), _read_references(folder, info))
    except FileNotFoundError:  # not a run, or one that is removed or uploaded at the moment
        return _Run(folder, None, 0, frozenset())
    except DamagedFileError as damage:
        name = escape_terminal(folder.name)
        logger.warning("%s. Trials and vocabularies are kept, because run %s may refer to them.", damage, name)
        return _Run(folder, None, 0, None)


def _read_references(folder: Path, info: RunInfo) -> frozenset[str]:
    """Return the names of the trials of a run, and the item of its vocabulary.

    Raises:
        DamagedFileError: If a table of the trials is damaged.
    """
    trials = _read_trials(layout.run_table(folder, "trials"))
    if trials is None:
        return frozenset()
    for table in ("resampled_trials", "tuning"):
        trials |= _read_trials(layout.run_table(folder, table)) or set()
    return frozenset(trials | {(info.vocabulary or "").removeprefix("vocabulary-").removesuffix(".parquet")})


def _read_trials(path: Path) -> set[str] | None:
    """Return the names of the trials in a table of a run; None if there is no such table."""
    try:
        table = parquet_table(storage_of(path).read(path, SMALL_TABLE.file), path, SMALL_TABLE)
    except FileNotFoundError:
        return None
    check_columns(table, {"weights": "text"}, path)
    return {str(weights).removesuffix(".safetensors") for weights in table["weights"].to_pylist()}


def _latest_run(results: Path) -> str | None:
    """Return the name of the run that `latest` points to; None if it does not point to a run in this directory."""
    try:
        target = storage_of(results).read_latest(results) or ""
    except (FileNotFoundError, DamagedFileError):
        return None
    return target.removeprefix("runs/") if LATEST_TARGET.fullmatch(target) else None


def _select_run(runs: list[_Run], latest: str | None, name: str) -> list[_Run]:
    selected = [run for run in runs if run.folder.name == name]
    if not selected:
        known = ", ".join(run.folder.name for run in runs[:10]) or "none"
        raise UserError(f"run: received {name!r:.120}, but there is no run of that name. The last runs are: {known}.")
    if name == latest:
        raise UserError(f"run: received {name!r:.120}, which `latest` points to. Choose another run.")
    return selected


def _select_old_runs(runs: list[_Run], latest: str | None, keep_runs: int, before: float) -> list[_Run]:
    finished = [run for run in runs if run.info]
    return [run for run in finished[keep_runs:] if run.modified <= before and run.folder.name != latest]


def _unused_items(results: Path, remaining: list[_Run], keep_trials: Collection[str], before: float) -> Iterator[Item]:
    """Yield the items of the cache that the remaining runs do not refer to and that were not used for some days."""
    known = all(run.references is not None for run in remaining)
    kept = {*keep_trials, *(name for run in remaining for name in run.references or ())}
    for folder in CACHE:
        for item in _cache_items(results, folder):
            is_kept = item.name in kept or (item.kind in (TRIALS, ENCODED) and not known)
            if item.used <= before and not is_kept:
                yield item


def _cache_items(results: Path, name: str) -> Iterator[Item]:
    kind, pattern, locked = CACHE[name]
    folder = _subfolder(results, "cache", name)
    if folder is None:
        return
    matches = ((entry, pattern.fullmatch(entry.path.name)) for entry in storage_of(folder).entries(folder))
    named = [(match["item"], entry) for entry, match in matches if match and not entry.is_dir]
    for item, group in groupby(sorted(named, key=lambda each: each[0]), key=lambda each: each[0]):
        files = [entry for _, entry in group]
        paths = sorted((entry.path for entry in files), key=lambda path: not path.name.endswith(".sha256"))
        used = max(entry.modified for entry in files)
        yield Item(kind, item, tuple(paths), _total(files), folder / locked.format(item), used)


def _subfolder(results: Path, *names: str) -> Path | None:
    """Return a directory below the results directory; None if it or a directory above it is missing or a link."""
    folder = results
    for name in names:
        if not any(entry.is_dir and entry.path.name == name for entry in storage_of(folder).entries(folder)):
            return None
        folder = folder / name
    return folder


def _size(folder: Path) -> int:
    entries = storage_of(folder).entries(folder)
    return _total(entries) + sum(_size(entry.path) for entry in entries if entry.is_dir)


def _partial_size(path: Path) -> int:
    """Return the size of a partial file or directory, which are local."""
    return _size(path) if path.is_dir() and not path.is_symlink() else path.lstat().st_size


def _total(entries: list[Entry]) -> int:
    return sum(entry.size for entry in entries)
