"""Finished runs in a results directory that refer to trials, without a comparison."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd

from tasks.storage import store
from tasks.storage.backends import storage_of
from tasks.storage.layout import cache_dir, run_dir, run_table
from tasks.storage.trials import store_trial
from tests.helpers.report_inputs import make_run_info
from tests.helpers.trial_records import make_trial

VOCABULARY = f"vocabulary-{'a' * 16}.parquet"


def trial_name(seed: int) -> str:
    """Return the name of the trial with a seed."""
    return f"lstm-seed-{seed}-{seed:016x}"


def add_trial(results: Path, seed: int) -> str:
    """Store a small trial, and return its name."""
    store_trial(cache_dir(results), trial_name(seed), make_trial(seed=seed))
    return trial_name(seed)


def add_run(
    results: Path, name: str, started: datetime, trials: Sequence[str], vocabulary: str | None = VOCABULARY
) -> Path:
    """Store a run directory that refers to trials, let `latest` point to it, and return it."""
    folder = run_dir(results, name)
    info = make_run_info(run_name=name, started=f"{started:%Y-%m-%d %H:%M:%S UTC}", vocabulary=vocabulary)
    table = pd.DataFrame({"architecture": "lstm", "weights": [f"{trial}.safetensors" for trial in trials]})
    storage = storage_of(results)
    storage.write({run_table(folder, "trials"): store.parquet(table)})
    storage.write({folder / "run.json": json.dumps(info.model_dump(mode="json")).encode()})
    storage.set_latest(results, f"runs/{name}")
    return folder


def add_comparison(results: Path, name: str, frames: Mapping[str, pd.DataFrame], **info: object) -> Path:
    """Store a run directory with the tables that later commands read, and return it.

    Args:
        results: The results folder.
        name: Name of the run.
        frames: Tables from `tests.helpers.synthetic.make_frames`.
        info: Changed fields of run.json.
    """
    folder, storage = run_dir(results, name), storage_of(results)
    trials = frames["trials"].assign(
        weights=[
            f"{row.architecture}-seed-{row.seed}-{row.seed:016x}.safetensors" for row in frames["trials"].itertuples()
        ]
    )
    calibration = trials[["architecture", "seed"]].assign(temperature=1.0, threshold=0.5)
    tables = {**frames, "trials": trials, "calibration": calibration}
    for table in ("predictions", "trials", "scores", "calibration"):
        storage.write({run_table(folder, table): store.parquet(tables[table])})
    record = make_run_info(run_name=name, vocabulary=VOCABULARY, **info)
    storage.write({folder / "run.json": json.dumps(record.model_dump(mode="json")).encode()})
    storage.set_latest(results, f"runs/{name}")
    return folder
