"""Watching one loop, in a process that does nothing else."""

from __future__ import annotations

from bench.experiments.telemetry import training
from bench.experiments.telemetry.record import Sample, Stretch, Telemetry, TracedStretch
from bench.experiments.telemetry.sampling import Sampler
from bench.experiments.telemetry.training import Trained
from bench.experiments.telemetry.trial import TelemetryTrial
from bench.loop import LoopSpec, TrainingLoop, error_line, load
from bench.timing.clock import start, warm_up_tensorflow

TRACED_SECONDS = 1.0
"""Of training under the profiler, at most; of a short stretch its fifth part."""


def watch_trial(trial: TelemetryTrial) -> Telemetry:
    """Does the work of a trial."""
    spec = LoopSpec(trial.preset, trial.seed, trial.options)
    return watch(trial.factory, spec, trial.batches, trial.seconds)


def watch(factory: str, spec: LoopSpec, batches: int, seconds: float) -> Telemetry:
    """Starts a loop and trains it, while another process looks on; then once more under the profiler, on a GPU.

    Args:
        factory: as module:factory.
        spec: preset, seed and options.
        batches: of a block.
        seconds: that the stretch is to take, roughly.

    Raises:
        UsageError: the factory cannot be loaded.
    """
    make = load(factory)
    with Sampler() as sampler:
        warm_up_tensorflow()
        loop, _ = start(factory, make, spec)
        trained = training.train(loop, batches, training.blocks_for(loop, batches, seconds))
        samples, problem = sampler.samples(), sampler.problem()
    found = stretch(trained, samples, sampler.began_in_time)
    traced, why = (None, "") if found.tf_peak_bytes is None else _traced(loop, batches, found, seconds)
    return Telemetry(stretch=found, trace=traced, problems=tuple(filter(None, [problem, why])))


def stretch(trained: Trained, samples: tuple[Sample, ...], first_is_before: bool) -> Stretch:
    """What is known of a stretch, with those of the samples that were taken in it, and the one before the loop."""
    inside = [each for each in samples if trained.began <= each.at <= trained.ended]
    return Stretch(
        batches=trained.batches,
        seconds=trained.ended - trained.began,
        cpu_seconds=trained.cpu_seconds,
        peak_resident_bytes=trained.peak_resident_bytes,
        tf_peak_bytes=trained.tf_peak_bytes,
        used_gpus=trained.used_gpus,
        before=samples[0].since(trained.began) if first_is_before else None,
        samples=tuple(each.since(trained.began) for each in inside),
    )


def _traced(loop: TrainingLoop, batches: int, found: Stretch, seconds: float) -> tuple[TracedStretch | None, str]:
    """A short stretch under the profiler; or why there is none."""
    wanted = 1e3 * min(TRACED_SECONDS, seconds / 5)
    blocks = max(1, round(wanted / (batches * found.ms_per_batch)))
    try:
        traced = training.trace(loop, blocks * batches)
    except Exception as error:  # the profiler's, or the loop's under it; what was seen without it is not lost for that
        return None, f"not traced: {error_line(error)}"
    if traced.device == "CPU" or not traced.busy:  # a plane may be there, and empty, where CUPTI is refused
        return None, "not traced: TensorFlow has a GPU, and the trace shows nothing of it"
    return traced, ""
