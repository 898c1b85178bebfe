"""How much memory a loop takes at its peak, as far as a process can say it of itself."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path
from typing import Literal

import psutil
import tensorflow as tf

from bench.ladders.finding import PeakMemory

_RESET_PEAK = "5"  # man 5 proc, /proc/pid/clear_refs


class Gauge:
    """Knows the memory that was held when it was made.

    On GPUs it is what TensorFlow's allocator has handed out, of all of them together; elsewhere the resident set of
    the process, in which pages that the allocator keeps for later count too.
    """

    def __init__(self) -> None:
        self._gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
        for gpu in self._gpus:
            tf.config.experimental.reset_memory_stats(gpu)
        _forget_peak()
        self._before = self._device("current") if self._gpus else int(psutil.Process().memory_info().rss)

    def peak(self) -> PeakMemory:
        """Since then."""
        if self._gpus:
            return PeakMemory(of="device memory", nbytes=max(0, self._device("peak") - self._before))
        return PeakMemory(of="resident set", nbytes=max(0, _peak_resident() - self._before))

    def _device(self, which: Literal["current", "peak"]) -> int:
        return sum(int(tf.config.experimental.get_memory_info(gpu)[which]) for gpu in self._gpus)


def _forget_peak() -> None:
    """What came earlier in the life of the process is not the loop's; where it cannot be forgotten, it counts."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")


def _peak_resident() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
