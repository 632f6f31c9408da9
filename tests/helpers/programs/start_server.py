"""Start a Prefect server, print its process id and wait for a minute."""

import time

from flows.server.lifecycle import server_process

if __name__ == "__main__":
    with server_process(0) as process:
        print(process.pid, flush=True)  # noqa: T201
        time.sleep(60)
