"""Trains stretches of a loop: one undisturbed, measured by its process before and after; one under the profiler.

It imports nothing but the core, for loops that live elsewhere.
"""

from __future__ import annotations

import dataclasses
import math
import resource
import time
from pathlib import Path

from loop_bench.hostsync import trace as profiler
from loop_bench.loop import TrainingLoop
from loop_bench.machine import driver, peaks
from loop_bench.timing import clock

LEAST_BLOCKS = 3

WARM_UP = 1.0
"""Seconds, at least, of the last run before the stretch: what NVML says of a moment is a mean over up to a second
before it (its documentation of nvmlUtilization_t and nvmlDeviceGetPowerUsage)."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """Measurements of an undisturbed stretch that its own process can take."""

    batches: int
    began: float  # seconds, by time.monotonic
    ended: float
    cpu_seconds: float
    system_seconds: float
    page_faults: int
    peak_resident_bytes: int
    tf_peak_bytes: int | None
    used_gpus: tuple[str, ...]


def blocks_for(loop: TrainingLoop, batches: int, seconds: float) -> int:
    """Warms a loop up, and says how many blocks of so many batches it trains in about so many seconds.

    The time is that of a run that is long enough to tell, and to bring a GPU's clocks up; before it came the block in
    which the loop may trace and compile.
    """
    loop.run(batches)
    blocks = 1
    began, ended = _run(loop, batches, blocks)
    while ended - began < WARM_UP:
        blocks *= 2
        began, ended = _run(loop, batches, blocks)
    return max(LEAST_BLOCKS, math.ceil(blocks * seconds / (ended - began)))


def train(loop: TrainingLoop, batches: int, blocks: int) -> Trained:
    """Trains so many blocks of batches, from an idle device to an idle device."""
    peaks.forget_peaks()
    before = resource.getrusage(resource.RUSAGE_SELF)
    began, ended = _run(loop, batches, blocks)
    after = resource.getrusage(resource.RUSAGE_SELF)
    system = after.ru_stime - before.ru_stime
    allocated = peaks.allocated("peak")
    return Trained(
        batches=blocks * batches,
        began=began,
        ended=ended,
        cpu_seconds=after.ru_utime - before.ru_utime + system,
        system_seconds=system,
        page_faults=after.ru_minflt - before.ru_minflt,
        peak_resident_bytes=peaks.peak_resident(),
        tf_peak_bytes=sum(allocated) if allocated else None,
        used_gpus=_used(allocated),
    )


def _run(loop: TrainingLoop, batches: int, blocks: int) -> tuple[float, float]:
    """Trains so many blocks without a fence between them; when that began and ended, by time.monotonic."""
    clock.fence()
    began = time.monotonic()  # perf_counter may count from elsewhere in another process; this is the samples' clock
    for _ in range(blocks):
        loop.run(batches)
    clock.fence()
    return began, time.monotonic()


def _used(allocated: tuple[int, ...]) -> tuple[str, ...]:
    """The buses of the GPUs of which anything was handed out; none unless all are known."""
    buses = [driver.bus(number) for number, nbytes in enumerate(allocated) if nbytes]
    known = tuple(bus for bus in buses if bus is not None)
    return known if len(known) == len(buses) else ()


def train_traced(loop: TrainingLoop, batches: int, folder: Path, host_level: int, mark: str) -> None:
    """Trains so many batches under TensorFlow's profiler, which writes its trace to a folder; see `profiler.marked`.

    Raises:
        ProfilerError: a profiler is running in this program already, or the program has stopped this one.
    """
    with profiler.marked(folder, host_level, mark):
        clock.seconds_for(loop, batches)
