"""Store a trial named `x` and kill this process in place of the rename with this number: FOLDER NUMBER."""

import os
import signal
import sys
from pathlib import Path

from tasks.storage.trials import store_trial
from tests.helpers.trial_records import make_trial

rename, renames = Path.replace, []


def rename_or_die(self: Path, target: Path) -> Path:
    if len(renames) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    renames.append(target)
    return rename(self, target)


if __name__ == "__main__":
    Path.replace = rename_or_die
    store_trial(Path(sys.argv[1]), "x", make_trial())
