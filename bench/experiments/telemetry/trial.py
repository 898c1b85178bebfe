"""One loop that trains in a process of its own while another process looks on."""

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
"""What is made of a loop in the process of its arm."""

PATIENCE = 1200.0
"""Seconds that a process may take besides three times its stretch; what takes longer hangs."""


class TelemetryTrial(LoopTrial[Telemetry]):
    """A stretch of undisturbed training of one loop."""

    work: ClassVar[str] = "loop_bench.experiments.telemetry.trial:watch_trial"
    finding: ClassVar[type[Telemetry]] = Telemetry

    batches: Annotated[int, Field(gt=0)]  # of a block
    seconds: Annotated[float, Field(gt=0)]  # of the stretch, roughly

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
    """Does the work of a trial."""
    return look(trial.factory, trial.spec, trial.batches, trial.seconds, trial.loop)


def look(factory: str, spec: LoopSpec, batches: int, seconds: float, arm: str = "") -> Telemetry:
    """Starts a loop and trains it, while another process looks on; then once more under the profiler, on a GPU.

    Args:
        factory: as module:factory.
        spec: preset, seed and options.
        batches: of a block.
        seconds: that the stretch is to take, roughly.
        arm: that the loop is, for messages.

    Raises:
        UsageError: the factory cannot be loaded.
    """
    from loop_bench.experiments.telemetry.trainee import Trainee  # it starts TensorFlow

    return watched(Trainee(factory, spec.preset, spec.seed, spec.options, arm), None, batches, seconds)


def watched(trainee: Trainee, pid: int | None, batches: int, seconds: float) -> Telemetry:
    """Starts and trains a loop while its process is sampled; then once more under the profiler, on a GPU.

    Args:
        trainee: the loop, here or in another process.
        pid: of the process in which it lives; None: this one.
        batches: of a block.
        seconds: that the stretch is to take, roughly.
    """
    from loop_bench.experiments.telemetry.training import Trained

    with Sampler(pid) as sampler:
        trainee.warm_up()
        built, first = trainee.start()
        trained = Trained(**trainee.train(batches, seconds))
        samples, problem = sampler.samples(), sampler.problem()
    found = stretch(trained, samples, sampler.began_in_time)
    traced, why = (None, "") if found.tf_peak_bytes is None else _traced(trainee, batches, found, seconds)
    return Telemetry(
        stretch=found,
        trace=traced,
        start=Start(build_seconds=built, first_batch_seconds=first),
        problems=tuple(filter(None, [problem, why])),
    )


def stretch(trained: Trained, samples: tuple[Sample, ...], first_is_before: bool) -> Stretch:
    """What is known of a stretch, with those of the samples that were taken in it, and the one before the loop."""
    inside = [each for each in samples if trained.began <= each.at <= trained.ended]
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
        samples=tuple(each.since(trained.began) for each in inside),
    )


def _traced(trainee: Trainee, batches: int, found: Stretch, seconds: float) -> tuple[TracedStretch | None, str]:
    """A short stretch under the profiler; or why there is none."""
    from loop_bench.experiments.profile import events
    from loop_bench.experiments.telemetry import tracing
    from loop_bench.hostsync import trace as profiler

    wanted = 1e3 * min(TRACED_SECONDS, seconds / 5)
    trained = batches * max(1, round(wanted / (batches * found.ms_per_batch)))
    try:
        with tempfile.TemporaryDirectory(prefix="telemetry-") as folder:
            trainee.trace(trained, folder, events.EXPENSIVE, events.MARK)
            traced = tracing.of_trace(profiler.read(Path(folder)), trained)
    except Exception as error:  # the profiler's, or the loop's under it; what was seen without it is not lost for that
        return None, f"not traced: {error_line(error)}"
    if traced.device == "CPU" or not traced.busy:  # a plane may be there, and empty, where CUPTI is refused
        return None, "not traced: TensorFlow has a GPU, and the trace shows nothing of it"
    return traced, ""


def watch(
    settings: Settings,
    seconds: float,
    folder: Path,
    progress: Callable[[str], None] = lambda arm: None,
    run: Run = in_processes,
) -> dict[str, Telemetry]:
    """Telemetry of both loops by arm, one after the other, each with the machine to itself.

    Args:
        settings: which loops, from what seed; a block is of their batches.
        seconds: length of a stretch, roughly.
        folder: for results.
        progress: is told of each arm that is done.
        run: where the trials run.

    Raises:
        UsageError: see `gather`.
    """
    trials = {arm: TelemetryTrial.of(settings, arm, seconds) for arm in ARMS}
    results = gather(trials.values(), folder, environment=environment(), progress=progress, run=run)
    found = {arm: results[trial.key] for arm, trial in trials.items()}
    return {arm: result.found or Telemetry(died=result.died) for arm, result in found.items()}


def watch_elsewhere(
    settings: Settings,
    seconds: float,
    another: Callable[[str], AbstractContextManager[ArmProcess]],
    progress: Callable[[str], None] = lambda arm: None,
) -> dict[str, Telemetry]:
    """Telemetry of loops that live elsewhere, as `watch` has it; they are sampled from here.

    Args:
        settings: which loops, from what seed; a block is of their batches.
        seconds: length of a stretch, roughly.
        another: begins a fresh process of an arm that can make a TRAINEE, and ends it.
        progress: is told of each arm that is done.

    Raises:
        UsageError: a loop cannot be built.
    """
    found = {}
    for arm, factory in zip(ARMS, (settings.before, settings.after), strict=True):

        def look_there(arm: str = arm, factory: str = factory) -> Telemetry:
            what = factory, settings.preset, settings.seed, settings.options, arm
            with another(arm) as process:
                trainee = cast("Trainee", process.make(TRAINEE, *what))  # answers as one
                return watched(trainee, process.pid, settings.batches, seconds)

        ended = Attempt.of(look_there)
        found[arm] = ended.found or Telemetry(died=f"{ended.ended}: {ended.why}")
        progress(arm)
    return found


TRACED_SECONDS = 1.0
"""Of training under the profiler, at most; of a short stretch its fifth part."""
