"""Identity of the processor: what decides which instructions libraries choose, and so the last bits of a result."""

import os
import platform
import re
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# Instruction sets for which NumPy, Numba and oneDNN have code of their own, of x86-64 and of ARM.
INSTRUCTION_SETS = re.compile(r"sse4_[12]|avx\w*|fma4?|f16c|amx\w*|asimd\w*|sve\w*|sme(?!p)\w*|bf16|i8mm")
# Variables that make these libraries use fewer instruction sets than the processor has.
LIMITS = (
    "TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES",
    "NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE",
)  # fmt: skip
MODEL_FIELDS = {
    "vendor_id": "", "cpu family": "family ", "model": "model ", "stepping": "stepping ",
    "CPU implementer": "implementer ", "CPU variant": "variant ", "CPU part": "part ", "CPU revision": "revision ",
}  # fmt: skip


def processor_identity() -> dict[str, str]:
    """Return name, model and instruction sets of the first processor, and the variables that limit these.

    Two processors of the same name may differ in the rest. Where the system does not tell (all but Linux), the model
    is the architecture, such as arm64, and the instruction sets are "not known".

    Returns:
        `processor`, `processor_model`, `instruction_sets` and `instruction_set_limits` as text.
    """
    fields = _read_cpuinfo()
    model = ", ".join(f"{prefix}{fields[name]}" for name, prefix in MODEL_FIELDS.items() if name in fields)
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    used = sorted(flag for flag in flags if INSTRUCTION_SETS.fullmatch(flag))
    limits = [f"{name}={os.environ[name]}" for name in LIMITS if os.environ.get(name)]
    return {
        "processor": fields.get("model name") or platform.processor() or platform.machine(),
        "processor_model": model or platform.machine() or "not known",
        "instruction_sets": " ".join(used) or "not known",
        "instruction_set_limits": " ".join(limits) or "none",
    }


def _read_cpuinfo() -> dict[str, str]:
    """Return the fields of the first processor in /proc/cpuinfo; nothing on other systems than Linux."""
    try:
        first = CPUINFO.read_text(errors="replace").partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs if value.strip()}
