"""Processes watched from outside: how long a command takes, with all it starts, and how much memory each stage holds.

The stages of a run are read from Prefect's database, in which every task run has its beginning and end.
"""

import os
import sqlite3
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.conftest import ROOT
from tests.helpers.runs import processes_of

EVERY_SECONDS = 0.5
# The flow's tasks in their order, by function, and the stage that ends with each.
STAGES = {
    "load": "load",
    "encode": "encode",
    "train": "train",
    "evaluate_trials": "evaluate",
    "check_night": "check",
    "publish": "report",
}

TaskRun = tuple[str, str, float, float]


@dataclass
class Watched:
    """A command that has ended.

    Attributes:
        started: When it began, in seconds since 1970.
        seconds: From its start to its end.
        samples: (time, kind of process, MB resident) now and then of each of its processes; none off Linux.
    """

    started: float
    seconds: float = 0.0
    samples: list[tuple[float, str, float]] = field(default_factory=list)

    def peak_mb(self, kind: str | None = None, start: float = 0, end: float = float("inf")) -> float:
        """Return the most that its processes of a kind held together at one time; what they share counts for each."""
        sums: dict[float, float] = {}
        for moment, which, megabytes in self.samples:
            if start <= moment <= end and kind in (None, which):
                sums[moment] = sums.get(moment, 0) + megabytes
        return max(sums.values(), default=float("nan"))


def watch(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Watched:
    """Run a command to its end.

    Args:
        command: Program and words; it runs in the project's folder.
        log: Where all that it says goes.
        environment: What is added to this process's.

    Raises:
        RuntimeError: If it fails, with the last of what it said.
    """
    marker = f"{log}-{time.monotonic_ns()}"
    given = os.environ | {"IMDB_COMPARE_TEST": marker} | dict(environment or {})
    start, watched = time.perf_counter(), Watched(time.time())
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=said, stderr=said)
        try:
            while process.poll() is None:
                watched.samples += _memory(f"IMDB_COMPARE_TEST={marker}")
                with suppress(subprocess.TimeoutExpired):
                    process.wait(EVERY_SECONDS)
        finally:
            process.kill()
            process.wait()
    watched.seconds = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: …{log.read_text()[-2_000:]}")
    return watched


def _memory(marker: str) -> list[tuple[float, str, float]]:
    now, found = time.time(), []
    for number, kind in processes_of(marker).items():
        with suppress(OSError, StopIteration):
            lines = Path(f"/proc/{number}/status").read_text().splitlines()
            line = next(line for line in lines if line.startswith("VmRSS"))
            found.append((now, kind, int(line.split()[1]) * 1024 / 1e6))
    return found


def task_runs(database: Path) -> list[TaskRun]:
    """Read the latest flow run's task runs from Prefect's database.

    Returns:
        (stage, name of the run, start, end) in seconds since 1970, by start.
    """
    query = """
        SELECT task_key, name, start_time, end_time FROM task_run
        WHERE flow_run_id = (SELECT id FROM flow_run ORDER BY start_time DESC LIMIT 1) ORDER BY start_time
    """
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(query).fetchall()
    return [(STAGES[key.rsplit("-", 1)[0]], name, _seconds(start), _seconds(end)) for key, name, start, end in rows]


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()


def stages(watched: Watched, tasks: Sequence[TaskRun]) -> dict[str, dict[str, float]]:
    """Part the time of a run into stages without a gap: together they take as long as the whole process.

    Training begins where encoding ends: with it counts what the processes that train need to start.

    Args:
        watched: The whole process.
        tasks: Its task runs, as from `task_runs`.

    Returns:
        For start, load, encode, train, evaluate, report and end: seconds, and the most MB that the flow's own process
        and that all processes held then (NaN for a stage too short to be looked at).
    """
    ends = {stage: max(end for which, *_, end in tasks if which == stage) for stage in STAGES.values()}
    bounds = {"start": min(start for *_, start, _ in tasks), **ends, "end": watched.started + watched.seconds}
    result, begin = {}, watched.started
    for stage, end in bounds.items():
        memory = {"flow_mb": watched.peak_mb("flow", begin, end), "all_mb": watched.peak_mb(None, begin, end)}
        result[stage] = {"seconds": end - begin, **memory}
        begin = end
    return result
