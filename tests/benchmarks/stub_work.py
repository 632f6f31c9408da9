"""What the workers of `stub_trials` do. Workers do not import the main module, so this is a module of its own."""

import time
from typing import Any


def load_nothing(gpu: str | None = None) -> None:
    """Replace `prepare_worker`."""


def sleep(spec: Any, on_epoch: Any) -> Any:
    """Sleep for 10 ms instead of training."""
    time.sleep(0.01)
    return _result(spec)


def return_at_once(spec: Any, on_epoch: Any) -> Any:
    """Return without training."""
    return _result(spec)


def _result(spec: Any) -> Any:
    from tests.helpers.trial_records import make_result

    return make_result(weights=f"{spec.name}.safetensors", seed=spec.seed)
