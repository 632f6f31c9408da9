"""Setup of Dask workers: the same code and libraries as the run, one trial at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker

from tasks.config.errors import UserError
from tasks.execution.worker import attach_to_parent
from tasks.models.baselines import BASELINES
from tasks.models.registry import ARCHITECTURES
from tasks.storage.fingerprint import code_version
from tasks.training.runtime import prepare_worker
from tasks.training.trial import BASELINE_LIBRARIES, TRIAL_LIBRARIES, code_roots

# A worker has one unit of this resource after its setup. So trials run on prepared workers only, one at a time.
TRIAL_RESOURCE = "imdb-compare-trial"


@dataclass
class WorkerSetup(WorkerPlugin):
    """Prepares each worker that joins the cluster.

    Attributes:
        versions: Versions of the code and libraries of the run, see `trial_versions`.
        parent: Process id of the run if the workers should end with it.
        gpus: GPUs of a cluster that numbers its workers, one for each; empty if workers are already assigned GPUs.
        load: Loads libraries.
    """

    versions: dict[str, str]
    parent: int | None = None
    gpus: Sequence[str] = ()
    load: Callable[..., None] = prepare_worker
    name: str = "imdb-compare"
    idempotent: bool = False

    async def setup(self, worker: Worker) -> None:
        """Prepare one worker.

        Raises:
            UserError: If its code or libraries differ: its trials would be cached under a wrong name.
        """
        own = trial_versions()
        if different := {name: own[name] for name, value in self.versions.items() if own[name] != value}:
            raise UserError(
                f"The Dask worker {worker.address} has other versions than this run: {different}, here "
                f"{ {name: self.versions[name] for name in different} }. Start its workers from the same checkout, "
                "with the packages of requirements.lock."
            )
        if self.parent:
            attach_to_parent(self.parent)
        self.load(gpu=self.gpus[int(worker.name)] if self.gpus else None)
        await worker.set_resources(**{TRIAL_RESOURCE: 1})


def trial_versions() -> dict[str, str]:
    """Return the versions that decide the results of trials in this process: of the code, and of each library."""
    roots = dict.fromkeys(root for name in (*ARCHITECTURES, *BASELINES) for root in code_roots(name))
    libraries = {*TRIAL_LIBRARIES, *BASELINE_LIBRARIES}
    return {"code": code_version(*roots)[:16], **{name: version(name) for name in libraries}}


def call_on_worker(function: Callable[..., Any], arguments: Sequence[Any], call: str, topic: str | None) -> Any:
    """Call a function on a Dask worker.

    Args:
        function: The function.
        arguments: Its positional arguments.
        call: Id of the call.
        topic: If given, the function also receives `on_epoch`, which logs an event with the id on this topic.
    """
    if topic is None:
        return function(*arguments)
    worker = get_worker()

    def on_epoch(epoch: int, scores: dict[str, float]) -> None:
        worker.log_event(topic, {"call": call, "epoch": epoch, "scores": scores})

    return function(*arguments, on_epoch=on_epoch)
