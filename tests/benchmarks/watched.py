"""Duration, processor time and memory of a command with all its child processes, and of the stages of a run.

The stages are read from Prefect's database, which contains start and end of every task run.
"""

import os
import resource
import sqlite3
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tests.conftest import ROOT
from tests.helpers.runs import find_processes

EVERY_SECONDS = 0.5
# Stage that ends with each task of the flow, in order, by name of the task function.
STAGES = {
    "load": "load",
    "encode": "encode",
    "train": "train",
    "evaluate_trials": "evaluate",
    "check_nightly": "check",
    "plot": "report",
    "publish": "report",
}

TaskRun = tuple[str, str, float, float]


@dataclass
class Watched:
    """Measurements of a command.

    Attributes:
        started: Start, in seconds since 1970.
        seconds: Duration.
        cpu_seconds: Processor time of all its processes.
        samples: (time, kind of process, MB) of each process at regular intervals; empty if not on Linux. Memory that
            processes share is divided among them (proportional set size).
        cpu: (time, kind of process, process id, processor time so far in s), at the same moments.
    """

    started: float
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    samples: list[tuple[float, str, float]] = field(default_factory=list)
    cpu: list[tuple[float, str, int, float]] = field(default_factory=list)

    def peak_mb(self, kind: str | None = None, start: float = 0, end: float = float("inf")) -> float:
        """Return the maximum memory (MB) of the processes of a kind together."""
        sums: dict[float, float] = {}
        for moment, which, megabytes in self.samples:
            if start <= moment <= end and kind in (None, which):
                sums[moment] = sums.get(moment, 0) + megabytes
        return max(sums.values(), default=float("nan"))

    def cpu_between(self, kind: str, start: float, end: float) -> float:
        """Return the processor time (s) of the processes of a kind between two moments (seconds since 1970)."""
        processes = {number for _, which, number, _ in self.cpu if which == kind}
        return sum(self._cpu_until(number, end) - self._cpu_until(number, start) for number in processes)

    def _cpu_until(self, process: int, moment: float) -> float:
        """Interpolate the processor time of a process; 0 before its first sample, its last value after the last."""
        times, values = zip(*((when, used) for when, _, number, used in self.cpu if number == process), strict=True)
        return float(np.interp(moment, times, values, left=0))


def watch(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None, folder: Path = ROOT
) -> Watched:
    """Run a command, and return its duration and the memory of its processes.

    Args:
        command: Program and arguments.
        log: File for the output.
        environment: Additional environment variables.
        folder: Working directory.

    Raises:
        RuntimeError: If the exit code is not 0; with the end of the output.
    """
    marker = f"{log}-{time.monotonic_ns()}"
    given = os.environ | {"IMDB_COMPARE_TEST": marker} | dict(environment or {})
    start, cpu_start, watched = time.perf_counter(), _children_cpu_seconds(), Watched(time.time())
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, env=given, stdout=said, stderr=said)
        try:
            while process.poll() is None:
                _add_samples(watched, f"IMDB_COMPARE_TEST={marker}")
                with suppress(subprocess.TimeoutExpired):
                    process.wait(EVERY_SECONDS)
        finally:
            process.kill()
            process.wait()
    watched.seconds, watched.cpu_seconds = time.perf_counter() - start, _children_cpu_seconds() - cpu_start
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: …{log.read_text()[-2_000:]}")
    return watched


def _children_cpu_seconds() -> float:
    """Return the processor time of all child processes that have ended, and of their children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _add_samples(watched: Watched, marker: str) -> None:
    now = time.time()
    for number, kind in find_processes(marker).items():
        with suppress(OSError, StopIteration):
            times = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
            watched.cpu.append((now, kind, number, sum(map(int, times)) / os.sysconf("SC_CLK_TCK")))
            lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
            line = next(line for line in lines if line.startswith("Pss:"))
            watched.samples.append((now, kind, int(line.split()[1]) * 1024 / 1e6))


def task_runs(database: Path) -> list[TaskRun]:
    """Read the task runs of the latest flow run from Prefect's database.

    Returns:
        (stage, name of the task run, start, end) in seconds since 1970, ordered by start.
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
    """Divide the duration of a run into stages without gaps.

    Training starts at the end of encoding: it includes the start of the worker processes.

    Args:
        watched: The whole process.
        tasks: Its task runs, from `task_runs`.

    Returns:
        For start, load, encode, train, evaluate, check, report and end: `seconds`, and the maximum memory of the flow's
        process (`flow_mb`) and of all processes (`all_mb`), NaN for a stage without a sample.
    """
    ends = {stage: max(end for which, *_, end in tasks if which == stage) for stage in STAGES.values()}
    bounds = {"start": min(start for *_, start, _ in tasks), **ends, "end": watched.started + watched.seconds}
    result, begin = {}, watched.started
    for stage, end in bounds.items():
        memory = {"flow_mb": watched.peak_mb("flow", begin, end), "all_mb": watched.peak_mb(None, begin, end)}
        result[stage] = {"seconds": end - begin, **memory}
        begin = end
    return result
