"""How much memory a loop takes at its peak, as far as a process can say it of itself."""

from __future__ import annotations

import psutil

from bench.experiments.ladder.finding import PeakMemory
from bench.machine import memory


class Gauge:
    """Knows the memory that was held when it was made.

    On GPUs it is what TensorFlow's allocator has handed out, of all of them together; elsewhere the resident set of
    the process, in which pages that the allocator keeps for later count too.
    """

    def __init__(self) -> None:
        memory.forget_peaks()
        allocated = memory.allocated("current")
        self._on_gpu = bool(allocated)
        self._before = sum(allocated) if allocated else int(psutil.Process().memory_info().rss)

    def peak(self) -> PeakMemory:
        """Since then."""
        if self._on_gpu:
            return PeakMemory(of="device memory", nbytes=max(0, sum(memory.allocated("peak")) - self._before))
        return PeakMemory(of="resident set", nbytes=max(0, memory.peak_resident() - self._before))
