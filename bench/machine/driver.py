"""NVIDIA's driver, asked through its own libraries, where no package that wraps them is installed."""

from __future__ import annotations

import ctypes

_NVML, _CUDA = "libnvidia-ml.so.1", "libcuda.so.1"


def has_gpu() -> bool:
    """Whether the driver has a GPU.

    See nvmlInit_v2 and nvmlDeviceGetCount_v2 in NVML's API reference. TensorFlow is not asked, because it would read
    CUDA_VISIBLE_DEVICES before a program has set it; nor is `loop_bench.machine.gpu`, which needs pynvml.
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


def bus(number: int) -> str | None:
    """The PCI address of a GPU, such as `0000:1b:00.0`, by CUDA's number; None where CUDA does not report it.

    TensorFlow numbers GPUs like CUDA, unless tf.config hides GPUs or splits one; NVML numbers them otherwise. See
    cuDeviceGetPCIBusId in the CUDA driver API's reference. **Not tried on a GPU.**
    """
    try:
        cuda = ctypes.CDLL(_CUDA)
    except OSError:
        return None
    device, text = ctypes.c_int(), ctypes.create_string_buffer(32)
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), number):
        return None
    if cuda.cuDeviceGetPCIBusId(text, len(text), device):
        return None
    return text.value.decode("ascii").lower()
