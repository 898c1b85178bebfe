"""Both loops watched, each in a process of its own, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.experiments.telemetry import trial
from bench.experiments.telemetry.record import Telemetry
from bench.experiments.telemetry.trial import Watch, Watched
from bench.jobs import pool
from bench.jobs.pool import Death, Job
from bench.settings import ARMS, Settings


def watch(
    settings: Settings, seconds: float, folder: Path, tell: Callable[[str], None] = lambda arm: None
) -> dict[str, Telemetry]:
    """What is seen of both loops, by arm; of one that dies it is known what of.

    Args:
        settings: which loops, from what seed; a block is of their batches.
        seconds: that a stretch is to take, roughly.
        folder: for what processes leave.
        tell: is told of each arm whose process has come to its end.

    Raises:
        UsageError: the folder cannot be written or is in use, or a loop is not to be had.
    """
    factories = dict(zip(ARMS, (settings.before, settings.after), strict=True))
    work = {arm: _watch(settings, arm, factory, seconds).job for arm, factory in factories.items()}

    def died(_: Job, death: Death) -> str:
        return trial.died(death).model_dump_json() + "\n"

    # One at a time: each is to have the machine to itself.
    pool.run([*work.values()], folder, 1, died, lambda done: tell(done.title), pool.of_loops(), trial.PRELOADED)
    return {arm: Watched.read(pool.result(folder, each)).telemetry for arm, each in work.items()}


def _watch(settings: Settings, arm: str, factory: str, seconds: float) -> Watch:
    return Watch(
        name=arm,
        factory=factory,
        preset=settings.preset,
        seed=settings.seed,
        options=settings.options,
        batches=settings.batches,
        seconds=seconds,
    )
