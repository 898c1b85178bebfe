"""A stretch of a loop's training, undisturbed, and what the process says of itself after it."""

from __future__ import annotations

import dataclasses
import math
import resource
import time

from bench.loop import TrainingLoop
from bench.machine import cuda, memory
from bench.timing import clock

LEAST_BLOCKS = 3

WARM_UP = 1.0
"""Seconds, at least, of the last run before the stretch: what NVML says of a moment is a mean over up to a second
before it (its documentation of nvmlUtilization_t and nvmlDeviceGetPowerUsage)."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """What is known of a stretch without anybody's looking on."""

    batches: int
    began: float  # seconds, by time.monotonic
    ended: float
    cpu_seconds: float
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
    memory.forget_peaks()
    before = _cpu_seconds()
    began, ended = _run(loop, batches, blocks)
    after = _cpu_seconds()
    allocated = memory.allocated("peak")
    return Trained(
        batches=blocks * batches,
        began=began,
        ended=ended,
        cpu_seconds=after - before,
        peak_resident_bytes=memory.peak_resident(),
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
    buses = [cuda.bus(number) for number, nbytes in enumerate(allocated) if nbytes]
    known = tuple(bus for bus in buses if bus is not None)
    return known if len(known) == len(buses) else ()


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
