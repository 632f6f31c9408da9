"""Finished runs in a results directory that refer to trials, without a comparison."""

import json
from collections.abc import Sequence
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
