"""Watching one loop, in a process that does nothing else."""

from __future__ import annotations

from bench.hostsync.errors import ProfilerError
from bench.loop import LoopSpec, TrainingLoop, load
from bench.start import start, warm_up_tensorflow
from bench.telemetry import tracing, training
from bench.telemetry.record import Sample, Stretch, Telemetry, TracedStretch
from bench.telemetry.sampling import Sampler
from bench.telemetry.training import Trained

TRACED_SECONDS = 1.0
"""Of training under the profiler, at most; of a short stretch its fifth part."""


def watch(factory: str, spec: LoopSpec, batches: int, seconds: float) -> Telemetry:
    """Starts a loop and trains it, while another process looks on; then once more under the profiler, on a GPU.

    Args:
        factory: as module:factory.
        spec: preset, seed and options.
        batches: of a block.
        seconds: that the stretch is to take, roughly.

    Raises:
        UsageError: the factory is wrong, or its loop does not keep the contract.
    """
    with Sampler() as sampler:
        warm_up_tensorflow()
        loop, _ = start(factory, load(factory), spec)
        trained = training.train(loop, batches, training.blocks_for(loop, batches, seconds))
        samples, problem = sampler.samples(), sampler.problem()
    found = stretch(trained, samples)
    traced, why = (None, "") if found.tf_peak_bytes is None else _traced(loop, batches, found, seconds)
    return Telemetry(stretch=found, trace=traced, problems=tuple(filter(None, [problem, why])))


def stretch(trained: Trained, samples: tuple[Sample, ...]) -> Stretch:
    """What is known of a stretch, with those of the samples that were taken in it, and the first of all."""
    inside = [each for each in samples if trained.began <= each.at <= trained.ended]
    return Stretch(
        batches=trained.batches,
        seconds=trained.ended - trained.began,
        cpu_seconds=trained.cpu_seconds,
        peak_resident_bytes=trained.peak_resident_bytes,
        tf_peak_bytes=trained.tf_peak_bytes,
        used_gpus=trained.used_gpus,
        before=samples[0].since(trained.began) if samples else None,
        samples=tuple(each.since(trained.began) for each in inside),
    )


def _traced(loop: TrainingLoop, batches: int, found: Stretch, seconds: float) -> tuple[TracedStretch | None, str]:
    """A short stretch under the profiler; or why there is none."""
    wanted = 1e3 * min(TRACED_SECONDS, seconds / 5)
    blocks = max(1, round(wanted / (batches * found.ms_per_batch)))
    try:
        traced = tracing.trace(loop, blocks * batches)
    except ProfilerError as error:
        return None, f"not traced: {error}"
    if traced.device == "CPU":
        return None, "not traced: TensorFlow has a GPU, and the trace shows nothing of it"
    return traced, ""
