"""The record of the telemetry run of one loop: immutable, validated when it is made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from loop_bench.document import Count, Frozen, NotNegative, Seconds
from loop_bench.timing.samples import Start

CopyKind = Literal["D2H", "H2D", "D2D"]
"""Direction of a copy: from the device to the host, from the host to the device, or within a device."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A share from 0 to 1."""


class GpuSample(Frozen):
    """State of a GPU at one moment, from NVML; None: NVML does not report the value."""

    index: Count  # as NVML counts
    bus: str | None = None  # PCI address, as CUDA writes it: 0000:1b:00.0
    utilisation: Share | None = None  # share of NVML's window before this moment with any kernel running
    memory_bytes: Count | None = None  # used by all processes, CUDA's own included
    process_memory_bytes: Count | None = None  # used by the loop's process, which NVML may not know in a container
    watts: NotNegative | None = None
    sm_mhz: Count | None = None
    memory_mhz: Count | None = None
    celsius: int | None = None
    throttled_by: tuple[str, ...] | None = None  # see loop_bench.machine.gpu.throttles


class Sample(Frozen):
    """State of the loop's process and of the GPUs at one moment."""

    at: float  # seconds, by time.monotonic, or since a stretch began
    cpu_seconds: NotNegative | None = None  # of the loop's process so far, all threads
    resident_bytes: Count | None = None  # of the loop's process
    gpus: tuple[GpuSample, ...] = ()  # all that NVML lists

    def since(self, moment: float) -> Self:
        """A copy of the sample whose time counts from a moment."""
        return self.model_copy(update={"at": self.at - moment})


class Stretch(Frozen):
    """Batches trained without interruption, from an idle device to an idle device."""

    batches: Annotated[int, Field(gt=0)]
    seconds: Seconds
    cpu_seconds: NotNegative  # of the process, user and system, all threads, including spinning ones
    system_seconds: NotNegative | None = None  # part of `cpu_seconds` in the kernel; None: a record of an older version
    page_faults: Count | None = None  # of the process, without disk access (ru_minflt); None: as `system_seconds`
    peak_resident_bytes: Count  # of the process, TensorFlow's libraries included
    tf_peak_bytes: Count | None = None  # peak of TensorFlow's allocator on all GPUs; None: no GPU
    used_gpus: tuple[str, ...] = ()  # PCI addresses of the GPUs with allocated memory; empty: not known
    before: Sample | None = None  # taken before the loop was built and the process used a device
    samples: tuple[Sample, ...] = ()  # taken in the stretch

    @property
    def ms_per_batch(self) -> float:
        """Milliseconds a batch."""
        return 1e3 * self.seconds / self.batches


class Copies(Frozen):
    """All copies of one kind in a stretch."""

    kind: CopyKind
    count: Annotated[int, Field(gt=0)]
    nbytes: Count
    seconds: NotNegative  # duration of the copies themselves, without waiting


class TracedStretch(Frozen):
    """A stretch of batches under TensorFlow's profiler, which slows them down."""

    device: Literal["CPU", "GPU"]  # the device whose ops count as busy time
    batches: Annotated[int, Field(gt=0)]
    seconds: Seconds  # duration by the trace
    busy: NotNegative  # seconds with an op in flight; on a GPU a kernel, copy or fill on any stream
    longest_gap: NotNegative  # seconds of the longest time without an op in flight
    copies: tuple[Copies, ...] = ()
    problems: tuple[str, ...] = ()  # errors and warnings that the trace reports

    @property
    def busy_share(self) -> float:
        """Share of the stretch's time with an op in flight."""
        return self.busy / self.seconds

    @property
    def ms_per_batch(self) -> float:
        """Milliseconds a batch."""
        return 1e3 * self.seconds / self.batches

    def copied(self, kind: CopyKind) -> tuple[float, float, float]:
        """Number, bytes and milliseconds of the copies of a kind, per batch; zeros if there are none."""
        of_kind = [copies for copies in self.copies if copies.kind == kind]
        count, nbytes = sum(copies.count for copies in of_kind), sum(copies.nbytes for copies in of_kind)
        milliseconds = 1e3 * sum(copies.seconds for copies in of_kind)
        return count / self.batches, nbytes / self.batches, milliseconds / self.batches


class Telemetry(Frozen):
    """Resource usage of one loop, from its telemetry run."""

    stretch: Stretch | None = None  # None: the process died before it could report
    trace: TracedStretch | None = None  # of the GPU; None: no GPU, or not traced
    start: Start | None = None  # from calling the factory to the first batch
    problems: tuple[str, ...] = ()  # why other measurements are missing, in words
    died: str = ""  # the cause of the process's death, in words; empty: it completed

    @model_validator(mode="after")
    def _has_a_stretch_or_died(self) -> Self:
        if (self.stretch is None) != bool(self.died):
            raise ValueError("a loop that did not die has a stretch, and one that did has none")
        return self
