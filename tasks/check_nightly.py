"""The task that adds a run to the history and compares it with earlier nightly runs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from prefect import runtime, task
from prefect.artifacts import create_table_artifact
from prefect.events import emit_event
from prefect.logging import get_run_logger

from tasks.config.metric_names import METRIC_NAMES
from tasks.evaluation.metric_record import Metric
from tasks.evaluation.metrics import METRICS
from tasks.execution.prefect_api import ignore_api_errors
from tasks.nightly.history import write_run
from tasks.nightly.history_rows import HistoryRun, build_rows
from tasks.nightly.selection import NightlySelection
from tasks.nightly.trend import list_changes, nightly_tables
from tasks.reporting.nightly_text import format_alarms, format_changes, nightly_table
from tasks.reporting.tabular import table_records
from tasks.statistics.evaluation_tables import Frames
from tasks.statistics.main_metric import main_metric
from tasks.storage.environment import environment_info
from tasks.storage.trial_records import TrialResult, TrialSpec, select_compared
from tasks.training.trial import scores_code_version

EVENT = "imdb-compare.regression"


@task(name="check", task_run_name="check-nights")
def check_nightly(
    selection: NightlySelection,
    specs: Sequence[TrialSpec],
    trials: Sequence[TrialResult],
    frames: Frames,
    settings: Mapping[str, Any],
    started: datetime,
    results: Path,
) -> Frames:
    """Write the run into the history, compare it with earlier nightly runs, and emit an event if it is worse.

    Args:
        selection: Date, seeds and history of the run.
        specs: All trials of the run. Those that are compared are written into the history.
        trials: Results of the trials that did not fail.
        frames: Tables of the evaluation; empty if no network has predictions.
        settings: Parameters of the run by name.
        started: Start of the work, in UTC.
        results: The results folder.

    Returns:
        The tables `nights` and `alarms`.
    """
    compared = select_compared(specs)
    environment, metric = environment_info(), run_metric(frames, settings)
    run = HistoryRun(
        name=runtime.flow_run.name or "run",
        night=selection.night,
        started=started,
        new_seeds=selection.new_seeds,
        code={spec.architecture: scores_code_version(spec.architecture) for spec in compared},
        versions=environment.versions,
        hardware=environment.hardware,
        settings={**settings, "metric": metric.name},
    )
    rows = build_rows(run, compared, trials, frames.get("scores"))
    write_run(results, selection.partition, f"{selection.night}-{runtime.flow_run.id}", rows)
    tables = nightly_tables(selection.extend_history(rows), selection.partition, metric.name)
    _publish(tables, selection, metric)
    if selection.new_seeds and not (tables["alarms"]["night"] == selection.night).any():  # an alarm names it itself
        changes = list_changes(selection.extend_history(rows), selection.partition, selection.night)
        for sentence in format_changes(changes):
            get_run_logger().warning("%s", sentence)
    return tables


def run_metric(frames: Frames, settings: Mapping[str, Any]) -> Metric:
    """Return the main metric of a run; without a comparison the one that was chosen, or the default."""
    chosen = settings.get("metric")
    return METRICS[chosen] if "setup" not in frames and chosen in METRIC_NAMES else main_metric(frames.get("setup"))


def _publish(tables: Frames, selection: NightlySelection, metric: Metric) -> None:
    """Create the artifact of the trend; log the alarms of this run and emit them as an event."""
    with ignore_api_errors(retries=2):
        create_table_artifact(
            table_records(nightly_table(tables, metric.unit).map(str)),
            key="nights",
            description=f"{metric.header('Test')} of the nightly runs",
        )
    alarms = format_alarms(tables["alarms"], selection.night)
    for alarm in alarms:
        get_run_logger().warning("%s", alarm)
    if alarms:
        _emit_regression(selection, alarms)


def _emit_regression(selection: NightlySelection, alarms: list[str]) -> None:
    """Emit the event that starts the deployment of alerts."""
    partition, run = selection.partition, runtime.flow_run
    emit_event(
        event=EVENT,
        resource={
            "prefect.resource.id": f"imdb-compare.history.{partition.data}.{partition.configuration}",
            "prefect.resource.name": f"imdb-compare, nightly run of {selection.night}",
        },
        related=[{"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.role": "flow-run"}],
        payload={"night": str(selection.night), "alarms": alarms, "run": run.name, "run_id": str(run.id)},
    )
