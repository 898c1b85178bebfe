"""Runs the profile experiment: traces a stretch of each loop, and summarises the traces."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow as tf

from loop_bench.errors import ProfilerError, UsageError
from loop_bench.experiments.profile import events
from loop_bench.experiments.profile.figures import Traced, summary
from loop_bench.experiments.profile.record import Profile, ProfileRecord, Timed
from loop_bench.hostsync import trace as profiler
from loop_bench.loop import LoopSpec, TrainingLoop, build, load, name_of
from loop_bench.machine.environment import environment
from loop_bench.settings import ARMS, Settings
from loop_bench.timing import clock
from loop_bench.timing.clock import start, warm_up

_WARM_UP = 2  # stretches
_RUNS = Path("plugins", "profile")  # where TensorBoard looks for traces in a folder below its --logdir

_NO_GPU = "TensorFlow has a GPU, but the trace shows none of its ops; these are the CPU's ops"

Tell = Callable[[str, float], None]
"""Callback for progress: the title of the step that begins, and the share of all work that is done."""


def profile(
    settings: Settings, folder: Path, tell: Tell = lambda title, share: None, every_op: bool = False
) -> ProfileRecord:
    """Traces a stretch of each loop.

    Args:
        settings: which loops, from what seed; `batches` is the length of a stretch.
        folder: gets a folder for each arm with its trace, as `tensorboard --logdir FOLDER` expects it.
        tell: see `Tell`.
        every_op: whether to trace the cheap ops of plain graphs on a CPU as well, which slows them down.

    Raises:
        UsageError: a loop cannot be built, the folder cannot be written, or the profiler wrote no trace.
    """
    factories = {arm: load(name) for arm, name in _names(settings).items()}
    spec = LoopSpec(settings.preset, settings.seed, settings.options)
    warm_up(*(functools.partial(build, name, factories[arm], spec, arm) for arm, name in _names(settings).items()))
    profiles = {}
    for number, (arm, name) in enumerate(_names(settings).items()):

        def tell_of_arm(title: str, share: float, arm: str = arm, number: int = number) -> None:
            tell(f"{arm}: {title}", (number + share) / len(ARMS))

        tell_of_arm("building, tracing, compiling, warming up", 0.0)
        loop, _ = start(name, factories[arm], spec, arm)
        profiles[arm] = profile_loop(name, loop, settings.batches, folder / arm, tell_of_arm, every_op)
    return ProfileRecord(
        created=datetime.datetime.now(datetime.timezone.utc),
        environment=environment(),
        settings=settings,
        every_op=every_op,
        arms=profiles,
    )


def profile_loop(
    name: str,
    loop: TrainingLoop,
    batches: int,
    folder: Path,
    tell: Tell = lambda title, share: None,
    every_op: bool = False,
) -> Profile:
    """Traces a stretch of a loop, between two untraced stretches.

    Args:
        name: the loop's factory, as module:factory.
        loop: a loop that has trained its first batch.
        batches: length of a stretch.
        folder: for the trace.
        tell: see `Tell`.
        every_op: see `profile`.

    Raises:
        UsageError: the folder cannot be written, or the profiler wrote no trace.
    """
    for _ in range(_WARM_UP):
        clock.seconds_for(loop, batches)
    tell("a stretch without the profiler", 0.4)
    earlier = timed(loop, batches)
    tell("tracing", 0.5)
    ops, traced = trace(loop, batches, folder, every_op)
    tell("another stretch without the profiler", 0.8)
    later = timed(loop, batches)
    tell("reading the trace", 0.9)
    if ops.device == "CPU" and tf.config.list_physical_devices("GPU"):
        ops = dataclasses.replace(ops, problems=(*ops.problems, _NO_GPU))
    return summary(name, ops, traced, (earlier, later))


def timed(loop: TrainingLoop, batches: int) -> Timed:
    """Times a stretch of a loop, between fences."""
    clock.fence()
    before = time.process_time()
    seconds = clock.seconds_for(loop, batches)
    return Timed(seconds=seconds, cpu_seconds=time.process_time() - before)


def trace(loop: TrainingLoop, batches: int, folder: Path, every_op: bool = False) -> tuple[Traced, Timed]:
    """Times a stretch under the profiler, and adds its trace to those in the folder if it is complete.

    Raises:
        UsageError: the folder cannot be written, or the profiler wrote no trace.
    """
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = tempfile.TemporaryDirectory(prefix=".trace-", dir=folder)
    with unfinished:
        try:
            duration = run_traced(loop, batches, Path(unfinished.name), events.EVERY if every_op else events.EXPENSIVE)
            ops = events.traced(profiler.read(Path(unfinished.name)))
        except ProfilerError as error:
            raise UsageError(f"profile of {name_of(loop)}: {error}") from error
        with _writing(folder):
            (folder / _RUNS).mkdir(parents=True, exist_ok=True)
            for run in (Path(unfinished.name) / _RUNS).iterdir():
                run.replace(folder / _RUNS / run.name)
    return ops, duration


def run_traced(loop: TrainingLoop, batches: int, folder: Path, host_level: int) -> Timed:
    """Times a stretch of a loop under the profiler, which writes its trace, with the stretch marked, to a folder.

    Raises:
        ProfilerError: a profiler is already running in this program, or the program has stopped this one.
    """
    with profiler.marked(folder, host_level, events.MARK):
        return timed(loop, batches)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"folder {folder}: cannot be written ({error.strerror})") from None


def _names(settings: Settings) -> dict[str, str]:
    return dict(zip(ARMS, (settings.before, settings.after), strict=True))
