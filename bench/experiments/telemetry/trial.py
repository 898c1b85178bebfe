"""The telemetry run of one loop: it trains in a process of its own while another process samples it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from pydantic import Field
from typing_extensions import Self

from loop_bench.experiments.telemetry.record import Sample, Stretch, Telemetry, TracedStretch
from loop_bench.experiments.telemetry.sampling import Sampler
from loop_bench.failure import error_line
from loop_bench.jobs.attempt import Attempt
from loop_bench.jobs.gather import Run, gather, in_processes
from loop_bench.jobs.trial import LoopTrial
from loop_bench.loop import LoopSpec
from loop_bench.machine.environment import environment
from loop_bench.settings import ARMS, Settings
from loop_bench.timing.samples import Start

if TYPE_CHECKING:
    from loop_bench.arms.process import ArmProcess
    from loop_bench.experiments.telemetry.trainee import Trainee
    from loop_bench.experiments.telemetry.training import Trained

TRAINEE = "loop_bench.experiments.telemetry.trainee:Trainee"
"""The class that wraps a loop in the process of its arm."""

PATIENCE = 1200.0
"""Time limit of a trial in seconds, in addition to three times its stretch; a trial that takes longer hangs."""


class TelemetryTrial(LoopTrial[Telemetry]):
    """The telemetry run of one loop, as a trial."""

    work: ClassVar[str] = "loop_bench.experiments.telemetry.trial:watch_trial"
    finding: ClassVar[type[Telemetry]] = Telemetry

    batches: Annotated[int, Field(gt=0)]  # batches of a block
    seconds: Annotated[float, Field(gt=0)]  # rough duration of the stretch

    @classmethod
    def of(cls, settings: Settings, arm: str, seconds: float) -> Self:
        """The trial of an arm."""
        return cls(
            loop=arm,
            factory=dict(zip(ARMS, (settings.before, settings.after), strict=True))[arm],
            preset=settings.preset,
            seed=settings.seed,
            options=settings.options,
            batches=settings.batches,
            seconds=seconds,
            time_limit=PATIENCE + 3 * seconds,
        )

    @classmethod
    def preload(cls) -> tuple[str, ...]:
        return (*super().preload(), TRAINEE.partition(":")[0])

    @property
    def title(self) -> str:
        return self.loop


def watch_trial(trial: TelemetryTrial) -> Telemetry:
    """Runs a trial in this process."""
    return look(trial.factory, trial.spec, trial.batches, trial.seconds, trial.loop)


def look(factory: str, spec: LoopSpec, batches: int, seconds: float, arm: str = "") -> Telemetry:
    """Builds a loop in this process and measures it; see `watched`.

    Args:
        factory: the loop's factory, as module:factory.
        spec: preset, seed and options.
        batches: batches of a block.
        seconds: rough duration of the stretch.
        arm: the loop's arm, for messages.

    Raises:
        UsageError: the factory cannot be loaded.
    """
    from loop_bench.experiments.telemetry.trainee import Trainee  # it starts TensorFlow

    return watched(Trainee(factory, spec.preset, spec.seed, spec.options, arm), None, batches, seconds)


def watched(trainee: Trainee, pid: int | None, batches: int, seconds: float) -> Telemetry:
    """Starts and trains a loop while its process is sampled; with a GPU, then trains it under the profiler.

    Args:
        trainee: the loop, in this or another process.
        pid: the loop's process; None: this one.
        batches: batches of a block.
        seconds: rough duration of the stretch.
    """
    from loop_bench.experiments.telemetry.training import Trained

    with Sampler(pid) as sampler:
        trainee.warm_up()
        built, first = trainee.start()
        trained = Trained(**trainee.train(batches, seconds))
        samples, problem = sampler.samples(), sampler.problem()
    measured = stretch(trained, samples, sampler.began_in_time)
    traced, why = (None, "") if measured.tf_peak_bytes is None else _traced(trainee, batches, measured, seconds)
    return Telemetry(
        stretch=measured,
        trace=traced,
        start=Start(build_seconds=built, first_batch_seconds=first),
        problems=tuple(filter(None, [problem, why])),
    )


def stretch(trained: Trained, samples: tuple[Sample, ...], first_is_before: bool) -> Stretch:
    """Combines the process's own measurements with the samples that were taken in the stretch.

    Args:
        trained: measurements of the loop's process.
        samples: all samples, oldest first.
        first_is_before: whether the first sample was taken before the loop was built.
    """
    inside = [sample for sample in samples if trained.began <= sample.at <= trained.ended]
    return Stretch(
        batches=trained.batches,
        seconds=trained.ended - trained.began,
        cpu_seconds=trained.cpu_seconds,
        system_seconds=trained.system_seconds,
        page_faults=trained.page_faults,
        peak_resident_bytes=trained.peak_resident_bytes,
        tf_peak_bytes=trained.tf_peak_bytes,
        used_gpus=trained.used_gpus,
        before=samples[0].since(trained.began) if first_is_before else None,
        samples=tuple(sample.since(trained.began) for sample in inside),
    )


def _traced(trainee: Trainee, batches: int, untraced: Stretch, seconds: float) -> tuple[TracedStretch | None, str]:
    """Trains a short stretch under the profiler; returns it, or None and the reason."""
    from loop_bench.experiments.profile import events
    from loop_bench.experiments.telemetry import tracing
    from loop_bench.hostsync import trace as profiler

    milliseconds = 1e3 * min(TRACED_SECONDS, seconds / 5)
    trained = batches * max(1, round(milliseconds / (batches * untraced.ms_per_batch)))
    try:
        with tempfile.TemporaryDirectory(prefix="telemetry-") as folder:
            trainee.trace(trained, folder, events.EXPENSIVE, events.MARK)
            traced = tracing.of_trace(profiler.read(Path(folder)), trained)
    except Exception as error:  # of the profiler, or of the loop under it: the untraced measurements are kept
        return None, f"not traced: {error_line(error)}"
    if traced.device == "CPU" or not traced.busy:  # without access to CUPTI, the GPU's plane can exist and be empty
        return None, "not traced: TensorFlow has a GPU, but the trace shows none of its ops"
    return traced, ""


def watch(
    settings: Settings,
    seconds: float,
    folder: Path,
    progress: Callable[[str], None] = lambda arm: None,
    run: Run = in_processes,
) -> dict[str, Telemetry]:
    """Measures both loops one after the other, each in a fresh process; returns their telemetry by arm.

    Args:
        settings: which loops, from what seed, and how many batches a block has.
        seconds: rough duration of a stretch.
        folder: for the results of the trials.
        progress: called with each finished arm.
        run: where the trials run.

    Raises:
        UsageError: see `gather`.
    """
    trials = {arm: TelemetryTrial.of(settings, arm, seconds) for arm in ARMS}
    by_key = gather(trials.values(), folder, environment=environment(), progress=progress, run=run)
    results = {arm: by_key[trial.key] for arm, trial in trials.items()}
    return {arm: result.found or Telemetry(died=result.died) for arm, result in results.items()}


def watch_elsewhere(
    settings: Settings,
    seconds: float,
    another: Callable[[str], AbstractContextManager[ArmProcess]],
    progress: Callable[[str], None] = lambda arm: None,
) -> dict[str, Telemetry]:
    """Measures loops in the environments of their arms, like `watch`; this process samples them.

    Args:
        settings: which loops, from what seed, and how many batches a block has.
        seconds: rough duration of a stretch.
        another: starts a fresh process of an arm, in which a TRAINEE can be made, and ends it.
        progress: called with each finished arm.

    Raises:
        UsageError: a loop cannot be built.
    """
    results = {}
    for arm, factory in zip(ARMS, (settings.before, settings.after), strict=True):

        def measure(arm: str = arm, factory: str = factory) -> Telemetry:
            arguments = factory, settings.preset, settings.seed, settings.options, arm
            with another(arm) as process:
                trainee = cast("Trainee", process.make(TRAINEE, *arguments))  # a proxy with the same methods
                return watched(trainee, process.pid, settings.batches, seconds)

        attempt = Attempt.of(measure)
        results[arm] = attempt.found or Telemetry(died=f"{attempt.ended}: {attempt.why}")
        progress(arm)
    return results


TRACED_SECONDS = 1.0
"""Longest training under the profiler, in seconds; at most a fifth of the stretch."""
