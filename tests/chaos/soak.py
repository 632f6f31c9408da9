"""Kill runs at random moments and check what is lost: `python -m tests.chaos.soak [--kills 2]`.

Each of the runs is a tiny comparison with a temporary server. At a random moment a process of it, in turn the flow, one
that trains and the server, is killed as by `kill -9`; a run that is over before that moment is not counted, and
another one is killed sooner in its place. Then the same command runs again, undisturbed. Two go on side by
side (`--together`), each with results and a server of its own: much of the time is waiting. What must hold:

- The exit code is true: 0 with a report, or not 0 with a reason (none where the flow itself was killed).
- What is listed as finished matches its checksum; the second run leaves no temporary file, lock or process behind.
- The second run ends green, with the scores of a run that nobody disturbed, and trains nothing that was finished.

A table of the kills goes to stderr. The last line is JSON: `kills`, `violations` and `retrained_trials`; the exit code
is 1 where something did not hold.
"""

import argparse
import itertools
import json
import random
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
SOONER = 0.7
RUN_SECONDS = 240  # a server that is gone is asked for a while, before a run gives up


@dataclass
class Kill:
    """One kill, and what came of it."""

    victim: str
    second: float
    code: int = 0
    lost_seconds: float = 0.0
    trained_again: int = 0
    violations: list[str] = field(default_factory=list)

    def row(self, number: int) -> str:
        """Write a line of the table."""
        trials = (f"{number:>4}", f"{self.victim:<7}", f"{self.second:>8.1f}", f"{self.code:>5}")
        lost = (f"{self.lost_seconds:>10.1f}", f"{self.trained_again:>9}")
        return "  ".join([*trials, *lost, "; ".join(self.violations) or "ok"])


HEAD = "kill  victim   second s   exit  again in s  retrained  oracle"


def soak(kills: int, seed: int, folder: Path, together: int) -> list[Kill]:
    """Kill `kills` runs, each in a folder of its own, and return what came of each; the table grows on stderr."""
    rng = random.Random(seed)
    options = TINY | {"--seeds": "2", "--data": str(tiny_reviews(folder / "tiny.csv"))}
    homes: SimpleQueue[Mapping[str, str]] = SimpleQueue()
    with ThreadPoolExecutor(together) as pool:
        lanes = [folder / f"quiet-{number}" for number in range(together)]
        quiet, seconds = list(pool.map(lambda lane: undisturbed(options, lane, home(lane)), lanes))[-1]
        print(f"An undisturbed run takes {seconds:.0f} s.\n{HEAD}", file=sys.stderr)  # noqa: T201
        for lane in lanes:
            homes.put(home(lane))

        def one(number: int, victim: str, moment: float) -> Kill:
            lane = homes.get()
            found = Kill("none", moment)
            for attempt in itertools.count():  # a run that was over before its moment came is not one that was killed
                results = folder / f"{number}-{attempt}"
                asked, earlier = options | {"--results": str(results)}, moment * SOONER**attempt
                found = one_kill(asked, results, lane, victim, earlier, quiet)
                if found.victim != "none" or found.violations:
                    break
            homes.put(lane)
            print(found.row(number), file=sys.stderr)  # noqa: T201
            return found

        drawn = [(VICTIMS[number % len(VICTIMS)], rng.uniform(0.05, 0.95) * seconds) for number in range(kills)]
        return list(pool.map(one, range(1, kills + 1), *zip(*drawn, strict=True)))


def home(lane: Path) -> dict[str, str]:
    """Return the environment of the runs of a lane: no server from elsewhere, and a database of their own."""
    return {"PREFECT_API_URL": "", "PREFECT_HOME": str(lane / "prefect")}


