"""GPUs. The machines of the tests have none, so TensorFlow and its devices are replaced."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.models import gpus
from tests.conftest import ROOT


@pytest.fixture
def fake_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(ROOT / "tests/helpers/fake_tensorflow.py", tmp_path / "tensorflow.py")
    (tmp_path / "keras.py").touch()
    (tmp_path / "driver").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpus, "DRIVER_FILES", (tmp_path / "driver",))
    return tmp_path


def test_no_process_is_started_without_a_driver(fake_tensorflow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (fake_tensorflow / "driver").unlink()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a process was started"))
    assert gpus.visible_gpus() == []


def test_gpus_are_counted_in_another_process(fake_tensorflow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = "tensorflow" in sys.modules
    assert gpus.visible_gpus() == ["0", "1", "2", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-8f1")
    assert gpus.visible_gpus() == ["2", "GPU-8f1"]
    assert ("tensorflow" in sys.modules) == loaded


def test_broken_tensorflow_means_no_gpu(fake_tensorflow: Path) -> None:
    (fake_tensorflow / "tensorflow.py").write_text("raise ImportError('no CUDA')")
    assert gpus.visible_gpus() == []


@pytest.mark.parametrize(
    ("workers", "there", "expected"), [(None, 0, 2), (5, 0, 5), (None, 4, 4), (None, 1, 1), (3, 4, 3), (9, 4, 4)]
)
def test_at_most_one_trial_per_gpu_runs_at_a_time(workers: int | None, there: int, expected: int) -> None:
    assert gpus.parallel_trials(workers, [str(number) for number in range(there)]) == expected


def test_worker_sees_only_its_gpu_and_grows_its_memory(fake_tensorflow: Path) -> None:
    program = ROOT / "tests/helpers/programs/assigned_gpu.py"
    environment = os.environ | {"PYTHONPATH": f"{fake_tensorflow}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "2 ['GPU:2'] [1, 1, ('GPU:2', True)] True\n", done.stderr
