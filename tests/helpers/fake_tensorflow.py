"""A replacement of TensorFlow with as many GPUs as CUDA_VISIBLE_DEVICES names, or four. It records how it is called."""

import os
from types import SimpleNamespace

calls: list[object] = []
visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0,1,2,3")
devices = [f"GPU:{number}" for number in visible.split(",") if number]
config = SimpleNamespace(
    list_physical_devices=lambda kind: devices,
    threading=SimpleNamespace(
        set_intra_op_parallelism_threads=calls.append, set_inter_op_parallelism_threads=calls.append
    ),
    experimental=SimpleNamespace(set_memory_growth=lambda device, on: calls.append((device, on))),
)
