"""Whether TensorFlow computes on a GPU here: a run that was meant for one must not pass on a CPU."""

from __future__ import annotations

import os

import pynvml
import tensorflow as tf

from bench.errors import UsageError
from bench.machine import devices

_SIZE = 64
"""Rows and columns of the matrices that are multiplied: sums that float32, and TensorFloat-32, hold exactly."""


def require() -> str:
    """Has the first GPU compute something; gives the name that TensorFlow has for it.

    Raises:
        UsageError: there is none, or it does not compute; it says what TensorFlow and NVML see.
    """
    # By default this process would take all memory of the GPU, and those in which loops have faults need some.
    devices.share()
    if not tf.config.list_physical_devices("GPU"):
        raise UsageError(f"--require-gpu: TensorFlow sees no GPU; {_why()}")
    try:
        with tf.device("/GPU:0"):
            product = tf.matmul(tf.ones([_SIZE, _SIZE]), tf.ones([_SIZE, _SIZE]))
        right = bool(tf.reduce_all(product == _SIZE))
    except (tf.errors.OpError, RuntimeError) as error:  # out of memory, no kernel for this GPU, a driver too old
        raise UsageError(f"--require-gpu: TensorFlow sees a GPU that does not compute: {_first_line(error)}") from None
    if "GPU" not in product.device:
        raise UsageError(f"--require-gpu: what should run on the GPU ran on {product.device}")
    if not right:
        raise UsageError(f"--require-gpu: {product.device} multiplies matrices wrongly")
    return str(product.device)


def _why() -> str:
    """What NVML sees, and what can be done about it."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return f"NVML finds no driver ({error}): there is no NVIDIA GPU here, or a container was not given it"
    try:
        driver, names = pynvml.nvmlSystemGetDriverVersion(), _names()
    except pynvml.NVMLError as error:
        return f"NVML finds a driver and fails ({error})"
    finally:
        pynvml.nvmlShutdown()
    return f"NVML sees {', '.join(names) or 'none either'} (driver {driver}): {_remedy(names)}"


def _names() -> list[str]:
    handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
    return [str(pynvml.nvmlDeviceGetName(handle)) for handle in handles]


def _remedy(names: list[str]) -> str:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return f"CUDA_VISIBLE_DEVICES={hidden!r} may hide it"
    if not names:
        return "the driver has no GPU to offer"
    if not tf.test.is_built_with_cuda():
        return "this TensorFlow is built without CUDA; install the extra gpu: pip install '.[gpu]'"
    return "TensorFlow's CUDA libraries are missing; the extra gpu brings them: pip install '.[gpu]'"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
