"""Figures of a loop's telemetry, computed from its record; all renderers use them."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from loop_bench.experiments.telemetry.record import GpuSample, Sample, Stretch, Telemetry, TracedStretch

MIB = 2**20


class Range(NamedTuple):
    """Mean and range of the samples of a stretch."""

    mean: float
    low: float  # the 5th percentile
    high: float  # the 95th


@dataclasses.dataclass(frozen=True)
class Throttled:
    """How often a GPU's clocks were throttled."""

    share: float  # share of the samples with any reason
    reasons: dict[str, float]  # share of the samples by reason, most frequent first


@dataclasses.dataclass(frozen=True)
class DeviceFigures:
    """Figures of the GPUs that the loop used; None: not measured.

    With several GPUs, utilisation is the mean, power and memory are sums, the clock is the lowest, and `throttled`
    counts samples in which any GPU was throttled.
    """

    utilisation: Range | None  # share of NVML's window with any kernel running
    watts: Range | None
    joules_per_batch: float | None  # mean power by time
    sm_mhz: Range | None
    throttled: Throttled | None
    tf_peak: float  # MiB, peak of TensorFlow's allocator
    nvml_peak: float | None  # MiB used by all processes together
    nvml_before: float | None  # MiB used by all processes before the loop's process used a device
    nvml_process_peak: float | None  # MiB used by the loop's process


class PageFaults(NamedTuple):
    """Minor page faults: many if a loop returns memory to the system and allocates it again."""

    per_batch: float
    system_ms: float  # milliseconds a batch in the kernel, all threads, for page faults and everything else


@dataclasses.dataclass(frozen=True)
class Utilisation:
    """Resource usage of one loop."""

    ms_per_batch: float
    cpus: float  # CPUs kept busy on average
    cpu_ms_per_batch: float  # CPU time of all threads
    page_faults: PageFaults | None  # None: a record of an older version
    peak_resident: float  # MiB
    device: DeviceFigures | None  # None: no GPU
    trace: TracedStretch | None

    @classmethod
    def of(cls, telemetry: Telemetry) -> Utilisation | None:
        """Computes the figures of a loop; None: its telemetry run died."""
        stretch = telemetry.stretch
        if stretch is None:
            return None
        return cls(
            ms_per_batch=stretch.ms_per_batch,
            cpus=stretch.cpu_seconds / stretch.seconds,
            cpu_ms_per_batch=1e3 * stretch.cpu_seconds / stretch.batches,
            page_faults=_page_faults(stretch),
            peak_resident=stretch.peak_resident_bytes / MIB,
            device=None if stretch.tf_peak_bytes is None else _device(stretch, stretch.tf_peak_bytes),
            trace=telemetry.trace,
        )


def _page_faults(stretch: Stretch) -> PageFaults | None:
    if stretch.page_faults is None or stretch.system_seconds is None:
        return None
    return PageFaults(stretch.page_faults / stretch.batches, 1e3 * stretch.system_seconds / stretch.batches)


def _device(stretch: Stretch, tf_peak_bytes: int) -> DeviceFigures:
    samples = [_used(stretch, sample) for sample in stretch.samples]
    before = [_used(stretch, stretch.before)] if stretch.before else []
    watts = _range(_readings(samples, lambda gpu: gpu.watts, sum))
    return DeviceFigures(
        utilisation=_range(_readings(samples, lambda gpu: gpu.utilisation, np.mean)),
        watts=watts,
        joules_per_batch=watts and watts.mean * stretch.seconds / stretch.batches,
        sm_mhz=_range(_readings(samples, lambda gpu: gpu.sm_mhz, min)),
        throttled=_throttled([_reasons(gpus) for gpus in samples]),
        tf_peak=tf_peak_bytes / MIB,
        nvml_peak=_peak(_readings(samples, lambda gpu: gpu.memory_bytes, sum)),
        nvml_before=_peak(_readings(before, lambda gpu: gpu.memory_bytes, sum)),
        nvml_process_peak=_peak(_readings(samples, lambda gpu: gpu.process_memory_bytes, sum)),
    )


def _used(stretch: Stretch, sample: Sample) -> list[GpuSample]:
    """The GPUs that the loop used; all GPUs if it is not known which."""
    return [gpu for gpu in sample.gpus if gpu.bus in stretch.used_gpus] or list(sample.gpus)


def _readings(
    samples: Iterable[list[GpuSample]],
    read: Callable[[GpuSample], float | None],
    combine: Callable[[list[float]], float],
) -> list[float]:
    """One value per sample, combined over its GPUs; samples in which a GPU has no value are left out."""
    readings = []
    for gpus in samples:
        values = [value for value in map(read, gpus) if value is not None]
        if values and len(values) == len(gpus):
            readings.append(float(combine(values)))
    return readings


def _range(values: list[float]) -> Range | None:
    if not values:
        return None
    low, high = np.percentile(values, [5, 95])
    return Range(float(np.mean(values)), float(low), float(high))


def _peak(nbytes: list[float]) -> float | None:
    return max(nbytes) / MIB if nbytes else None


def _reasons(gpus: list[GpuSample]) -> frozenset[str] | None:
    """All reasons for which any of the GPUs was throttled; None: at least one GPU does not report them."""
    known = [set(gpu.throttled_by) for gpu in gpus if gpu.throttled_by is not None]
    return frozenset().union(*known) if known and len(known) == len(gpus) else None


def _throttled(samples: Iterable[frozenset[str] | None]) -> Throttled | None:
    known = [reasons for reasons in samples if reasons is not None]
    if not known:
        return None
    counts = collections.Counter(reason for reasons in known for reason in sorted(reasons))
    return Throttled(
        share=sum(map(bool, known)) / len(known),
        reasons={reason: count / len(known) for reason, count in counts.most_common()},
    )
