"""The peak of this process's memory, compared with what it held before."""

from __future__ import annotations

import ctypes
import gc
from typing import Literal

import psutil

from loop_bench.document import Count, Frozen
from loop_bench.machine.peaks import allocated, forget_peaks, peak_resident


class PeakMemory(Frozen):
    """The largest amount of memory held at a time, less what was held before."""

    of: Literal["device memory", "resident set"]
    nbytes: Count


class Gauge:
    """Measures the peak of memory since its creation, above the memory that was held then.

    On GPUs it is what TensorFlow's allocator has handed out, the sum over all of them; elsewhere it is the resident set
    of the process, with the pages that the allocator keeps for later, but without those that it had kept from before.
    """

    def __init__(self) -> None:
        _trim()
        forget_peaks()
        current = allocated("current")
        self._on_gpu = bool(current)
        self._before = sum(current) if current else int(psutil.Process().memory_info().rss)

    def peak(self) -> PeakMemory:
        """The peak until now."""
        if self._on_gpu:
            return PeakMemory(of="device memory", nbytes=max(0, sum(allocated("peak")) - self._before))
        return PeakMemory(of="resident set", nbytes=max(0, peak_resident() - self._before))


def _trim() -> None:
    """Returns freed memory to the system, because a loop could otherwise use it unnoticed."""
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # of glibc, see man 3 malloc_trim
        trim(0)
