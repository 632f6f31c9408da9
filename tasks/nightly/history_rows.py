"""Rows that a run adds to the history: one per trial."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd

from tasks.evaluation.metrics import METRICS
from tasks.storage.trial_records import NOT_MEASURED, TrialResult, TrialSpec

COSTS = ("train_seconds", "cpu_seconds", "probe_seconds", "parameters", "train_reviews")  # attributes of `TrialResult`


@dataclass(frozen=True)
class HistoryRun:
    """Values that all rows of a run share.

    Attributes:
        name: Name of the run.
        night: Date of the nightly run.
        started: Start time, in UTC.
        new_seeds: Number of seeds that the run added.
        code: Fingerprint of the code of each architecture.
        versions: Versions of Python and of the libraries by name.
        hardware: Properties of the machine by name.
        settings: Parameters of the run by name.
    """

    name: str
    night: date
    started: datetime
    new_seeds: int
    code: Mapping[str, str]
    versions: Mapping[str, object]
    hardware: Mapping[str, object]
    settings: Mapping[str, object]


def build_rows(
    run: HistoryRun, specs: Sequence[TrialSpec], results: Sequence[TrialResult], scores: pd.DataFrame | None
) -> pd.DataFrame:
    """Return what a run adds to the history.

    Args:
        run: Values that all rows share.
        specs: Trials of the run.
        results: Results of those trials that did not fail.
        scores: The table `scores`; None if no trial has predictions.

    Returns:
        One row per trial: run, night, started, new_seeds, architecture, seed, trial (its name in the cache), status
        (finished, diverged or failed), each of `METRICS` on the test split (NaN without predictions), the costs (NaN if
        it failed), relative_seconds (training time divided by the time of the probe, a matrix product), code
        (fingerprint), and versions, hardware and settings (JSON objects).
    """
    by_name = {result.name: result for result in results}
    test_scores = {} if scores is None else _read_test_scores(scores)
    return pd.DataFrame([_build_row(run, spec, by_name.get(spec.name), test_scores) for spec in specs])


def _build_row(
    run: HistoryRun,
    spec: TrialSpec,
    result: TrialResult | None,
    test_scores: Mapping[tuple[str, int, str], float],
) -> dict[str, object]:
    costs = {name: NOT_MEASURED if result is None else float(getattr(result, name)) for name in COSTS}
    metrics = {metric: test_scores.get((spec.architecture, spec.seed, metric), NOT_MEASURED) for metric in METRICS}
    return {
        "run": run.name, "night": run.night, "started": run.started, "new_seeds": run.new_seeds,
        "architecture": spec.architecture, "seed": spec.seed, "trial": spec.name,
        "status": "failed" if result is None else result.status,
        **metrics, **costs, "relative_seconds": costs["train_seconds"] / costs["probe_seconds"],
        "code": run.code.get(spec.architecture, ""),
        "versions": _to_json(run.versions), "hardware": _to_json(run.hardware), "settings": _to_json(run.settings),
    }  # fmt: skip


def _read_test_scores(scores: pd.DataFrame) -> dict[tuple[str, int, str], float]:
    test = scores[scores["split"] == "test"]
    return dict(zip(zip(test["architecture"], test["seed"], test["metric"], strict=True), test["value"], strict=True))


def _to_json(values: Mapping[str, object]) -> str:
    return json.dumps(values, sort_keys=True, default=str)
