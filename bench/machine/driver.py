"""What NVIDIA's driver says by its own library, for those who have no package that wraps it."""

from __future__ import annotations

import ctypes

_NVML = "libnvidia-ml.so.1"


def has_gpu() -> bool:
    """Whether the driver has a GPU to offer.

    See nvmlInit_v2 and nvmlDeviceGetCount_v2 in NVML's API reference. Not asked are TensorFlow, which would read
    CUDA_VISIBLE_DEVICES before a program has set it, and `loop_bench.machine.gpu`, which needs pynvml.
    """
    try:
        library = ctypes.CDLL(_NVML)
    except OSError:
        return False
    if library.nvmlInit_v2():
        return False
    count = ctypes.c_uint()
    failed = library.nvmlDeviceGetCount_v2(ctypes.byref(count))
    library.nvmlShutdown()
    return not failed and count.value > 0
