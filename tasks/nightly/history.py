"""History of all runs: one Parquet file per run with one row per trial, read as one table.

The files are in `history/data=<fingerprint>/configuration=<key>/`, so that runs on other reviews or with another recipe
are never mixed. Versions of code and libraries, hardware and seeds are columns and not part of the key, because the
history shows how scores change with them. DuckDB reads all files at once:
`select * from read_parquet('results/history/**/*.parquet', hive_partitioning = true, union_by_name = true)`.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.config.escape import escape_terminal
from tasks.config.parameters import SAFE_NAME
from tasks.config.recipe import Recipe
from tasks.evaluation.metrics import METRICS
from tasks.nightly.history_rows import COSTS
from tasks.storage import store
from tasks.storage.backends import storage_of
from tasks.storage.layout import history_files, history_of_data, history_partition
from tasks.storage.safe_parquet import SMALL_TABLE, Kind, as_frame, check_columns, check_names

KEY_DIGITS = 16  # hexadecimal digits of fingerprint and key in the names of directories
ADDED_COLUMNS = ("cpu_seconds",)  # that earlier versions did not write
STATUSES = {"finished", "diverged", "failed"}
JSON_COLUMNS = ("versions", "hardware", "settings")
COLUMNS: dict[str, Kind] = {
    "run": "text", "night": "time", "started": "time", "new_seeds": "number", "architecture": "text",
    "seed": "number", "trial": "text", "status": "text", **dict.fromkeys([*METRICS, *COSTS], "number"),
    "relative_seconds": "number", "code": "text", **dict.fromkeys(JSON_COLUMNS, "text"),
}  # fmt: skip
TYPES = {"night": pa.date32(), "started": pa.timestamp("us", "UTC"), "seed": pa.int64(), "new_seeds": pa.int64()}
LONGEST_JSON = 100_000  # characters; the settings of a run have about 1,000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HistoryPartition:
    """Part of the history whose runs are comparable: the same data and the same configuration.

    Attributes:
        data: First digits of the fingerprint of the reviews.
        configuration: First digits of the key of recipes, train fraction and word vectors.
    """

    data: str
    configuration: str

    @classmethod
    def from_recipe(
        cls,
        fingerprint: str,
        recipe: Recipe,
        train_fraction: float,
        tuned: Mapping[str, Recipe] | None = None,
        vectors: str = "",
    ) -> Self:
        """Compute the partition of a run.

        Args:
            fingerprint: SHA-256 of the reviews, hexadecimal.
            recipe: Shared recipe of the networks.
            train_fraction: Largest share of the training reviews that the run uses, in (0, 1].
            tuned: Recipe of each architecture that a search has selected; None for a run without a search.
            vectors: Key of the word vectors; empty without.
        """
        settings: dict[str, object] = {**recipe.model_dump(), "train_fraction": train_fraction}
        if tuned is not None:
            settings["tuned"] = {name: each.model_dump() for name, each in tuned.items()}
        if vectors:
            settings["vectors"] = vectors
        text = json.dumps(settings, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        return cls(fingerprint[:KEY_DIGITS], key[:KEY_DIGITS])

    def directory(self, results: Path) -> Path:
        """Return the directory of the partition in a results folder."""
        return history_partition(results, self.data, self.configuration)

    def select(self, history: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of the history that are in this partition."""
        rows = (history["data"] == self.data) & (history["configuration"] == self.configuration)
        return history[rows].reset_index(drop=True)

    def label(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a run with the columns data and configuration, as `read_history` does."""
        return rows.assign(**asdict(self))


def write_run(results: Path, partition: HistoryPartition, name: str, rows: pd.DataFrame) -> Path:
    """Add the file of a run to the history, or replace it.

    Args:
        results: The results folder.
        partition: Partition of the run.
        name: Name of the file without suffix; different for each run.
        rows: Rows of the run, see `build_rows`.
    """
    file = partition.directory(results) / f"{name}.parquet"
    store.write(file, rows)
    return file


def read_history(results: Path) -> pd.DataFrame:
    """Read the whole history, with the columns data and configuration from the names of the directories.

    The rows are ordered by the start of the runs, the earliest first, because the date of a nightly run can be chosen
    freely. Damaged files, and files in directories that no run writes, are left out with a warning.
    """
    frames = []
    for file in history_files(results):
        try:
            rows = _read_run(file)
        except store.DamagedFileError as damage:
            logger.warning("%s. This run is left out of the history.", escape_terminal(damage))
            continue
        if rows is not None:
            frames.append(rows)
    if not frames:
        return pd.DataFrame(columns=["data", "configuration", "night", "started", "seed", "trial", "status"])
    return pd.concat(frames, ignore_index=True).sort_values(["started", "night"], kind="stable", ignore_index=True)


def was_compared(results: Path, data: str) -> bool:
    """Return whether there was a run on a data set before.

    Args:
        results: The results directory.
        data: Fingerprint of the data set, hexadecimal.
    """
    folder = history_of_data(results, data[:KEY_DIGITS])
    return bool(storage_of(folder).entries(folder))


def find_files(results: Path, run: str) -> list[Path]:
    """Return the files of all runs with exactly this name.

    The name is compared with the column `run` and never becomes part of a path. Damaged files are left out, because the
    run that wrote them is unknown.
    """
    found = []
    for file in history_files(results):
        with suppress(store.DamagedFileError):
            table = store.read(file)
            if table is not None and run in set(table.column("run").to_pylist()):
                found.append(file)
    return found


def remove_run(results: Path, run: str) -> list[Path]:
    """Remove all runs with exactly this name from the history: their files and checksums.

    Their reports in `runs` and their trials in the cache are kept.

    Args:
        results: The results folder.
        run: Name of the run.

    Returns:
        The files that were removed; empty if no run has that name.
    """
    files = find_files(results, run)
    for file in files:
        file.unlink()
        file.with_name(f"{file.name}.sha256").unlink(missing_ok=True)
    return files


def select_first_occurrences(history: pd.DataFrame) -> pd.DataFrame:
    """Return each finished trial at its first occurrence: a trial that was found in the cache is no new evidence."""
    return history[history["status"] == "finished"].drop_duplicates("trial").reset_index(drop=True)


def _read_run(file: Path) -> pd.DataFrame | None:
    keys = dict(part.split("=", 1) for part in (file.parent.parent.name, file.parent.name))
    if not all(SAFE_NAME.fullmatch(key) for key in keys.values()):
        raise store.DamagedFileError(f"{escape_terminal(file)} is in a directory that no run writes")
    table = store.read(file, SMALL_TABLE)
    if table is None:
        return None
    return HistoryPartition(**keys).label(as_frame(_check_rows(table, file), file))


def _check_rows(table: pa.Table, file: Path) -> pa.Table:
    """Check the rows of a run and cast them to the types of `build_rows`.

    Values that an earlier version did not write are missing.

    Raises:
        DamagedFileError: If a column is missing or has an invalid value.
    """
    for name in set(ADDED_COLUMNS) - set(table.column_names):
        table = table.append_column(name, pa.nulls(len(table), pa.float64()))
    check_columns(table, COLUMNS, file)
    check_names(table, ("run", "architecture", "trial", "status"), file)
    try:
        for name, kind in TYPES.items():
            table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    except pa.ArrowException as error:
        raise store.DamagedFileError(f"{escape_terminal(file)}: a date or a seed is invalid") from error
    if any(table[name].null_count for name in TYPES) or set(pc.unique(table["status"]).to_pylist()) - STATUSES:
        raise store.DamagedFileError(f"{escape_terminal(file)}: a date, a seed or a status is missing or invalid")
    if not all(_is_json_object(text) for name in JSON_COLUMNS for text in pc.unique(table[name]).to_pylist()):
        raise store.DamagedFileError(f"{escape_terminal(file)}: versions, hardware or settings are not JSON objects")
    return table


def _is_json_object(text: str | None) -> bool:
    if text is None or len(text) > LONGEST_JSON:
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
