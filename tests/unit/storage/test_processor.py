"""The identity of the processor in the record of a run."""

from pathlib import Path

import pytest

from tasks.storage.environment import environment_info, is_same_hardware
from tasks.storage.processor import LIMITS, processor_identity

X86 = """\
processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: {model}
model name\t: AMD EPYC
stepping\t: 1
flags\t\t: fpu smep sse4_2 fma avx2 avx {flags}

processor\t: 1
model\t\t: 99
"""
ARM = """\
processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd sve2 sme2 bf16 aes
CPU implementer\t: 0x41
CPU variant\t: 0x1
CPU part\t: 0xd40
CPU revision\t: 1
"""


@pytest.fixture(autouse=True)
def no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LIMITS:
        monkeypatch.delenv(name, raising=False)


def identify(monkeypatch: pytest.MonkeyPatch, file: Path, content: str) -> dict[str, str]:
    file.write_text(content)
    monkeypatch.setattr("tasks.storage.processor.CPUINFO", file)
    return processor_identity()


def test_processors_of_one_name_differ_by_model_and_instruction_sets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = identify(monkeypatch, tmp_path / "first", X86.format(model=1, flags="aes"))
    second = identify(monkeypatch, tmp_path / "second", X86.format(model=17, flags="avx512f avx512_bf16"))
    assert first["processor"] == second["processor"] == "AMD EPYC"
    assert first["processor_model"] == "AuthenticAMD, family 25, model 1, stepping 1"
    assert second["processor_model"] == "AuthenticAMD, family 25, model 17, stepping 1"
    assert first["instruction_sets"] == "avx avx2 fma sse4_2"
    assert second["instruction_sets"] == "avx avx2 avx512_bf16 avx512f fma sse4_2"


def test_an_arm_processor_has_parts_and_features(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = identify(monkeypatch, tmp_path / "cpuinfo", ARM)
    assert found["processor_model"] == "implementer 0x41, variant 0x1, part 0xd40, revision 1"
    assert found["instruction_sets"] == "asimd bf16 sme2 sve2"
    assert found["processor"]


@pytest.mark.parametrize("content", ["", "no colon\n\n", ":\n"])
def test_an_empty_description_of_the_processor_has_a_record(
    content: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = identify(monkeypatch, tmp_path / "cpuinfo", content)
    assert all(found.values())
    assert found["instruction_sets"] == "not known"


def test_a_system_without_proc_has_a_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tasks.storage.processor.CPUINFO", tmp_path / "none")
    assert all(processor_identity().values())


def test_variables_that_limit_instruction_sets_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processor_identity()["instruction_set_limits"] == "none"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert environment_info().hardware["instruction_set_limits"] == "ONEDNN_MAX_CPU_ISA=AVX2"


def test_a_record_without_the_identity_is_compared_by_what_it_has() -> None:
    hardware = environment_info().hardware
    assert is_same_hardware(hardware)
    assert is_same_hardware({"processor": hardware["processor"], "cores": hardware["cores"]})
    assert not is_same_hardware(hardware | {"processor_model": "another"})
    assert not is_same_hardware({})
