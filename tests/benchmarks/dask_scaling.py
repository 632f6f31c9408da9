"""Measure the efficiency of two Dask workers compared with one: `python -m tests.benchmarks.dask_scaling --repeats 3`.

Each run is the flow with `--engine dask` on the bundled reviews and an empty cache. Runs with one and with two workers
alternate. The training phase lasts from the first trial, when the workers have loaded TensorFlow, to the end of the
last one. The last line is JSON: seconds of each training phase, and median, minimum and maximum of the efficiency (1
means that two workers are twice as fast).
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime

from tests.conftest import ROOT

UP = re.compile(r"([\d:.]+) \| .* trials are in the cache; training ")
DONE = re.compile(r"([\d:.]+) \| .*- (\d+) of \2 trainings done")


def training_seconds(workers: int, options: list[str]) -> float:
    """Run the flow with an empty cache and return the seconds of its training phase."""
    with tempfile.TemporaryDirectory() as results:
        asked = ["--engine", "dask", "--workers", str(workers), "--results", results, *options]
        run = [sys.executable, "-m", "flows.imdb_compare", *asked]
        said = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stderr
    times = [pattern.search(said)[1] for pattern in (UP, DONE)]
    up, done = (datetime.strptime(time, "%H:%M:%S.%f") for time in times)
    return (done - up).total_seconds() % 86_400


def main() -> None:
    """Measure and print the efficiency."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=8, help="number of trials of the LSTM")
    parser.add_argument("--epochs", type=int, default=2, help="epochs of each trial, which then takes about 20 seconds")
    asked = parser.parse_args()
    options = ["--data", "bundled", "--architectures", "lstm", "--seeds", str(asked.seeds)]
    options += ["--epochs", str(asked.epochs), "--patience", str(asked.epochs)]
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for repeat in range(asked.repeats):
        for workers in (1, 2) if repeat % 2 == 0 else (2, 1):
            seconds[workers].append(training_seconds(workers, options))
            print(f"{workers} workers: {seconds[workers][-1]:.1f} s", file=sys.stderr)  # noqa: T201
    found = [one / (2 * two) for one, two in zip(seconds[1], seconds[2], strict=True)]
    spread = {"efficiency": statistics.median(found), "lowest": min(found), "highest": max(found)}
    print(json.dumps({**spread, "seconds_1": seconds[1], "seconds_2": seconds[2]}))  # noqa: T201


if __name__ == "__main__":
    main()
