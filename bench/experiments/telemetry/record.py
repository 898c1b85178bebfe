"""What was seen of a loop that had a process to itself: immutable, checked when it is made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from loop_bench.document import Count, Frozen, NotNegative, Seconds
from loop_bench.timing.samples import Start

CopyKind = Literal["D2H", "H2D", "D2D"]
"""From the device to the host, from the host to the device, within a device."""

Share = Annotated[float, Field(ge=0, le=1)]


class GpuSample(Frozen):
    """A GPU at a moment, as NVML has it; None is what it refuses to say."""

    index: Count  # as NVML counts
    bus: str | None = None  # its place, as CUDA writes it: 0000:1b:00.0
    utilisation: Share | None = None  # of NVML's own window, before the moment, with any kernel running
    memory_bytes: Count | None = None  # used by all processes, CUDA's own included
    process_memory_bytes: Count | None = None  # used by the loop's; in a container NVML may not know which that is
    watts: NotNegative | None = None
    sm_mhz: Count | None = None
    memory_mhz: Count | None = None
    celsius: int | None = None
    throttled_by: tuple[str, ...] | None = None  # see loop_bench.machine.gpu.throttles


class Sample(Frozen):
    """The machine at a moment."""

    at: float  # seconds, by time.monotonic, or since a stretch began
    cpu_seconds: NotNegative | None = None  # of the loop's process so far, all threads
    resident_bytes: Count | None = None  # of it
    gpus: tuple[GpuSample, ...] = ()  # all that NVML sees

    def since(self, moment: float) -> Self:
        """This sample with its time counted from a moment."""
        return self.model_copy(update={"at": self.at - moment})


class Stretch(Frozen):
    """Batches trained without interruption, from an idle device to an idle device."""

    batches: Annotated[int, Field(gt=0)]
    seconds: Seconds
    cpu_seconds: NotNegative  # of the process, user and system, all threads, spinning ones among them
    system_seconds: NotNegative | None = None  # of `cpu_seconds`, in the kernel; None in older records, as the next
    page_faults: Count | None = None  # of the process, without those that waited for a disk (getrusage: ru_minflt)
    peak_resident_bytes: Count  # of the process, TensorFlow's libraries included
    tf_peak_bytes: Count | None = None  # that TensorFlow's allocator had handed out, of all GPUs; None without one
    used_gpus: tuple[str, ...] = ()  # buses of those that it did so of, as far as CUDA says them
    before: Sample | None = None  # before the loop was built and the process had touched a device
    samples: tuple[Sample, ...] = ()  # taken in it

    @property
    def ms_per_batch(self) -> float:
        """Milliseconds a batch."""
        return 1e3 * self.seconds / self.batches


class Copies(Frozen):
    """All copies of a kind in a stretch."""

    kind: CopyKind
    count: Annotated[int, Field(gt=0)]
    nbytes: Count
    seconds: NotNegative  # that the copies themselves took, without anybody's waiting for them


class TracedStretch(Frozen):
    """A stretch of batches under TensorFlow's profiler, which slows them down."""

    device: Literal["CPU", "GPU"]  # whose ops were looked at
    batches: Annotated[int, Field(gt=0)]
    seconds: Seconds  # as the trace has it
    busy: NotNegative  # seconds of it with an op in flight; on a GPU a kernel, copy or fill on some stream
    longest_gap: NotNegative  # seconds without one
    copies: tuple[Copies, ...] = ()
    problems: tuple[str, ...] = ()  # that the trace says it has

    @property
    def busy_share(self) -> float:
        """Share of its time with an op in flight."""
        return self.busy / self.seconds

    @property
    def ms_per_batch(self) -> float:
        """Milliseconds a batch."""
        return 1e3 * self.seconds / self.batches

    def copied(self, kind: CopyKind) -> tuple[float, float, float]:
        """A batch: copies of a kind, their bytes, and the milliseconds that they took; zeros without any."""
        found = [each for each in self.copies if each.kind == kind]
        counted = sum(each.count for each in found), sum(each.nbytes for each in found)
        return counted[0] / self.batches, counted[1] / self.batches, 1e3 * sum(e.seconds for e in found) / self.batches


class Telemetry(Frozen):
    """Telemetry of one loop."""

    stretch: Stretch | None = None  # None when its process did not live to say it
    trace: TracedStretch | None = None  # of the device; None on a CPU
    start: Start | None = None  # from nothing to its first batch
    problems: tuple[str, ...] = ()  # why something else is not here, in words
    died: str = ""  # what its process died of, in words; empty when it came to its end

    @model_validator(mode="after")
    def _has_a_stretch_or_died(self) -> Self:
        if (self.stretch is None) != bool(self.died):
            raise ValueError("a loop that did not die has a stretch, and one that did has none")
        return self
