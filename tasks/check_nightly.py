"""The task that adds a run to the history and compares it with earlier nightly runs."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import runtime, task
from prefect.artifacts import create_table_artifact
from prefect.events import emit_event
from prefect.logging import get_run_logger

from tasks.execution.prefect_api import doing_without_server
from tasks.nightly import history
from tasks.nightly.selection import Call, Night
from tasks.nightly.trend import night_frames
from tasks.reporting.nightly_text import alarms_in_words, night_table
from tasks.reporting.tabular import table_records
from tasks.statistics.frames import Frames
from tasks.storage.environment import surroundings
from tasks.training.trial import made_by

EVENT = "imdb-compare.regression"


@task(name="check", task_run_name="check-nights")
def check_night(
    night: Night,
    asked: list[Call],
    trials: list[dict[str, Any]],
    scores: pd.DataFrame | None,
    settings: Mapping[str, Any],
    started: datetime,
    place: Path,
) -> Frames:
    """Write the run into the history, hold tonight against the nights before, and raise the alarm where it is worse.

    Args:
        night: Tonight.
        asked: The calls of `train` that there were.
        trials: The facts of those trials that there are.
        scores: The frame scores; None where nothing could be scored.
        settings: All parameters of the run.
        started: When it began to work.
        place: The folder of results.

    Returns:
        The frames nights and alarms.
    """
    whole = max(call["fraction"] for call in asked)
    compared = [call for call in asked if call["fraction"] == whole]
    code = {call["architecture"]: made_by(call["architecture"]) for call in compared}
    run = {"run": runtime.flow_run.name, "night": night.date, "started": started, "new_seeds": night.new_seeds}
    rows = history.rows(compared, trials, scores, {**surroundings(), "code": code, "settings": settings}, **run)
    history.append(place, night.where, f"{night.date}-{runtime.flow_run.id}", rows)
    past = pd.concat([night.past, rows.assign(**night.where)], ignore_index=True)
    frames = night_frames(past[past["night"] <= night.date].reset_index(drop=True), night.where)
    tell(frames, night)
    return frames


def tell(frames: Frames, night: Night) -> None:
    """Put the nights on Prefect's page, and emit an event where tonight is worse."""
    logger = get_run_logger()
    with doing_without_server(logger.warning, retries=2):
        create_table_artifact(
            table_records(night_table(frames).map(str)), key="nights", description="Test accuracy (%), night by night"
        )
    words = alarms_in_words(frames["alarms"], night.date)
    if not words:
        return
    for sentence in words:
        logger.warning("%s", sentence)
    name = f"imdb-compare.history.{night.where['data']}.{night.where['configuration']}"
    emit_event(
        event=EVENT,
        resource={"prefect.resource.id": name, "prefect.resource.name": f"imdb-compare, night of {night.date}"},
        related=[
            {"prefect.resource.id": f"prefect.flow-run.{runtime.flow_run.id}", "prefect.resource.role": "flow-run"}
        ],
        payload={
            "night": str(night.date),
            "alarms": words,
            "run": runtime.flow_run.name,
            "run_id": str(runtime.flow_run.id),
        },
    )
