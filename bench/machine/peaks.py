"""Peak memory of this process, as far as it can measure that itself; needs only TensorFlow."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path
from typing import Literal

_RESET_PEAK = "5"  # man 5 proc, /proc/pid/clear_refs


def forget_peaks() -> None:
    """Resets the peaks to the memory held now, because earlier peaks are not a loop's.

    Where a peak cannot be reset, the earlier one counts.
    """
    import tensorflow as tf  # here, so that code that only reads records need not wait for it

    for gpu in tf.config.list_logical_devices("GPU"):
        tf.config.experimental.reset_memory_stats(gpu.name)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")


def allocated(which: Literal["current", "peak"]) -> tuple[int, ...]:
    """Bytes of each GPU that TensorFlow's allocator has handed out; empty without a GPU."""
    import tensorflow as tf

    gpus = tf.config.list_logical_devices("GPU")
    return tuple(int(tf.config.experimental.get_memory_info(gpu.name)[which]) for gpu in gpus)


def peak_resident() -> int:
    """Peak of the resident set, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
