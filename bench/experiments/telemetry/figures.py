"""What a loop's telemetry says, in numbers: every renderer takes its figures from here."""

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
    """How often clocks were held down."""

    share: float  # of the samples, by any reason
    reasons: dict[str, float]  # of the samples by each, most frequent first


@dataclasses.dataclass(frozen=True)
class DeviceFigures:
    """Figures of the GPUs that the loop used; None: not measured.

    Of several, utilisation is their mean, power and memory are their sums, the clock is the lowest, and one that is
    throttled is enough.
    """

    utilisation: Range | None  # share of NVML's window with any kernel running
    watts: Range | None
    joules_per_batch: float | None  # mean power by time
    sm_mhz: Range | None
    throttled: Throttled | None
    tf_peak: float  # MiB that TensorFlow's allocator had handed out
    nvml_peak: float | None  # MiB used by all processes together
    nvml_before: float | None  # the same before the loop's process had touched a device
    nvml_process_peak: float | None  # MiB used by the loop's process


class PageFaults(NamedTuple):
    """First touches of memory: many, where a loop gives it back to the system and takes it again."""

    per_batch: float
    system_ms: float  # a batch, spent in the kernel by all threads, with these faults and with all else


@dataclasses.dataclass(frozen=True)
class Utilisation:
    """Figures of one loop's telemetry."""

    ms_per_batch: float
    cpus: float  # kept busy on average
    cpu_ms_per_batch: float  # of all threads together
    page_faults: PageFaults | None  # None in records that do not have them
    peak_resident: float  # MiB
    device: DeviceFigures | None  # None on a CPU
    trace: TracedStretch | None

    @classmethod
    def of(cls, telemetry: Telemetry) -> Utilisation | None:
        """The figures of a loop; None of one that died."""
        found = telemetry.stretch
        if found is None:
            return None
        return cls(
            ms_per_batch=found.ms_per_batch,
            cpus=found.cpu_seconds / found.seconds,
            cpu_ms_per_batch=1e3 * found.cpu_seconds / found.batches,
            page_faults=_page_faults(found),
            peak_resident=found.peak_resident_bytes / MIB,
            device=None if found.tf_peak_bytes is None else _device(found, found.tf_peak_bytes),
            trace=telemetry.trace,
        )


def _page_faults(found: Stretch) -> PageFaults | None:
    if found.page_faults is None or found.system_seconds is None:
        return None
    return PageFaults(found.page_faults / found.batches, 1e3 * found.system_seconds / found.batches)


def _device(found: Stretch, tf_peak_bytes: int) -> DeviceFigures:
    samples = [_used(found, sample) for sample in found.samples]
    before = [_used(found, found.before)] if found.before else []
    watts = _range(_each(samples, lambda gpu: gpu.watts, sum))
    return DeviceFigures(
        utilisation=_range(_each(samples, lambda gpu: gpu.utilisation, np.mean)),
        watts=watts,
        joules_per_batch=watts and watts.mean * found.seconds / found.batches,
        sm_mhz=_range(_each(samples, lambda gpu: gpu.sm_mhz, min)),
        throttled=_throttled([_reasons(gpus) for gpus in samples]),
        tf_peak=tf_peak_bytes / MIB,
        nvml_peak=_peak(_each(samples, lambda gpu: gpu.memory_bytes, sum)),
        nvml_before=_peak(_each(before, lambda gpu: gpu.memory_bytes, sum)),
        nvml_process_peak=_peak(_each(samples, lambda gpu: gpu.process_memory_bytes, sum)),
    )


def _used(found: Stretch, sample: Sample) -> list[GpuSample]:
    """The GPUs that the loop used; all where it is not known which."""
    return [gpu for gpu in sample.gpus if gpu.bus in found.used_gpus] or list(sample.gpus)


def _each(
    samples: Iterable[list[GpuSample]],
    read: Callable[[GpuSample], float | None],
    together: Callable[[list[float]], float],
) -> list[float]:
    """A reading of each sample, of its GPUs taken together; without the samples in which one was refused."""
    found = []
    for gpus in samples:
        known = [value for value in map(read, gpus) if value is not None]
        if known and len(known) == len(gpus):
            found.append(float(together(known)))
    return found


def _range(values: list[float]) -> Range | None:
    if not values:
        return None
    low, high = np.percentile(values, [5, 95])
    return Range(float(np.mean(values)), float(low), float(high))


def _peak(nbytes: list[float]) -> float | None:
    return max(nbytes) / MIB if nbytes else None


def _reasons(gpus: list[GpuSample]) -> frozenset[str] | None:
    """Why any of them was throttled; None where one of them, or all, do not say."""
    said = [gpu.throttled_by for gpu in gpus]
    known = [set(each) for each in said if each is not None]
    return frozenset().union(*known) if known and len(known) == len(said) else None


def _throttled(samples: Iterable[frozenset[str] | None]) -> Throttled | None:
    known = [each for each in samples if each is not None]
    if not known:
        return None
    counts = collections.Counter(reason for each in known for reason in sorted(each))
    return Throttled(
        share=sum(map(bool, known)) / len(known),
        reasons={reason: count / len(known) for reason, count in counts.most_common()},
    )
