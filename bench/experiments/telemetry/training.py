"""Trains the stretches of a telemetry run: one undisturbed, measured by its own process, and one under the profiler.

It imports only the core, because it also runs in the processes of other environments.
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
"""Fewest blocks in a stretch."""

WARM_UP = 1.0
"""Least seconds of the last run before the stretch: NVML's values are means over up to a second before the sample
(its documentation of nvmlUtilization_t and nvmlDeviceGetPowerUsage)."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """Measurements that the loop's own process takes of an undisturbed stretch."""

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
    """Warms a loop up, and returns the number of blocks that it trains in about this many seconds.

    After a first block, in which the loop may trace and compile, runs get longer until one takes WARM_UP seconds,
    which also brings a GPU's clocks up; the pace is that of the last run.

    Args:
        loop: the loop.
        batches: batches of a block.
        seconds: duration of the stretch.
    """
    loop.run(batches)
    blocks = 1
    began, ended = _run(loop, batches, blocks)
    while ended - began < WARM_UP:
        blocks *= 2
        began, ended = _run(loop, batches, blocks)
    return max(LEAST_BLOCKS, math.ceil(blocks * seconds / (ended - began)))


def train(loop: TrainingLoop, batches: int, blocks: int) -> Trained:
    """Trains and measures a stretch of blocks, from an idle device to an idle device."""
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
    """Trains blocks without a fence between them; returns its begin and end by time.monotonic."""
    clock.fence()
    began = time.monotonic()  # the sampler's clock: perf_counter may start at another value in another process
    for _ in range(blocks):
        loop.run(batches)
    clock.fence()
    return began, time.monotonic()


def _used(allocated: tuple[int, ...]) -> tuple[str, ...]:
    """The PCI addresses of the GPUs with allocated memory; empty unless all are known."""
    buses = [driver.bus(number) for number, nbytes in enumerate(allocated) if nbytes]
    known = tuple(bus for bus in buses if bus is not None)
    return known if len(known) == len(buses) else ()


def train_traced(loop: TrainingLoop, batches: int, folder: Path, host_level: int, mark: str) -> None:
    """Trains batches under TensorFlow's profiler, which writes its trace to a folder; see `profiler.marked`.

    Raises:
        ProfilerError: a profiler is already running in this program, or the program has stopped this one.
    """
    with profiler.marked(folder, host_level, mark):
        clock.seconds_for(loop, batches)
