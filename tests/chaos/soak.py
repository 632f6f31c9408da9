"""Kill runs at random moments and check the consequences: `python -m tests.chaos.soak [--kills 20]`.

Each run is a tiny comparison with a temporary server. At a random moment one of its processes (in turn the flow, a
worker process and the server) is killed as by `kill -9`. A run that ends before that moment is not counted; another
one is killed sooner instead. Then the same command runs again without a kill. Two runs are executed at the same time
(`--parallel`), each with its own results and server, because much of the time is waiting. The rules:

- The exit code is correct: 0 with a report, or another one with a reason (none if the flow itself was killed).
- Files that are listed as finished match their checksums. The second run leaves no partial file, lock or process.
- The second run succeeds with the scores of an undisturbed run, and does not train finished trials again.

A table of the kills is written to stderr. The last line of stdout is JSON: `kills`, `violations` and
`retrained_trials`. The exit code is 1 if a rule is violated.
"""

import argparse
import itertools
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from os import kill
from pathlib import Path
from queue import SimpleQueue

import pandas as pd

from tests.conftest import TINY, tiny_reviews
from tests.helpers import runs

VICTIMS = ("flow", "worker", "server")
SOONER = 0.7  # factor of the moment, if the run ended before
TIMEOUT_SECONDS = 240  # a run sends requests to a lost server for a while before it fails

Environment = Mapping[str, str]


@dataclass
class Kill:
    """A killed run and its consequences.

    Attributes:
        victim: Kind of the killed process; `none` if the run ended before.
        second: Time of the kill, in seconds since the start of the run.
        code: Exit code of the killed run.
        resume_seconds: Duration of the second run.
        retrained: Number of finished trials that were trained again.
        violations: Rules that were violated.
    """

    victim: str
    second: float
    code: int = 0
    resume_seconds: float = 0.0
    retrained: int = 0
    violations: list[str] = field(default_factory=list)

    def format_row(self, number: int) -> str:
        """Return the kill as a row of the table."""
        killed = (f"{number:>4}", f"{self.victim:<7}", f"{self.second:>8.1f}", f"{self.code:>5}")
        resumed = (f"{self.resume_seconds:>10.1f}", f"{self.retrained:>9}")
        return "  ".join([*killed, *resumed, "; ".join(self.violations) or "ok"])


HEAD = "kill  victim   second s   exit   resumed s  retrained  result"


def soak(kills: int, seed: int, folder: Path, parallel: int) -> list[Kill]:
    """Kill runs, each in its own folder, and print a row of the table after each.

    Args:
        kills: Number of runs to kill.
        seed: Seed of the random moments.
        folder: Folder for data, results and databases.
        parallel: Number of runs at the same time.
    """
    rng = random.Random(seed)
    options = TINY | {"--seeds": "2", "--data": str(tiny_reviews(folder / "tiny.csv"))}
    homes = [folder / f"undisturbed-{number}" for number in range(parallel)]
    idle: SimpleQueue[Environment] = SimpleQueue()
    with ThreadPoolExecutor(parallel) as pool:
        scores, seconds = list(pool.map(lambda home: run_undisturbed(options, home), homes))[-1]
        print(f"An undisturbed run takes {seconds:.0f} s.\n{HEAD}", file=sys.stderr)  # noqa: T201
        for home in homes:
            idle.put(own_prefect(home))

        def run_one(number: int, victim: str, moment: float) -> Kill:
            environment = idle.get()
            found = kill_until_hit(options, folder / str(number), environment, victim, moment, scores)
            idle.put(environment)
            print(found.format_row(number), file=sys.stderr)  # noqa: T201
            return found

        drawn = [(VICTIMS[number % len(VICTIMS)], rng.uniform(0.05, 0.95) * seconds) for number in range(kills)]
        return list(pool.map(run_one, range(1, kills + 1), *zip(*drawn, strict=True)))


def own_prefect(home: Path) -> dict[str, str]:
    """Return the environment of a run with a temporary server and a database in `home`."""
    return {"PREFECT_API_URL": "", "PREFECT_HOME": str(home / "prefect")}


def run_undisturbed(options: dict[str, str], home: Path) -> tuple[pd.DataFrame, float]:
    """Run twice without a kill, and return scores and seconds of the second run.

    The first run also creates the database of the server.
    """
    for name in ("first", "second"):
        started = time.monotonic()
        run = runs.start(options | {"--results": str(home / name)}, home / name / "output", own_prefect(home))
        assert run.process.wait(timeout=TIMEOUT_SECONDS) == 0, run.output
    return runs.read_scores(home / "second"), time.monotonic() - started


