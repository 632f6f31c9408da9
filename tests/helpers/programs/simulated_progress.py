"""A run that only reports events: `simulated_progress finish|wait [--no-progress]`."""

import logging
import subprocess
import sys
import time

from flows.cli.console import print_error, print_output
from flows.cli.live_display import live_display
from tasks.execution.progress import EpochFinished, TrialFinished, TrialsPlanned, TrialStarted, report_event


def simulate(wait: bool) -> None:
    """Report the events of a run, with messages of a logger, of this process and of a child process."""
    report_event(TrialsPlanned(3, 1))
    report_event(TrialStarted("lstm-seed-0", 3))
    time.sleep(0.6)  # so that it is drawn
    report_event(EpochFinished("lstm-seed-0", 1, 3, 0.6, 0.6, 0.7))
    if wait:
        time.sleep(60)
    logging.getLogger("tasks.models").warning("a warning of a logger")
    print_error("printed on stderr")
    subprocess.run([sys.executable, "-c", "import os; os.write(2, b'a\\x07b of a child\\n')"], check=True)
    report_event(TrialFinished("lstm-seed-0", "trained"))
    time.sleep(0.6)


if __name__ == "__main__":
    try:
        with live_display("--no-progress" not in sys.argv):
            simulate("wait" in sys.argv)
    except KeyboardInterrupt:
        print_output("interrupted")
        sys.exit(130)
    print_output("summary")
