"""What every run measured, night by night: one Parquet file a run, one row a trial, read as one table.

The files lie in `history/data=<fingerprint>/configuration=<key>/`, so that nights on other reviews or with other
settings never mix. Code and library versions, hardware and seeds are in the rows, not in the key: how scores change
with them is what the history is for. DuckDB reads all at once:
`select * from read_parquet('results/history/**/*.parquet', hive_partitioning = true)`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.config.escape import escape_terminal
from tasks.config.parameters import SAFE_NAME
from tasks.config.recipe import Recipe
from tasks.evaluation.metrics import METRICS
from tasks.storage import store
from tasks.storage.safe_files import SMALL_TABLE, Kind, as_frame, check_columns, check_names

DIGITS = 16  # of fingerprint and key in the names of folders
KEPT_NIGHTS = 30  # of whose new seeds a run makes use at most
FIRST_NIGHT = 19_000_101_0  # seeds from here on are those of nights
TRIAL_FACTS = ("train_seconds", "probe_seconds", "parameters", "train_reviews")
MANIFEST = ("versions", "code", "hardware", "settings")  # as JSON text
STATUSES = {"finished", "diverged", "failed"}
COLUMNS: dict[str, Kind] = {
    "run": "text", "night": "time", "started": "time", "new_seeds": "number", "architecture": "text",
    "seed": "number", "trial": "text", "status": "text", **dict.fromkeys([*METRICS, *TRIAL_FACTS], "number"),
    "relative_seconds": "number", **dict.fromkeys(MANIFEST, "text"),
}  # fmt: skip
TYPES = {"night": pa.date32(), "started": pa.timestamp("us", "UTC"), "seed": pa.int64(), "new_seeds": pa.int64()}
LONGEST_MANIFEST = 100_000  # characters; the settings of a run have about 1,000


def partition(fingerprint: str, recipe: Recipe, fraction: float) -> dict[str, str]:
    """Tell what nights must share to be held against each other, as names of folders."""
    made_of = json.dumps({**recipe.model_dump(), "train_fraction": fraction}, sort_keys=True)
    configuration = hashlib.sha256(made_of.encode()).hexdigest()
    return {"data": fingerprint[:DIGITS], "configuration": configuration[:DIGITS]}


def seeds_of(night: date, count: int) -> list[int]:
    """Derive the new seeds of a night from its date: 202611240, 202611241, … of 2026-11-24; at most ten."""
    return [int(f"{night:%Y%m%d}") * 10 + place for place in range(count)]


def kept_trials(past: pd.DataFrame, night: date) -> dict[str, int]:
    """Name the trials of the last nights before `night` that brought new seeds, each with its seed.

    Found in the cache they cost nothing. A changed code or library gives a trial another name, so that a night never
    trains for more than itself.
    """
    earlier = past[(past["night"] < night) & (past["status"] == "finished") & (past["seed"] >= FIRST_NIGHT)]
    nights = sorted(set(earlier["seed"] // 10))[-(KEPT_NIGHTS - 1) :]
    kept = earlier[(earlier["seed"] // 10).isin(nights)]
    return dict(zip(kept["trial"], kept["seed"].astype(int), strict=True))


def rows(
    asked: Sequence[Mapping[str, Any]],
    trials: Sequence[Mapping[str, Any]],
    scores: pd.DataFrame | None,
    manifest: Mapping[str, Mapping[str, Any]],
    **run: Any,
) -> pd.DataFrame:
    """Put together what a run adds to the history: one row for each trial that was asked for.

    Args:
        asked: Calls of `train`: architecture, seed, name (of the trial).
        trials: The facts of those that there are.
        scores: The frame scores; None where there are none.
        manifest: Of `MANIFEST`; `code` by architecture.
        run: What all rows share: run, night, started, new_seeds.

    Returns:
        Columns of `run`, architecture, seed, trial, status (finished, diverged, failed), each of `METRICS` on test (NaN
        without predictions), seconds and their ratio to the sgemm probe (`relative_seconds`), and the manifest.
    """
    facts = {Path(trial["weights"]).stem: trial for trial in trials}
    test = {} if scores is None else _test_scores(scores)
    found = []
    for call in asked:
        name, seed = call["architecture"], int(call["seed"])
        known = facts.get(call["name"], {"status": "failed"})
        measured = {metric: test.get((name, seed, metric), float("nan")) for metric in METRICS}
        cost = {fact: float(known.get(fact, float("nan"))) for fact in TRIAL_FACTS}
        relative = cost["train_seconds"] / cost["probe_seconds"]
        about = {part: json.dumps(manifest[part], sort_keys=True, default=str) for part in MANIFEST if part != "code"}
        found.append(
            {**run, "architecture": name, "seed": seed, "trial": call["name"], "status": known["status"], **measured}
            | {**cost, "relative_seconds": relative, "code": str(manifest["code"].get(name, "")), **about}
        )
    return pd.DataFrame(found)


def _test_scores(scores: pd.DataFrame) -> dict[tuple[str, int, str], float]:
    test = scores[scores["split"] == "test"]
    return dict(zip(zip(test["architecture"], test["seed"], test["metric"], strict=True), test["value"], strict=True))


def append(place: Path, where: Mapping[str, str], run: str, frame: pd.DataFrame) -> Path:
    """Add a run's file to the history; the same run again takes its own file's place.

    Args:
        place: The folder of results.
        where: Of `partition`.
        run: A name that no other run has.
        frame: Of `rows`.
    """
    folder = place / "history" / "/".join(f"{name}={value}" for name, value in where.items())
    file = folder / f"{run}.parquet"
    store.write(file, frame)
    return file


def read(place: Path, say: Callable[[str], None]) -> pd.DataFrame:
    """Read the whole history, the oldest run first, with its folders' names as columns data and configuration.

    The order is that in which runs began. The date of a night may be any that a person gave.

    A file that is damaged, or lies in a folder that no run makes, is left out, and `say` is told.
    """
    frames = []
    for file in sorted((place / "history").glob("data=*/configuration=*/*.parquet")):
        named = dict(part.split("=", 1) for part in (file.parent.parent.name, file.parent.name))
        try:
            if not all(SAFE_NAME.fullmatch(name) for name in named.values()):
                raise store.DamagedFileError(f"{escape_terminal(file)} lies in a folder that no run makes")
            table = store.read(file, SMALL_TABLE)
            if table is not None:
                frames.append(as_frame(_checked(table, file), file).assign(**named))
        except store.DamagedFileError as damage:
            say(f"{escape_terminal(damage)}: that night is left out of the history")
    if not frames:
        return pd.DataFrame(columns=["data", "configuration", "night", "started", "seed", "trial", "status"])
    return pd.concat(frames, ignore_index=True).sort_values(["started", "night"], kind="stable", ignore_index=True)


def files_of(place: Path, run: str) -> list[Path]:
    """Find what a run added to the history, by its exact name; `run` is compared, and never becomes part of a path.

    Damaged files are left out: which run wrote them cannot be known.
    """
    found = []
    for file in sorted((place / "history").glob("data=*/configuration=*/*.parquet")):
        with suppress(store.DamagedFileError):
            table = store.read(file)
            if table is not None and run in set(table.column("run").to_pylist()):
                found.append(file)
    return found


def remove(place: Path, run: str) -> list[Path]:
    """Take a run out of the history: its files there with their checksums, and nothing else of it.

    Its report in `runs` and its trainings in the cache stay. Of several runs of one name all are removed.

    Args:
        place: The folder of results.
        run: Its exact name.

    Returns:
        The files that were removed; none if no run has that name.
    """
    files = files_of(place, run)
    for file in files:
        file.unlink()
        file.with_name(f"{file.name}.sha256").unlink(missing_ok=True)
    return files


def _checked(table: pa.Table, file: Path) -> pa.Table:
    """Return the rows of a run as `rows` makes them.

    Raises:
        DamagedFileError: Naming what is wrong.
    """
    check_columns(table, COLUMNS, file)
    check_names(table, ("run", "architecture", "trial", "status"), file)
    try:
        for name, kind in TYPES.items():
            table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    except pa.ArrowException as error:
        raise store.DamagedFileError(f"{escape_terminal(file)}: a date or a seed is none") from error
    if any(table[name].null_count for name in TYPES) or set(pc.unique(table["status"]).to_pylist()) - STATUSES:
        raise store.DamagedFileError(f"{escape_terminal(file)}: a date, a seed or a status is missing or unknown")
    if not all(
        _is_manifest(text) for name in MANIFEST if name != "code" for text in pc.unique(table[name]).to_pylist()
    ):
        raise store.DamagedFileError(f"{escape_terminal(file)}: versions, hardware or settings are no JSON objects")
    return table


def _is_manifest(text: str | None) -> bool:
    if text is None or len(text) > LONGEST_MANIFEST:
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def of(past: pd.DataFrame, where: Mapping[str, str]) -> pd.DataFrame:
    """Keep the nights of one data set and configuration."""
    return past[(past[list(where)] == pd.Series(where)).all(axis=1)].reset_index(drop=True)


def fresh(past: pd.DataFrame) -> pd.DataFrame:
    """Keep each trial where it was first seen: what a night found in the cache is no new evidence."""
    return past[past["status"] == "finished"].drop_duplicates("trial").reset_index(drop=True)