def undisturbed(options: dict[str, str], lane: Path, home: Mapping[str, str]) -> tuple[pd.DataFrame, float]:
    """Run to the end, twice, for the first run also makes the server's database; return scores and seconds."""
    for again in ("first", "second"):
        started = time.monotonic()
        run = runs.start(options | {"--results": str(lane / again)}, lane / again / "said", home)
        assert run.process.wait(timeout=RUN_SECONDS) == 0, run.said
    return runs.scores(lane / "second"), time.monotonic() - started


def one_kill(
    options: dict[str, str], results: Path, home: Mapping[str, str], victim: str, moment: float, quiet: pd.DataFrame
) -> Kill:
    """Run, kill one process of the run at `moment` (s), run again, and hold both against what must be."""
    run = runs.start(options, results / "said", home)
    killed = kill_one(run, victim, moment)
    killed.code = ending(run, killed)
    killed.violations += untrue(run, killed) + left_alive(run)
    killed.violations += [flaw for flaw in runs.flaws(results) if "checksum" in flaw]
    before = runs.trials(results)
    started = time.monotonic()
    again = runs.start(options, results / "said", home)
    if ending(again, killed) != 0:
        killed.violations.append(f"the second run ended with {again.process.returncode}: {again.said[-300:]!r}")
        return killed
    killed.lost_seconds = time.monotonic() - started
    killed.trained_again = len(before.items() - runs.trials(results).items())
    killed.violations += ["finished trials were trained again"] * bool(killed.trained_again)
    killed.violations += left_alive(again) + runs.flaws(results)
    killed.violations += ["the scores are others"] * (not runs.scores(results).equals(quiet))
    return killed


def kill_one(run: runs.Run, victim: str, moment: float) -> Kill:
    """Wait until `moment` (s), then kill the victim as soon as there is one; the run may end before.

    Where the last process that trained has ended by then, the flow is killed in its place.
    """
    started, seen = time.monotonic(), False
    while run.process.poll() is None:
        second = time.monotonic() - started
        living = {kind: number for number, kind in run.living().items()}
        seen = seen or victim in living
        target = "flow" if seen and victim not in living else victim
        if second >= moment and target in living:
            kill(living[target], signal.SIGKILL)
            return Kill(target, second)
        time.sleep(0.02)
    return Kill("none", time.monotonic() - started)


def ending(run: runs.Run, killed: Kill, seconds: float = RUN_SECONDS) -> int:
    """Wait for a run's end and return its exit code; not to end is a violation, and then it is ended here."""
    with suppress(subprocess.TimeoutExpired):
        return run.process.wait(timeout=seconds)
    killed.violations.append(f"no end within {seconds} s: {run.said[-300:]!r}")
    for process in run.living():
        kill(process, signal.SIGKILL)
    return run.process.wait()


def untrue(run: runs.Run, killed: Kill) -> list[str]:
    """Say where an exit code is not what happened."""
    reported = "\nReport: " in run.said
    if killed.victim == "flow":
        return [] if killed.code == -signal.SIGKILL else [f"exit code {killed.code} of a killed run"]
    if killed.code == 0:
        return [] if reported else ["exit code 0 without a report"]
    if killed.victim != "server":
        return [f"exit code {killed.code}: {run.said[-300:]!r}"]
    return [] if "Prefect" in run.said.splitlines()[-1] else [f"no reason at the end: {run.said[-300:]!r}"]


def left_alive(run: runs.Run, seconds: float = 5) -> list[str]:
    """Say which processes of an ended run live on."""
    deadline = time.monotonic() + seconds
    while run.living() and time.monotonic() < deadline:
        time.sleep(0.1)
    return [f"a process of the {kind} lives on" for kind in run.living().values()]


def main() -> int:
    """Soak, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="how many runs to kill (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parser.add_argument("--together", type=int, default=2, help="how many runs go on side by side (default: 2)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        found = soak(asked.kills, asked.seed, Path(folder), asked.together)
    violations = [violation for each in found for violation in each.violations]
    retrained = sum(each.trained_again for each in found)
    print(json.dumps({"kills": len(found), "violations": violations, "retrained_trials": retrained}))  # noqa: T201
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
