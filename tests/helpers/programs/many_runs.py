"""Run the command many times, and print a line of JSON about each: OPTIONS OWN COUNT.

OPTIONS is a JSON object. Trials differ in the learning rate: runs with an even number are the same in every process,
the others differ by OWN (a or b).
"""
# ruff: noqa: T201

import json
import subprocess
import sys
import time

if __name__ == "__main__":
    options, own = json.loads(sys.argv[1]), sys.argv[2]
    for number in range(int(sys.argv[3])):
        rate = "0.001" if number % 2 == 0 else {"a": "0.002", "b": "0.003"}[own]
        asked = options | {"--learning-rate": rate, "--seeds": str(1 + number // 5), "--run-name": f"run-{number}"}
        started = time.monotonic()
        words = [word for option in asked.items() for word in option]
        done = subprocess.run(
            [sys.executable, "-m", "flows.imdb_compare", *words], capture_output=True, text=True, check=False
        )
        seconds = round(time.monotonic() - started, 1)
        said = done.stderr[-2000:] if done.returncode else ""
        line = {"own": own, "number": number, "code": done.returncode, "seconds": seconds, "said": said}
        print(json.dumps(line), flush=True)
