"""How much more memory this process has held at its peak than before."""

from __future__ import annotations

import ctypes
import gc
from typing import Literal

import psutil

from loop_bench.document import Count, Frozen
from loop_bench.machine.peaks import allocated, forget_peaks, peak_resident


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
