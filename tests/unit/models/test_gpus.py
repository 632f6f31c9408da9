"""GPUs: no machine of the tests has one, so the devices are made up, and TensorFlow with them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.models import gpus
from tests.conftest import ROOT

# A TensorFlow that sees as many GPUs as CUDA_VISIBLE_DEVICES names, or four, and writes down what it is told.
TENSORFLOW = """
import os
from types import SimpleNamespace as space
told = []
named = os.environ.get("CUDA_VISIBLE_DEVICES", "0,1,2,3")
devices = [f"GPU:{number}" for number in named.split(",") if number]
config = space(
    list_physical_devices=lambda kind: devices,
    threading=space(set_intra_op_parallelism_threads=told.append, set_inter_op_parallelism_threads=told.append),
    experimental=space(set_memory_growth=lambda device, on: told.append((device, on))),
)
"""


@pytest.fixture
def faked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tensorflow.py").write_text(TENSORFLOW)
    (tmp_path / "keras.py").touch()
    (tmp_path / "driver").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpus, "DRIVER", (tmp_path / "driver",))
    return tmp_path


def test_without_a_driver_nothing_is_asked(faked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (faked / "driver").unlink()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a process was started"))
    assert gpus.visible_gpus() == []


def test_gpus_are_counted_without_loading_tensorflow_here(faked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = "tensorflow" in sys.modules
    assert gpus.visible_gpus() == ["0", "1", "2", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-8f1")
    assert gpus.visible_gpus() == ["2", "GPU-8f1"]
    assert ("tensorflow" in sys.modules) == loaded


def test_a_tensorflow_that_fails_means_no_gpu(faked: Path) -> None:
    (faked / "tensorflow.py").write_text("raise ImportError('no CUDA')")
    assert gpus.visible_gpus() == []


@pytest.mark.parametrize(
    ("workers", "there", "expected"), [(None, 0, 2), (5, 0, 5), (None, 4, 4), (None, 1, 1), (3, 4, 3), (9, 4, 4)]
)
def test_one_training_a_gpu_unless_fewer_are_asked_for(workers: int | None, there: int, expected: int) -> None:
    assert gpus.trainings_at_a_time(workers, [str(number) for number in range(there)]) == expected


def test_a_worker_sees_its_own_gpu_alone_and_takes_its_memory_bit_by_bit(faked: Path) -> None:
    script = """
from tasks.models.gpus import on_gpu
from tasks.training.runtime import load_tensorflow
load_tensorflow(gpu="2")
import os, tensorflow
print(os.environ["CUDA_VISIBLE_DEVICES"], tensorflow.devices, tensorflow.told, on_gpu())
"""
    environment = os.environ | {"PYTHONPATH": f"{faked}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "2 ['GPU:2'] [1, 1, ('GPU:2', True)] True\n", done.stderr


def test_each_lane_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import ExitStack

    from tasks.execution import local

    given = []

    class Pool(ExitStack):
        def __init__(self, **options: object) -> None:
            super().__init__()
            given.append(options["initargs"][-1])

    monkeypatch.setattr(local, "ProcessPoolTaskRunner", Pool)
    with ExitStack() as stack:
        lanes = [local._lane(stack, gpu) for gpu in ("0", "1", None)]
    assert given == [lane.gpu for lane in lanes] == ["0", "1", None]
