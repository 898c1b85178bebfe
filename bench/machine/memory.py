"""How much memory this process holds, and held at its peak, as far as it can say so itself."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
from pathlib import Path
from typing import Literal

import psutil

from loop_bench.document import Count, Frozen

_RESET_PEAK = "5"  # man 5 proc, /proc/pid/clear_refs


class PeakMemory(Frozen):
    """The most that was held at a time, less what was held before."""

    of: Literal["device memory", "resident set"]
    nbytes: Count


class Gauge:
    """Measures the peak since it was made, above the memory that was held then.

    On GPUs it is what TensorFlow's allocator has handed out, of all of them together; elsewhere the resident set of
    the process, in which pages that the allocator keeps for later count too, but those that it has kept from before.
    """

    def __init__(self) -> None:
        _give_back()
        forget_peaks()
        current = allocated("current")
        self._on_gpu = bool(current)
        self._before = sum(current) if current else int(psutil.Process().memory_info().rss)

    def peak(self) -> PeakMemory:
        """The peak until now."""
        if self._on_gpu:
            return PeakMemory(of="device memory", nbytes=max(0, sum(allocated("peak")) - self._before))
        return PeakMemory(of="resident set", nbytes=max(0, peak_resident() - self._before))


def _give_back() -> None:
    """Returns to the system what was freed, which would else be there for a loop to use unseen."""
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # of glibc, see man 3 malloc_trim
        trim(0)


def forget_peaks() -> None:
    """Resets the peaks to what is held now: what came earlier in the life of the process is not a loop's.

    Where a peak cannot be reset, it counts.
    """
    import tensorflow as tf  # here, so that what only reads records need not wait for it

    for gpu in tf.config.list_logical_devices("GPU"):
        tf.config.experimental.reset_memory_stats(gpu.name)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")


def allocated(which: Literal["current", "peak"]) -> tuple[int, ...]:
    """Bytes that TensorFlow's allocator has handed out of each GPU; empty without one."""
    import tensorflow as tf

    gpus = tf.config.list_logical_devices("GPU")
    return tuple(int(tf.config.experimental.get_memory_info(gpu.name)[which]) for gpu in gpus)


def peak_resident() -> int:
    """Bytes of the resident set at its peak."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