def kill_until_hit(
    options: dict[str, str], folder: Path, environment: Environment, victim: str, moment: float, expected: pd.DataFrame
) -> Kill:
    """Repeat with sooner moments until a run was killed or violated a rule."""
    for attempt in itertools.count():
        results = folder.with_name(f"{folder.name}-{attempt}")
        asked = options | {"--results": str(results)}
        found = kill_and_resume(asked, results, environment, victim, moment * SOONER**attempt, expected)
        if found.victim != "none" or found.violations:
            return found
    raise AssertionError


def kill_and_resume(
    options: dict[str, str], results: Path, environment: Environment, victim: str, moment: float, expected: pd.DataFrame
) -> Kill:
    """Run, kill one process of the run at `moment` (s), run again, and check both runs."""
    run = runs.start(options, results / "output", environment)
    killed = kill_process(run, victim, moment)
    killed.code = wait_for_end(run, killed)
    killed.violations += check_exit_code(run, killed) + find_remaining(run)
    killed.violations += [violation for violation in runs.find_violations(results) if "checksum" in violation]
    before = runs.finished_trials(results)
    started = time.monotonic()
    again = runs.start(options, results / "output", environment)
    if wait_for_end(again, killed) != 0:
        killed.violations.append(f"exit code {again.process.returncode} of the second run: {again.output[-300:]!r}")
        return killed
    killed.resume_seconds = time.monotonic() - started
    killed.retrained = len(before.items() - runs.finished_trials(results).items())
    killed.violations += ["finished trials were trained again"] * bool(killed.retrained)
    killed.violations += find_remaining(again) + runs.find_violations(results)
    killed.violations += ["the scores are different"] * (not runs.read_scores(results).equals(expected))
    return killed


def kill_process(run: runs.Run, victim: str, moment: float) -> Kill:
    """Wait until `moment` (s), then kill the victim as soon as it exists, unless the run ends before.

    If the last worker process has ended by then, the flow is killed instead.
    """
    started, seen = time.monotonic(), False
    while run.process.poll() is None:
        second = time.monotonic() - started
        living = {kind: number for number, kind in run.living_processes().items()}
        seen = seen or victim in living
        target = "flow" if seen and victim not in living else victim
        if second >= moment and target in living:
            kill(living[target], signal.SIGKILL)
            return Kill(target, second)
        time.sleep(0.02)
    return Kill("none", time.monotonic() - started)


def wait_for_end(run: runs.Run, killed: Kill, seconds: float = TIMEOUT_SECONDS) -> int:
    """Wait for the end of a run and return its exit code.

    A run that does not end within `seconds` is a violation, and is killed.
    """
    with suppress(subprocess.TimeoutExpired):
        return run.process.wait(timeout=seconds)
    killed.violations.append(f"no end within {seconds} s: {run.output[-300:]!r}")
    for process in run.living_processes():
        kill(process, signal.SIGKILL)
    return run.process.wait()


def check_exit_code(run: runs.Run, killed: Kill) -> list[str]:
    """Return the violations if the exit code does not agree with what happened to the run."""
    reported = "\nReport: " in run.output
    if killed.victim == "flow":
        return [] if killed.code == -signal.SIGKILL else [f"exit code {killed.code} of a killed run"]
    if killed.code == 0:
        return [] if reported else ["exit code 0 without a report"]
    if killed.victim != "server":
        return [f"exit code {killed.code}: {run.output[-300:]!r}"]
    # The reason is one message of several lines if the server ended while it started.
    reason = "\n".join(run.output.splitlines()[-4:])
    return [] if re.search("Prefect(?:'s)? server", reason) else [f"no reason at the end: {run.output[-300:]!r}"]


def find_remaining(run: runs.Run, seconds: float = 5) -> list[str]:
    """Return a violation for each process that is alive `seconds` after the end of its run."""
    deadline = time.monotonic() + seconds
    while run.living_processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    return [f"a process of kind {kind} is still alive" for kind in run.living_processes().values()]


def main() -> int:
    """Kill runs as the command line asks, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="number of runs to kill (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments (default: 0)")
    parser.add_argument("--parallel", type=int, default=2, help="number of runs at the same time (default: 2)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        found = soak(asked.kills, asked.seed, Path(folder), asked.parallel)
    violations = [violation for each in found for violation in each.violations]
    retrained = sum(each.retrained for each in found)
    print(json.dumps({"kills": len(found), "violations": violations, "retrained_trials": retrained}))  # noqa: T201
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
