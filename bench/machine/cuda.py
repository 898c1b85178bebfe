"""Which GPU of the machine is the one that TensorFlow counts as so and so: only CUDA knows."""

from __future__ import annotations

import ctypes

_LIBRARY = "libcuda.so.1"


def bus(number: int) -> str | None:
    """The place of a GPU, `0000:1b:00.0`, by its number as CUDA counts; None where CUDA does not say it.

    TensorFlow counts the same way, unless tf.config hides GPUs or splits one. See cuDeviceGetPCIBusId in the CUDA
    driver API's reference. **Not tried on a GPU.**
    """
    try:
        cuda = ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    device, text = ctypes.c_int(), ctypes.create_string_buffer(32)
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), number):
        return None
    if cuda.cuDeviceGetPCIBusId(text, len(text), device):
        return None
    return text.value.decode("ascii").lower()
