"""Telemetry of loops, for tests: on a CPU, and on one of two GPUs."""

from loop_bench.experiments.telemetry.record import Copies, GpuSample, Sample, Stretch, Telemetry, TracedStretch

MIB = 2**20


def gpu(index=0, **changes):
    values = {
        "index": index, "bus": f"0000:0{index}:00.0", "utilisation": 0.5, "memory_bytes": 1000 * MIB, "watts": 300.0,
        "process_memory_bytes": None, "sm_mhz": 1980, "memory_mhz": 2619, "celsius": 60, "throttled_by": (),
    }  # fmt: skip
    return GpuSample(**{**values, **changes})


def sample(at=0.0, *gpus):
    return Sample(at=at, cpu_seconds=1.0, resident_bytes=400 * MIB, gpus=gpus)


def stretch(**changes):
    """A stretch of 100 batches in 2 s, with 3 s of CPU time."""
    values = {"batches": 100, "seconds": 2.0, "cpu_seconds": 3.0, "peak_resident_bytes": 400 * MIB}
    return Stretch(**{**values, **changes})


def on_cpu(start=None, **changes):
    return Telemetry(stretch=stretch(**changes), start=start)


def on_gpu(samples=None, trace=None, problems=(), **changes):
    """Telemetry on the first GPU of two; by default with one sample."""
    values = {
        "tf_peak_bytes": 500 * MIB,
        "used_gpus": ("0000:00:00.0",),
        "before": sample(-5.0, gpu(0, memory_bytes=600 * MIB), gpu(1)),
        "samples": samples or (sample(0.1, gpu(0), gpu(1, utilisation=0.0)),),
        **changes,
    }
    return Telemetry(stretch=stretch(**values), trace=trace, problems=problems)


def traced(**changes):
    """A trace of 50 batches in 2 s, in which the device was busy for 0.5 s."""
    copies = (
        Copies(kind="D2H", count=200, nbytes=800, seconds=0.001),
        Copies(kind="H2D", count=50, nbytes=512_000, seconds=0.1),
    )
    values = {"device": "GPU", "batches": 50, "seconds": 2.0, "busy": 0.5, "longest_gap": 0.01, "copies": copies}
    return TracedStretch(**{**values, **changes})
