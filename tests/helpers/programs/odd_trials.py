"""What the workers of `run_trials` do instead of training."""

import os
import resource
import signal
import sys
import time

from tasks.config.errors import translate_out_of_memory
from tasks.storage.trial_records import TrialResult, TrialSpec
from tasks.training.loop import OnEpoch
from tests.helpers.trial_records import make_result


class StrangeError(Exception):
    """An exception that cannot be unpickled."""

    def __init__(self, first: str, second: str) -> None:
        """Create the message."""
        super().__init__(first + second)


def load_nothing(gpu: str | None = None) -> None:
    """Replace `prepare_worker`, which takes long."""


def train(spec: TrialSpec, on_epoch: OnEpoch) -> TrialResult:
    """Create a file, die if this attempt has to, and return a result with the process id as number of parameters."""
    count = len(list(spec.folder.glob(spec.name + "-*")))
    (spec.folder / f"{spec.name}-{count}").touch()
    on_epoch(1, {"train_loss": 0.5, "validation_loss": 0.5, "validation_accuracy": 0.5})
    if count < spec.seed:
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGSTOP if spec.name in ("stopped", "hanging") else signal.SIGKILL)
    if spec.name == "left" and count == 0:
        sys.exit(1)
    if spec.name == "wrong":
        raise ValueError("not this one")
    if spec.name == "strange":
        raise StrangeError("not ", "that one")
    if spec.name == "hungry":
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        import numpy as np

        with translate_out_of_memory():
            np.ones(1 << 30)
    return make_result(weights=f"{spec.name}.safetensors", parameters=os.getpid())
