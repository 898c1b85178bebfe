"""How much memory this process holds, and held at its peak, as far as it can say so itself."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path
from typing import Literal

import tensorflow as tf

_RESET_PEAK = "5"  # man 5 proc, /proc/pid/clear_refs


def forget_peaks() -> None:
    """What came earlier in the life of the process is not a loop's; where it cannot be forgotten, it counts."""
    for gpu in tf.config.list_logical_devices("GPU"):
        tf.config.experimental.reset_memory_stats(gpu.name)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")


def allocated(which: Literal["current", "peak"]) -> tuple[int, ...]:
    """Bytes that TensorFlow's allocator has handed out of each GPU; empty without one."""
    gpus = tf.config.list_logical_devices("GPU")
    return tuple(int(tf.config.experimental.get_memory_info(gpu.name)[which]) for gpu in gpus)


def peak_resident() -> int:
    """Bytes of the resident set at its peak."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
