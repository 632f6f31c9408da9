"""Create the application of a server as soon as a file exists: `create_server FILE`."""

import sys
import time
from pathlib import Path

import prefect.server.api.server  # noqa: F401  before the wait, so that several processes go on at the same time

from flows.server.guard import create_application

print("ready", flush=True)  # noqa: T201
while not Path(sys.argv[1]).exists():
    time.sleep(0.001)
create_application()
