"""Trains stretches of a loop: one undisturbed, measured by its process before and after; one under the profiler."""

from __future__ import annotations

import dataclasses
import math
import resource
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from loop_bench.experiments.profile import events, figures, trial
from loop_bench.experiments.telemetry.record import Copies, CopyKind, TracedStretch
from loop_bench.hostsync import trace as profiler
from loop_bench.hostsync.trace import Copy, of_kinds, trace_started
from loop_bench.loop import TrainingLoop
from loop_bench.machine import gpu, memory
from loop_bench.timing import clock

LEAST_BLOCKS = 3

WARM_UP = 1.0
"""Seconds, at least, of the last run before the stretch: what NVML says of a moment is a mean over up to a second
before it (its documentation of nvmlUtilization_t and nvmlDeviceGetPowerUsage)."""

_PS = 1e-12


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
    memory.forget_peaks()
    before = resource.getrusage(resource.RUSAGE_SELF)
    began, ended = _run(loop, batches, blocks)
    after = resource.getrusage(resource.RUSAGE_SELF)
    system = after.ru_stime - before.ru_stime
    allocated = memory.allocated("peak")
    return Trained(
        batches=blocks * batches,
        began=began,
        ended=ended,
        cpu_seconds=after.ru_utime - before.ru_utime + system,
        system_seconds=system,
        page_faults=after.ru_minflt - before.ru_minflt,
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
    buses = [gpu.bus(number) for number, nbytes in enumerate(allocated) if nbytes]
    known = tuple(bus for bus in buses if bus is not None)
    return known if len(known) == len(buses) else ()


def trace(loop: TrainingLoop, batches: int) -> TracedStretch:
    """Trains so many batches under TensorFlow's profiler: how long the device was busy, and what was copied.

    Raises:
        ProfilerError: there is no trace to be had.
    """
    with tempfile.TemporaryDirectory(prefix="telemetry-") as folder:
        trial.run_traced(loop, batches, Path(folder), events.EXPENSIVE)
        return of_trace(profiler.read(Path(folder)), batches)


def of_trace(space: Any, batches: int) -> TracedStretch:
    """The stretch that is marked in a trace.

    Args:
        space: a `tensorflow.tsl.profiler.protobuf.xplane_pb2.XSpace`.
        batches: of the stretch.

    Raises:
        ProfilerError: no stretch is marked.
    """
    marked = events.traced(space)
    spent = figures.account(marked.ops, marked.begin, marked.end)
    origin = trace_started(space) * 1e-9
    begin, end = (origin + moment * _PS for moment in (marked.begin, marked.end))
    return TracedStretch(
        device=marked.device,
        batches=batches,
        seconds=(marked.end - marked.begin) * _PS,
        busy=spent.busy * _PS,
        longest_gap=float(spent.gaps.max(initial=0.0)) * _PS,
        copies=by_kind(copy for copy in of_kinds(space, *get_args(CopyKind)) if begin <= copy.started < end),
        problems=marked.problems,
    )


def by_kind(traced: Iterable[Copy]) -> tuple[Copies, ...]:
    """Sums of copies by their kind; kinds without any are omitted."""
    listed = list(traced)
    groups = {kind: [copy for copy in listed if copy.kind == kind] for kind in get_args(CopyKind)}
    return tuple(
        Copies(
            kind=kind,
            count=len(group),
            nbytes=sum(copy.nbytes for copy in group),
            seconds=sum(copy.seconds for copy in group),
        )
        for kind, group in groups.items()
        if group
    )
