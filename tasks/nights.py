"""Nights: the newest of several late ones alone runs; each adds its seeds, its line of history, and is checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pandas as pd
from prefect import runtime, task
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events import emit_event
from prefect.logging import get_run_logger
from prefect.states import Completed

from tasks import history
from tasks.architectures import builder
from tasks.baselines import BASELINES
from tasks.cells import make_baseline, make_cell
from tasks.code_version import code_version
from tasks.encoding import encode
from tasks.export import table_records
from tasks.preparation import doing_without_server
from tasks.publication import surroundings
from tasks.results import Frames
from tasks.training import fit, predict
from tasks.trend import alarms_in_words, night_frames, night_table

Call = dict[str, Any]
EVENT = "imdb-compare.regression"


def passed_over() -> Any:
    """Return the state in which a flow ends at once if a newer night is due, or None where it should run.

    The deployment runs one at a time and lets the others wait, so that after a week without a worker seven
    nights would follow one another.
    """
    newer = newer_night(UUID(str(runtime.flow_run.id))) if runtime.deployment.id else None
    if newer is None:
        return None
    return Completed(name="Skipped", message=f"The night of {newer:%Y-%m-%d %H:%M} UTC is due, too, and runs instead.")


def newer_night(run: UUID) -> datetime | None:
    """Return the time of the newest scheduled run of the same deployment that is due, if it is newer than this run.

    A run that a person asked for is never passed over, and passes over none: its parameters may be others.
    """
    with get_client(sync_client=True) as client:
        this = client.read_flow_run(run)
        if not this.auto_scheduled or this.deployment_id is None or this.expected_start_time is None:
            return None
        waiting = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=[this.deployment_id]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
                expected_start_time=FlowRunFilterExpectedStartTime(
                    after_=this.expected_start_time,
                    before_=datetime.now(UTC),  # type: ignore[arg-type]  # pydantic makes one of Prefect's
                ),
            ),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        )
    times = (other.expected_start_time for other in waiting if other.auto_scheduled and other.id != run)
    return next((time for time in times if time and time > this.expected_start_time), None)


@dataclass(frozen=True)
class Night:
    """One night: its date, how many seeds of its own it has beside the first `seeds`, and the nights before it."""

    date: date
    seeds: int
    new_seeds: int
    where: dict[str, str]
    past: pd.DataFrame

    @classmethod
    def of(cls, asked: Any, fingerprint: str, place: Path) -> "Night":
        """Read the history.

        Args:
            asked: The run's `Parameters`.
            fingerprint: Of the reviews.
            place: The folder of results.
        """
        where = history.partition(fingerprint, asked.recipe(), max(asked.train_fractions))
        past = history.read(place, get_run_logger().warning)
        return cls(asked.night or due_date(), asked.seeds, asked.new_seeds, where, past)

    def calls(self, planned: Callable[[Sequence[int]], list[Call]]) -> list[Call]:
        """List what to train or find: the first seeds, tonight's, and what nights before have left in the cache.

        Args:
            planned: Gives the calls of `train` for seeds.
        """
        own = history.seeds_of(self.date, self.new_seeds)
        kept = history.kept_cells(history.of(self.past, self.where), self.date) if own else {}
        calls = planned([*range(self.seeds), *sorted(set(kept.values())), *own])
        whole = max(call["fraction"] for call in calls)
        return [
            call for call in calls
            if call["seed"] < self.seeds
            or (call["fraction"] == whole and (call["seed"] in own or call["name"] in kept))
        ]  # fmt: skip

    def missing(self, asked: Sequence[Call], scores: pd.DataFrame) -> list[str]:
        """Name the new cells of tonight that have no score."""
        scored = set(zip(scores["architecture"], scores["seed"], strict=True))
        own = history.seeds_of(self.date, self.new_seeds)
        new = (call for call in asked if call["seed"] in own)
        return [call["cell"] for call in new if (call["architecture"], call["seed"]) not in scored]


def due_date() -> date:
    """Return the date on which the run was due, by the clock of its deployment's schedule, or else in UTC."""
    due = runtime.flow_run.scheduled_start_time or datetime.now(UTC)
    zone = "UTC"
    if runtime.deployment.id:
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment(UUID(str(runtime.deployment.id)))
        zones = (getattr(each.schedule, "timezone", None) for each in deployment.schedules)
        zone = next((each for each in zones if each), zone)
    return due.astimezone(ZoneInfo(zone)).date()


def made_by(architecture: str) -> str:
    """Fingerprint the code that makes the cells of an architecture or baseline."""
    if architecture in BASELINES:
        return code_version(BASELINES[architecture], make_baseline)
    return code_version(builder(architecture), make_cell, fit, predict, encode)


@task(name="check", task_run_name="check-nights")
def check_night(
    night: Night,
    asked: list[Call],
    cells: list[dict[str, Any]],
    scores: pd.DataFrame | None,
    settings: Mapping[str, Any],
    started: datetime,
    place: Path,
) -> Frames:
    """Write the run into the history, hold tonight against the nights before, and raise the alarm where it is worse.

    Args:
        night: Tonight.
        asked: The calls of `train` that there were.
        cells: The facts of those cells that there are.
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
    rows = history.rows(compared, cells, scores, {**surroundings(), "code": code, "settings": settings}, **run)
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
