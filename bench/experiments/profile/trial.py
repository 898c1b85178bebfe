"""Profiling both loops from beginning to end: a trace of each, and its summary."""

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
_RUNS = Path("plugins", "profile")  # where TensorBoard looks, below a folder of its --logdir

_NO_GPU = "TensorFlow has a GPU, and the trace shows nothing of it; these are the CPU's ops"

Tell = Callable[[str, float], None]
"""Called with what begins, and the share of all the work that is done."""


def profile(
    settings: Settings, folder: Path, tell: Tell = lambda title, share: None, every_op: bool = False
) -> ProfileRecord:
    """Traces a stretch of each loop.

    Args:
        settings: which loops, from what seed; `batches` are those of a stretch.
        folder: for a folder of each arm with its trace, as `tensorboard --logdir FOLDER` finds it.
        tell: see `Tell`.
        every_op: whether to trace the cheap ops of plain graphs on a CPU as well, which slows these down.

    Raises:
        UsageError: a loop that cannot be built, a folder that cannot be written, or no trace to be had.
    """
    factories = {arm: load(name) for arm, name in _names(settings).items()}
    spec = LoopSpec(settings.preset, settings.seed, settings.options)
    warm_up(*(functools.partial(build, name, factories[arm], spec, arm) for arm, name in _names(settings).items()))
    found = {}
    for number, (arm, name) in enumerate(_names(settings).items()):

        def tell_of(title: str, share: float, arm: str = arm, number: int = number) -> None:
            tell(f"{arm}: {title}", (number + share) / len(ARMS))

        tell_of("building, tracing, compiling, warming up", 0.0)
        loop, _ = start(name, factories[arm], spec, arm)
        found[arm] = profile_loop(name, loop, settings.batches, folder / arm, tell_of, every_op)
    return ProfileRecord(
        created=datetime.datetime.now(datetime.timezone.utc),
        environment=environment(),
        settings=settings,
        every_op=every_op,
        arms=found,
    )


def profile_loop(
    name: str,
    loop: TrainingLoop,
    batches: int,
    folder: Path,
    tell: Tell = lambda title, share: None,
    every_op: bool = False,
) -> Profile:
    """Traces a stretch of a loop, between two that are not traced.

    Args:
        name: of its factory.
        loop: that has trained its first batch.
        batches: of a stretch.
        folder: for the trace.
        tell: see `Tell`.
        every_op: as `profile` has it.

    Raises:
        UsageError: the folder cannot be written, or there is no trace to be had.
    """
    for _ in range(_WARM_UP):
        clock.seconds_for(loop, batches)
    tell("a stretch without the profiler", 0.4)
    untraced = timed(loop, batches)
    tell("tracing", 0.5)
    found, traced = trace(loop, batches, folder, every_op)
    tell("another stretch without the profiler", 0.8)
    untraced_too = timed(loop, batches)
    tell("reading the trace", 0.9)
    if found.device == "CPU" and tf.config.list_physical_devices("GPU"):
        found = dataclasses.replace(found, problems=(*found.problems, _NO_GPU))
    return summary(name, found, traced, (untraced, untraced_too))


def timed(loop: TrainingLoop, batches: int) -> Timed:
    """Times so many batches of a loop."""
    clock.fence()
    before = time.process_time()
    seconds = clock.seconds_for(loop, batches)
    return Timed(seconds=seconds, cpu_seconds=time.process_time() - before)


def trace(loop: TrainingLoop, batches: int, folder: Path, every_op: bool = False) -> tuple[Traced, Timed]:
    """Times a stretch under the profiler; its trace is added to those in the folder, whole or not at all.

    Raises:
        UsageError: the folder cannot be written, or there is no trace to be had.
    """
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = tempfile.TemporaryDirectory(prefix=".trace-", dir=folder)
    with unfinished:
        try:
            took = run_traced(loop, batches, Path(unfinished.name), events.EVERY if every_op else events.EXPENSIVE)
            found = events.traced(profiler.read(Path(unfinished.name)))
        except ProfilerError as error:
            raise UsageError(f"profile of {name_of(loop)}: {error}") from error
        with _writing(folder):
            (folder / _RUNS).mkdir(parents=True, exist_ok=True)
            for run in (Path(unfinished.name) / _RUNS).iterdir():
                run.replace(folder / _RUNS / run.name)
    return found, took


def run_traced(loop: TrainingLoop, batches: int, folder: Path, host_level: int) -> Timed:
    """Times so many batches of a loop under the profiler, which writes its trace, with the stretch marked, to a folder.

    Raises:
        ProfilerError: a profiler is running in this program already, or the program has stopped this one.
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
